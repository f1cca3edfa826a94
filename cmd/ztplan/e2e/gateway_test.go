package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
)

// A bug is a known fault of the real gateway, which the lab's gateway shows on request, and
// its effect on the rotation's proof.
type bug struct {
	name   string // as cmd/ztlab/component/gateway/adminapi has it
	with   string // further inputs of the proof
	fine   bool   // the proof holds with these inputs as long as the bug is off
	broken string // the rule that does not hold
	says   string // matches the detail of the finding, with the hop
	hint   string
	quick  bool // is in make test
}

var bugs = []bug{
	{
		name:   "secret-update-never-pushed",
		with:   impatient,
		broken: `^the switch takes at most 3s$`,
		says:   `the new certificate never reached the wire: stuck between the Secret and the gateway; hops: asked .* secret written`,
		hint:   `apache/apisix-ingress-controller#2673`,
	},
	{
		name:   "one-worker-stale",
		with:   impatient,
		broken: `^every address serves the certificate of the Secret$`,
		says:   `showed it in \d+ of \d+ handshakes and .*: one of its workers or replicas was left behind; hops: .* first on the wire`,
		hint:   `apache/apisix#13067`,
		quick:  true,
	},
	{
		name:   "drop-connections-on-reload",
		broken: `^connections opened before keep answering$`,
		says:   `connection to \S+ that was opened \S+ before: .* \(.*\S+ (after|before) (secret written|revision counted|first on the wire|all on the wire|request \w+)\)`,
		hint:   `closes its clients' connections`,
		quick:  true,
	},
	{
		name: "etcd-unanswered-at-start=6s",
		with: "during: {restart: gateway, maxCatchUp: 3s}, maxLate: 4s, maxFailures: 1000, maxLost: 100, ",
		fine: true, broken: `^the new certificate is on the wire within 3s after gateway is back$`,
		says: `^hops: .* restart over`,
	},
}

// gatewayBugs proves rotations on a finished world whose gateway has known bugs,
// one after another: the proof must fail with a message that names the hop. A Secret's
// update that is never pushed is in make test behind a Gateway, and in failures.
func (w *world) gatewayBugs(t *testing.T) {
	w.writeProof("ca.pem", w.rootCertificate())
	for _, b := range bugs {
		if !b.quick && !full() {
			continue
		}
		w.sub(t, strings.Split(b.name, "=")[0], func(t *testing.T) {
			if b.fine {
				must(t, "without the bug", w.prove(b.with), 0)
			}
			w.show(b.name)
			defer w.show("")
			o := w.prove(b.with)
			must(t, "with the bug", o, 1)
			expectViolation(t, o, b.broken, b.says)
			if hint := o.hint(); !strings.Contains(hint, b.hint) {
				t.Errorf("hint %q, want it to contain %q", hint, b.hint)
			}
			t.Logf("%.1fs", o.wall.Seconds())
		})
	}
	must(t, "when the bugs are gone", w.prove(""), 0)
}

// impatient are inputs for a proof that has to fail because a server is behind. One that has
// to hold has the time that the kind gives it, however busy the machine is.
const impatient = "maxSwitch: 3s, maxLate: 4s, "

// prove has the certificate rotate once; more are further inputs, as YAML in
// flow style.
func (w *world) prove(more string) *outcome {
	w.t.Helper()
	w.writeProof("proof.yaml", fmt.Sprintf(`apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: proof}
steps:
  - id: rotation
    uses: assertRotation
    timeout: 2m
    with: {%s
      certificate: {namespace: ingress-apisix, name: hello-cert},
      url: "https://hello.example.local",
      service: {namespace: ingress-apisix, name: apisix-gateway, port: 443},
      trustFile: ca.pem}
`, more))
	return w.do(nil, "run", "proof/proof.yaml")
}

func (w *world) writeProof(name, text string) {
	w.t.Helper()
	dir := filepath.Join(w.work, "proof")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) rootCertificate() string {
	w.t.Helper()
	text, _ := w.read("pki/issuer/default")["certificate"].(string)
	return text
}

// show switches bugs of the lab's gateway on, and the others off, and returns
// when they are in effect.
func (w *world) show(names string) {
	w.t.Helper()
	const proxy, annotation = "GatewayProxy/ingress-apisix/apisix-config", "ztlab.ztplan.dev/upstream-bugs"
	w.merge(proxy, fmt.Sprintf(`{"metadata": {"annotations": {%q: %q}}}`, annotation, names))
	w.until(fmt.Sprintf("the gateway shows %q", names), func() bool { return w.showing(names) })
}

// showing asks the gateway's Admin API which bugs it shows. Its pod does not tell which of
// its ports that is.
func (w *world) showing(names string) bool {
	w.look()
	for _, c := range w.status.Components {
		if c.Name != "gateway" {
			continue
		}
		for address := range strings.SplitSeq(c.Address, ",") {
			var state struct {
				Bugs   string
				Synced bool // everything else has been written as well
			}
			if fetch("http://"+address+"/ztlab/state", &state) && state.Bugs == names && state.Synced {
				return true
			}
		}
	}
	return false
}

// fetch reads JSON from the gateway's Admin API with the plan's admin key.
func fetch(url string, into any) bool {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	req.Header.Set("X-API-KEY", "edd1c9f034335f136f87ad84b625c8f1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(into) == nil
}

// expectViolation fails the test unless a rule that matches broken does not hold
// and its detail matches says.
func expectViolation(t *testing.T, o *outcome, broken, says string) {
	t.Helper()
	rule, detail := regexp.MustCompile(broken), regexp.MustCompile(says)
	var all []string
	for _, e := range o.events {
		if e.Action != engine.ActionViolated {
			continue
		}
		if rule.MatchString(e.Path) && detail.MatchString(e.Message) {
			return
		}
		all = append(all, e.Path+": "+e.Message)
	}
	t.Errorf("no violated rule matches %q with %q:\n%s", broken, says, strings.Join(all, "\n"))
}

// hint returns the hint of the failed step.
func (o *outcome) hint() string {
	for _, e := range o.events {
		if e.Action == engine.ActionFail {
			return e.Hint
		}
	}
	return ""
}
