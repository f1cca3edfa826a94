package main

import (
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// policy lists the allowed imports. It states the architecture: when the test fails,
// fix the import, not the table. A package may import the standard library and the
// names in its line: of this module the package itself, or all below a name that
// ends in /..., and of other modules all below the name.
//
// In words: the vocabulary at the bottom; steps and engine beside each other
// and ignorant of each other; heavy libraries only in the kits; cmd on top.
const policy = `
engine
engine/dag
engine/display           engine
engine/sensitive
engine/durable
engine/journal           engine engine/durable
engine/diff              engine github.com/google/go-cmp
engine/kubeyaml          gopkg.in/yaml.v3 sigs.k8s.io/yaml
engine/plan              engine engine/dag engine/plan/document engine/plan/foreach engine/plan/input engine/plan/keypath engine/plan/merge engine/plan/spec engine/plan/source engine/plan/syntax engine/plan/vars gopkg.in/yaml.v3
engine/plan/document     engine engine/plan/source engine/plan/spec engine/plan/vars gopkg.in/yaml.v3
engine/plan/foreach      engine engine/kubeyaml engine/plan/keypath engine/plan/source engine/plan/spec engine/plan/syntax gopkg.in/yaml.v3
engine/plan/keypath      engine/plan/source gopkg.in/yaml.v3
engine/plan/vars         engine engine/plan/keypath engine/plan/source engine/plan/spec engine/plan/syntax gopkg.in/yaml.v3
engine/plan/input        engine engine/plan/vars
engine/plan/merge        engine engine/plan/source engine/plan/spec gopkg.in/yaml.v3
engine/plan/syntax       engine/plan/keypath
engine/plan/spec         engine engine/kubeyaml engine/sensitive engine/plan/keypath engine/plan/source engine/plan/syntax gopkg.in/yaml.v3
engine/plan/source       engine engine/kubeyaml engine/plan/source/mask engine/plan/source/spelling gopkg.in/yaml.v3
engine/plan/source/mask  engine engine/sensitive engine/plan/source/spelling
engine/plan/source/spelling
engine/redact            engine engine/sensitive
engine/run               engine engine/dag engine/diff engine/redact engine/sensitive golang.org/x/crypto/scrypt
engine/enginetest        engine github.com/google/go-cmp
steps/hints
steps/hosting
steps/evidence           engine engine/display steps/internal/certs
steps/evidence/evidencetest steps/evidence
steps/evidence/verify    engine engine/display steps/evidence steps/internal/certs
steps/internal/certs
steps/session            engine
steps/internal/...       engine engine/durable steps/session steps/hints steps/hosting steps/evidence engine/enginetest engine/kubeyaml engine/sensitive steps/internal/... !steps !engine/run !engine/plan/...
steps/session/...        engine steps/session steps/evidence steps/internal/... k8s.io/... golang.org/x/sys/unix
steps/...                engine engine/display steps/applymanifest/completion steps/session steps/hints engine/diff steps/evidence engine/kubeyaml engine/sensitive steps/internal/... gopkg.in/yaml.v3 golang.org/x/sync/... sigs.k8s.io/... k8s.io/... helm.sh/helm/v3/... !engine/run !engine/plan/...
steps                    engine steps/...
schemas
schemas/gen              engine engine/plan/document engine/plan/vars schemas steps steps/evidence cmd/ztplan/fleet
plans
cmd/ztplan/ui            engine engine/diff engine/display
cmd/ztplan/layout
cmd/ztplan/planflags     engine engine/display engine/journal engine/plan steps steps/session steps/session/cluster cmd/ztplan/cli cmd/ztplan/lint/rule cmd/ztplan/release cmd/ztplan/ztlab github.com/spf13/cobra
cmd/ztplan/planrun       engine engine/plan engine/run steps/helminstall
cmd/ztplan/graph         engine/display engine/plan cmd/ztplan/cli cmd/ztplan/layout cmd/ztplan/planflags github.com/spf13/cobra
cmd/ztplan/rbac          engine engine/display engine/plan steps/session/cluster steps/session/lease cmd/ztplan/cli cmd/ztplan/planflags cmd/ztplan/planrun github.com/spf13/cobra
cmd/ztplan/doctor        engine engine/display engine/plan engine/redact engine/run steps/session/checkup steps/session/lease cmd/ztplan/cli cmd/ztplan/planflags cmd/ztplan/planrun cmd/ztplan/rbac github.com/spf13/cobra
cmd/ztplan/compare       engine engine/display steps/evidence
cmd/ztplan/history       engine engine/display engine/journal cmd/ztplan/cli cmd/ztplan/planflags github.com/spf13/cobra
cmd/ztplan/output        engine engine/display engine/journal engine/plan engine/run steps/hints steps/session cmd/ztplan/cli cmd/ztplan/history cmd/ztplan/planflags cmd/ztplan/planrun github.com/spf13/cobra
cmd/ztplan/reference     engine engine/plan/source schemas cmd/ztplan/cli github.com/spf13/cobra
cmd/ztplan/release
cmd/ztplan/templates     engine engine/display engine/plan engine/plan/document schemas steps cmd/ztplan/cli cmd/ztplan/planflags cmd/ztplan/release filippo.io/age github.com/spf13/cobra gopkg.in/yaml.v3
cmd/ztplan/verdict       engine engine/display steps/evidence steps/evidence/verify
cmd/ztplan/audit         engine engine/display engine/durable steps/evidence steps/evidence/verify cmd/ztplan/attest cmd/ztplan/cli cmd/ztplan/compare cmd/ztplan/report cmd/ztplan/verdict github.com/spf13/cobra
cmd/ztplan/ztlab
cmd/ztplan/cli           engine engine/display engine/plan/source cmd/ztplan/ui github.com/spf13/... golang.org/x/term
cmd/ztplan/report        engine engine/durable cmd/ztplan/layout engine/display steps/evidence steps/evidence/verify
cmd/ztplan/report/browsertest engine
cmd/ztplan/attest        engine steps/evidence github.com/secure-systems-lab/go-securesystemslib/dsse
cmd/ztplan/cijob         steps/evidence
cmd/ztplan/checkout      steps/evidence github.com/go-git/go-git/v5
cmd/ztplan/trace         engine github.com/go-logr/logr go.opentelemetry.io/otel/...
cmd/ztplan/fleet         cmd/ztplan/fleet/record cmd/ztplan/fleet/registry engine engine/display engine/plan engine/plan/source engine/plan/spec engine/plan/syntax steps/pkiintermediate steps/vaultinit gopkg.in/yaml.v3 k8s.io/apimachinery/pkg/util/validation k8s.io/client-go/tools/clientcmd
cmd/ztplan/fleet/record  engine
cmd/ztplan/fleet/registry engine cmd/ztplan/fleet/record github.com/opencontainers/image-spec oras.land/oras-go/v2/...
cmd/ztplan/fleet/objects engine cmd/ztplan/fleet cmd/ztplan/fleet/record k8s.io/...
cmd/ztplan/fleet/patience engine k8s.io/apimachinery/pkg/util/wait
cmd/ztplan/fleet/member  engine engine/durable steps/evidence cmd/ztplan/fleet cmd/ztplan/fleet/objects cmd/ztplan/fleet/patience cmd/ztplan/fleet/record cmd/ztplan/fleet/registry k8s.io/...
cmd/ztplan/fleet/hub     engine cmd/ztplan/fleet cmd/ztplan/fleet/member cmd/ztplan/fleet/objects cmd/ztplan/fleet/patience cmd/ztplan/fleet/record cmd/ztplan/fleet/registry k8s.io/...
cmd/ztplan/fleet/profiles engine engine/plan/source cmd/ztplan/fleet k8s.io/... sigs.k8s.io/cluster-inventory-api/...
cmd/ztplan/fleet/ledger  engine engine/display engine/durable steps/evidence steps/evidence/verify cmd/ztplan/attest cmd/ztplan/report cmd/ztplan/fleet cmd/ztplan/fleet/record golang.org/x/mod/sumdb/tlog
cmd/ztplan/fleet/view    engine engine/display cmd/ztplan/fleet cmd/ztplan/fleet/drive cmd/ztplan/fleet/hub cmd/ztplan/fleet/ledger cmd/ztplan/fleet/record cmd/ztplan/report cmd/ztplan/ui
cmd/ztplan/fleet/e2e
cmd/ztplan/fleet/drive   engine cmd/ztplan/fleet/hub cmd/ztplan/fleet/ledger cmd/ztplan/fleet/objects cmd/ztplan/fleet/record k8s.io/...
cmd/ztplan/fleet/command engine engine/display engine/durable engine/plan engine/plan/source engine/run steps steps/session steps/session/lease steps/evidence/verify cmd/ztplan/attest cmd/ztplan/cli cmd/ztplan/lint/rule cmd/ztplan/report cmd/ztplan/fleet/... github.com/spf13/cobra k8s.io/apimachinery/pkg/api/errors sigs.k8s.io/yaml
cmd/ztplan/e2e
cmd/ztplan/e2e/faultproxy engine
cmd/ztplan/e2e/watchproxy
cmd/ztplan/lint/rule     engine/plan/source
cmd/ztplan/lint/command  engine/display engine/plan engine/plan/source cmd/ztplan/cli cmd/ztplan/lint cmd/ztplan/lint/rule cmd/ztplan/lint/sarif cmd/ztplan/planflags cmd/ztplan/ui github.com/spf13/cobra
cmd/ztplan/lint/sarif    cmd/ztplan/lint cmd/ztplan/lint/rule engine/plan/source
cmd/ztplan/lint/ignore   engine/plan/source gopkg.in/yaml.v3
cmd/ztplan/lint/images   steps/hosting
cmd/ztplan/lint/names    steps/pkiintermediate
cmd/ztplan/lint/denied   cmd/ztplan/lint/names engine steps/assertdenied steps/pkiintermediate
cmd/ztplan/lint/issuer   cmd/ztplan/lint/rule steps/hosting steps/k8sauth steps/pkiintermediate
cmd/ztplan/lint/policy   steps/k8sauth github.com/hashicorp/hcl
cmd/ztplan/lint/versions golang.org/x/mod
cmd/ztplan/lint          cmd/ztplan/lint/denied cmd/ztplan/lint/ignore cmd/ztplan/lint/images cmd/ztplan/lint/issuer cmd/ztplan/lint/names cmd/ztplan/lint/policy cmd/ztplan/lint/rule cmd/ztplan/lint/versions engine engine/plan engine/plan/source engine/kubeyaml steps/... gopkg.in/yaml.v3 golang.org/x/mod github.com/hashicorp/hcl !steps/internal
cmd/ztplan               engine engine/... steps steps/... !steps/internal schemas plans cmd/ztplan/... github.com/spf13/... golang.org/x/term k8s.io/klog/v2 sigs.k8s.io/yaml
`

const module = "github.com/ztplan/ztplan/"

func TestDependencyPolicy(t *testing.T) {
	rules := parsePolicy(t)
	for _, p := range packages(t) {
		allowed, ok := rules.find(p.name)
		if !ok {
			t.Errorf("%s has no line in the policy", p.name)
			continue
		}
		for _, imp := range p.imports {
			if !permitted(p.name, imp, allowed) {
				t.Errorf("%s imports %s, which the policy does not allow", p.name, imp)
			}
		}
	}
}

// An imported is a package of the module with its imports, without those of its
// tests. Names within the module are without the module's path.
type imported struct {
	name    string
	imports []string
}

func packages(t *testing.T) []imported {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []imported
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for i, imp := range p.Imports {
			p.Imports[i] = strings.TrimPrefix(imp, module)
		}
		list = append(list, imported{strings.TrimPrefix(p.ImportPath, module), p.Imports})
	}
	if len(list) < 10 {
		t.Fatalf("only %d packages were found", len(list))
	}
	return list
}

type rule struct {
	pattern string
	allowed []string
}

type ruleset []rule

func parsePolicy(t *testing.T) ruleset {
	var rs ruleset
	for line := range strings.Lines(policy) {
		if f := strings.Fields(line); len(f) > 0 {
			rs = append(rs, rule{f[0], f[1:]})
		}
	}
	return rs
}

// find returns the most specific rule: an exact name before a pattern, the
// first pattern before later ones.
func (rs ruleset) find(name string) ([]string, bool) {
	for _, r := range rs {
		if r.pattern == name {
			return r.allowed, true
		}
	}
	for _, r := range rs {
		if matches(r.pattern, name) {
			return r.allowed, true
		}
	}
	return nil, false
}

func matches(pattern, name string) bool {
	base, all := strings.CutSuffix(pattern, "/...")
	return name == pattern || all && (name == base || strings.HasPrefix(name, base+"/"))
}

func permitted(from, imp string, allowed []string) bool {
	standard := !strings.Contains(strings.SplitN(imp, "/", 2)[0], ".")
	ours := strings.HasPrefix(imp, "engine") || strings.HasPrefix(imp, "steps") || strings.HasPrefix(imp, "schemas") ||
		strings.HasPrefix(imp, "plans") || strings.HasPrefix(imp, "cmd/ztplan") || strings.HasPrefix(imp, "cmd/ztlab")
	if standard && !ours {
		return true
	}
	for _, a := range allowed {
		if no, ok := strings.CutPrefix(a, "!"); ok && matches(no, imp) {
			return false
		}
	}
	// A kit may use any library: it is there to keep it in.
	if strings.HasPrefix(from, "steps/internal/") && !ours {
		return true
	}
	for _, a := range allowed {
		if matches(a, imp) || !ours && matches(a+"/...", imp) {
			return true
		}
	}
	return false
}
