package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
)

// A variable is one of the environment, or several in one row.
type variable struct {
	names  string // with spaces between
	counts string // its effect; "" if it is ignored
}

// environment is the table of the README: the variables that ztplan and the
// libraries in it know.
var environment = []variable{
	{"KUBECONFIG HOME KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT", "which cluster, as with kubectl; `--kubeconfig` comes first"},
	{"HTTPS_PROXY HTTP_PROXY NO_PROXY", "the way to the API server, to chart repositories and registries, and to a Vault given by its address; never to loopback, never through a Service, never for proofs"},
	{"SSL_CERT_FILE SSL_CERT_DIR", "the system's trusted roots, where a plan names none"},
	{"XDG_CACHE_HOME XDG_STATE_HOME TMPDIR", "where charts are cached, journals are kept, temporary files are made"},
	{"NO_COLOR TERM", "no colour, no live view"},
	{"PATH", "where git, a credential plugin of the kubeconfig and ztlab are looked for"},
	{"GITHUB_STEP_SUMMARY", "where the summary of a run goes as well"},
	{"GODEBUG GOGC GOMAXPROCS GOMEMLIMIT", "the Go runtime, as in every Go program"},
	{"DISABLE_HTTP2 HTTP2_PING_TIMEOUT_SECONDS HTTP2_READ_IDLE_TIMEOUT_SECONDS KUBE_CLIENT_BACKOFF_BASE KUBE_CLIENT_BACKOFF_DURATION KUBE_FEATURE_WatchListClient", "how requests to the API server travel, as with every client of Kubernetes; not what they ask"},
	{"VAULT_ADDR VAULT_AGENT_ADDR VAULT_CACERT VAULT_CACERT_BYTES VAULT_CAPATH VAULT_CLIENT_CERT VAULT_CLIENT_KEY VAULT_CLIENT_TIMEOUT VAULT_DISABLE_REDIRECTS VAULT_HEADERS VAULT_HTTP_PROXY VAULT_MAX_RETRIES VAULT_MFA VAULT_NAMESPACE VAULT_PROXY_ADDR VAULT_RATE_LIMIT VAULT_SKIP_VERIFY VAULT_SRV_LOOKUP VAULT_TLS_SERVER_NAME VAULT_TOKEN VAULT_WRAP_TTL", ""},
	{"HELM_BURST_LIMIT HELM_CACHE_HOME HELM_CONFIG_HOME HELM_DATA_HOME HELM_DEBUG HELM_DRIVER HELM_DRIVER_SQL_CONNECTION_STRING HELM_KUBEAPISERVER HELM_KUBEASGROUPS HELM_KUBEASUSER HELM_KUBECAFILE HELM_KUBECONTEXT HELM_KUBEINSECURE_SKIP_TLS_VERIFY HELM_KUBETLS_SERVER_NAME HELM_KUBETOKEN HELM_MAX_HISTORY HELM_NAMESPACE HELM_PLUGINS HELM_QPS HELM_REGISTRY_CONFIG HELM_REPOSITORY_CACHE HELM_REPOSITORY_CONFIG", ""},
	{"DOCKER_CONFIG KUBECACHEDIR KUBERC KUBERNETES_MASTER POD_NAMESPACE", ""},
}

func (v variable) row() string {
	counts := v.counts
	if counts == "" {
		counts = "nothing: ignored"
	}
	return fmt.Sprintf("| `%s` | %s |", strings.ReplaceAll(v.names, " ", "` `"), counts)
}

func TestEnvironmentIsInTheReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range environment {
		if !strings.Contains(string(readme), v.row()+"\n") {
			t.Errorf("README.md lacks the row\n%s", v.row())
		}
	}
}

const environmentPlan = `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: environment}
steps:
  - {id: chart, uses: helmInstall, with: {chart: ./chart, version: 1.0.0, namespace: environment-test, release: r}}
  - id: objects
    uses: applyManifest
    needs: [chart]
    with: {namespace: default, manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: environment-test}, data: {a: b}}]}
`

// times are the parts that differ between two equal runs.
var times = regexp.MustCompile(`[0-9.]+ ?(µs|ms|s|%)`)

// A variable that is ignored changes nothing, with any value.
func TestIgnoredVariables(t *testing.T) {
	lab := os.Getenv("ZTPLAN_LAB_DIR")
	if lab == "" {
		t.Skip("needs the lab that make test starts")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"plan.yaml":               environmentPlan,
		"chart/Chart.yaml":        "apiVersion: v2\nname: c\nversion: 1.0.0\n",
		"chart/templates/cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {where: '{{ .Release.Namespace }}'}\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(more ...string) string {
		out := new(strings.Builder)
		cmd := exec.Cmd{
			Path: os.Args[0], Dir: dir, Stdout: out, Stderr: out,
			Args: []string{"ztplan", "run", "plan.yaml", "--dry-run", "--no-color", "--kubeconfig", filepath.Join(lab, "kubeconfig")},
			Env:  append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_CACHE_HOME=" + dir, "XDG_STATE_HOME=" + dir}, more...),
		}
		err := cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != cli.Differs {
			t.Fatalf("exit status %d (%v), want %d\n%s", code, err, cli.Differs, out)
		}
		return times.ReplaceAllString(out.String(), "")
	}
	want := run()
	for _, value := range []string{"http://127.0.0.1:1", "true", "/no/such/file"} {
		var hostile []string
		for _, v := range environment {
			if v.counts != "" {
				continue
			}
			for name := range strings.FieldsSeq(v.names) {
				hostile = append(hostile, name+"="+value)
			}
		}
		if got := run(hostile...); got != want {
			t.Errorf("with %s in each: got\n%s\nwant\n%s", value, got, want)
		}
	}
}
