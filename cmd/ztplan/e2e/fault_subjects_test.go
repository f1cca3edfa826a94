package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/release"

	"github.com/ztplan/ztplan/cmd/ztplan/e2e/faultproxy"
)

// A subject is a row of the fault table: a kind, and which of its servers goes
// wrong.
type subject struct {
	name   string
	server string // that goes wrong: api or vault
	// locked leaves the run lock on and lets it alone go wrong.
	locked bool
	// silent means that it writes nothing to that server, tunnelled that it opens
	// tunnels.
	silent, tunnelled bool
	// once means that it makes a single write.
	once bool
	// tried means that a look counts as one of its four attempts, which may all
	// be over before a longer trouble is: then it fails with the cause.
	tried   bool
	timeout string
	steps   string // %s is the cell's name
	// whole checks the state that must hold in the end.
	whole func(t *testing.T, c *cell)
	// alone gives the cell a Vault of its own.
	alone bool
}

func subjects() []subject {
	const (
		apply = `
  - id: step
    uses: applyManifest
    with:
      manifests:
        - {apiVersion: v1, kind: ConfigMap, metadata: {name: "%[1]s", namespace: default}, data: {a: b}}
        - apiVersion: apps/v1
          kind: Deployment
          metadata: {name: "%[1]s", namespace: default}
          spec:
            selector: {matchLabels: {app: "%[1]s"}}
            template: {metadata: {labels: {app: "%[1]s"}}, spec: {containers: [{name: c, image: "example.com/inert:1"}]}}
`
		root = `
  - id: step
    uses: pkiRoot
    with: {mount: "root-%[1]s", commonName: Faulty Root, issuerName: root, urls: {issuingCertificates: ["http://vault/ca"]}}
`
		auth = `
  - id: step
    uses: k8sAuth
    with:
      mount: "auth-%[1]s"
      config: {kubernetesHost: "https://kubernetes.default.svc:443"}
      policies: [{name: "policy-%[1]s", paths: {pki_int/sign/x: [update]}}]
      serviceAccount: {namespace: default, name: "%[1]s"}
      tokenRequest: {grantTo: {namespace: cert-manager, serviceAccount: cert-manager}}
      roles: [{name: role, policies: ["policy-%[1]s"], audience: "vault://x", tokenTTL: 1m}]
`
		denied = `
  - id: step
    uses: assertDenied
    with:
      login: {role: cert-manager, audience: "vault://vault-issuer", serviceAccount: {namespace: cert-manager, name: vault-issuer}}
      sign: {path: pki_int/sign/example-dot-local, name: hello.example.local, maxTTL: 24h}
`
		site = `url: https://hello.example.local, service: {namespace: ingress-apisix, name: apisix-gateway, port: 443}, trust: "${vars.root}"`
	)
	return []subject{
		{name: "helmInstall", server: "api", steps: `
  - id: step
    uses: helmInstall
    with: {chart: chart, release: "%[1]s", namespace: "%[1]s", valuesFiles: [values.yaml]}
`, whole: func(t *testing.T, c *cell) { c.w.released(t, c.name, c.name) }},
		{name: "vaultInit", server: "vault", alone: true, once: true, steps: `
  - id: step
    uses: vaultInit
    with: {keys: {file: keys.json}}
`, whole: func(t *testing.T, c *cell) { c.wholeInit(t) }},
		{name: "vaultUnseal", server: "vault", alone: true, steps: `
  - id: step
    uses: vaultUnseal
    with: {keys: {file: keys.json}}
`},
		{name: "pkiRoot", server: "vault", steps: root, whole: func(t *testing.T, c *cell) { c.w.onePKI(t, "root-"+c.name) }},
		{name: "pkiRoot", server: "api", silent: true, tunnelled: true, steps: root, whole: func(t *testing.T, c *cell) { c.w.onePKI(t, "root-"+c.name) }},
		{name: "pkiIntermediate", server: "vault", steps: `
  - id: step
    uses: pkiIntermediate
    with:
      mount: "int-%[1]s"
      parent: {mount: pki, issuer: root-lab}
      commonName: Faulty Intermediate
      ttl: 43800h
      issuerName: intermediate
      roles: [{name: role, allowedDomains: [example.local], allowSubdomains: true}]
`, whole: func(t *testing.T, c *cell) { c.w.onePKI(t, "int-"+c.name) }},
		{name: "k8sAuth", server: "vault", steps: auth},
		{name: "k8sAuth", server: "api", steps: auth},
		{name: "applyManifest", server: "api", steps: apply},
		{name: "curlTLS", server: "api", silent: true, steps: `
  - id: step
    uses: curlTLS
    with: {` + site + `, expect: {certificate: {equalsSecret: {namespace: ingress-apisix, name: hello-tls}}}}
`},
		{name: "assertRotation", server: "api", once: true, timeout: "75s", steps: `
  - id: step
    uses: assertRotation
    with: {certificate: {namespace: ingress-apisix, name: hello-cert}, ` + site + `}
`},
		{name: "assertRotation", server: "vault", tried: true, timeout: "75s", steps: `
  - id: step
    uses: assertRotation
    with: {certificate: {namespace: ingress-apisix, name: hello-cert}, ` + site + `,
      trigger: intermediate, intermediate: {mount: pki_int, issuerName: intermediate-lab, parent: {mount: pki, issuer: root-lab}, role: example-dot-local, token: "${vars.token}"}}
`, whole: func(t *testing.T, c *cell) { c.w.issuers(t, true) }},
		{name: "assertDenied", server: "vault", tried: true, steps: denied},
		{name: "assertDenied", server: "api", tried: true, steps: denied},
		{name: "run lock", server: "api", locked: true, once: true, steps: apply},
	}
}

// suits reports whether the trouble can happen to the subject.
func (s *subject) suits(tr trouble) bool {
	switch {
	case tr.apiOnly && s.server != "api",
		tr.on == writes && (s.silent || s.once && tr.fault.Every > 1),
		tr.on == tunnels && !s.tunnelled,
		s.locked && tr.fault.After > 0: // it is taken by then
		return false
	}
	return true
}

// matching returns which requests the trouble happens to.
func (s *subject) matching(on requests) func(*http.Request) bool {
	return func(r *http.Request) bool {
		if s.locked != isLock(r) {
			return false
		}
		switch on {
		case answered:
			return isAnswered(r)
		case writes:
			return isWrite(r)
		case tunnels:
			return isTunnel(r)
		}
		return true
	}
}

// A cell is one trouble that happens to one subject.
type cell struct {
	w     *world
	s     *subject
	name  string // unique, of objects and mounts
	dir   string
	proxy *faultproxy.Proxy
	args  []string
	limit time.Duration // of a run: the step's timeout, and some time around it
	token string        // of the lab's Vault
	vault *loneVault    // nil unless the subject is alone
}

// cell writes the plan and its files.
func (f *faulty) cell(t *testing.T, s *subject, tr trouble) *cell {
	t.Helper()
	f.cells++
	c := &cell{w: f.w, token: f.token, s: s, name: fmt.Sprintf("f%d", f.cells), proxy: f.api}
	c.dir = filepath.Join(f.w.work, c.name)
	if err := os.CopyFS(filepath.Join(c.dir, "chart"), os.DirFS("testdata/chart")); err != nil {
		t.Fatal(err)
	}
	timeout, short := cmp.Or(s.timeout, "25s"), "6s"
	if s.timeout != "" {
		short = "20s" // a proof takes several seconds until it meets the trouble
	}
	if tr.forEver {
		timeout = short
	}
	vars := map[string]string{"root": f.root, "token": f.token}
	connection := "address: " + f.vault.URL
	if s.server == "api" {
		connection = "service: {namespace: vault, name: vault, port: 8200}"
	} else {
		c.proxy = f.vault
	}
	if s.alone {
		c.vault = startVault(t, c.w.ztlab)
		c.proxy = vaultProxy(t, c.vault.address, nil)
		connection = "address: " + c.proxy.URL
		if s.name == "vaultUnseal" {
			c.vault.init(t, filepath.Join(c.dir, "keys.json"))
		}
	}
	head := fmt.Sprintf(`apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: "%s"}
vars:
  root: ""
  token: {secret: true, required: true}
connections:
  vault: {%s, token: "${vars.token}"}
steps:`, c.name, connection)
	limit, err := time.ParseDuration(timeout)
	if err != nil {
		t.Fatal(err)
	}
	c.limit = limit + 10*time.Second
	steps := strings.TrimRight(fmt.Sprintf(s.steps+"%.0[1]s", c.name), "\n") + "\n    timeout: " + timeout + "\n    retry: {attempts: 4, delay: 200ms}\n"
	c.write(t, "plan.yaml", []byte(head+steps))
	c.write(t, "values.yaml", []byte("password: "+plantedPassword+"\n"))
	text, err := json.Marshal(vars)
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, "vars.json", text)
	c.args = []string{filepath.Join(c.dir, "plan.yaml"), "--kubeconfig", f.kubeconfig, "--var-file", filepath.Join(c.dir, "vars.json")}
	if !s.locked {
		c.args = append(c.args, "--no-lock")
	}
	return c
}

func (c *cell) write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// wholeInit checks that the keys that were stored are those of the Vault.
func (c *cell) wholeInit(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(c.dir, "keys.json"))
	var k keyFile
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil || len(k.Keys) != 5 {
		t.Fatalf("key file: %v", err)
	}
	c.vault.unseal(t, k.Keys[:3])
	client := c.vault.client(t)
	client.SetToken(k.RootToken)
	if _, err := client.Auth().Token().LookupSelfWithContext(t.Context()); err != nil {
		t.Errorf("key file: its token: %v", err)
	}
}

// onePKI checks that a mount has one issuer that can sign, and no other key.
func (w *world) onePKI(t *testing.T, mount string) {
	t.Helper()
	with := 0
	issuers := w.list(mount + "/issuers")
	for _, id := range issuers {
		if key, _ := w.read(mount + "/issuer/" + id)["key_id"].(string); key != "" {
			with++
		}
	}
	if with != 1 {
		t.Errorf("%s has %d issuers with a key, want 1: %v", mount, with, issuers)
	}
	if keys := w.list(mount + "/keys"); len(keys) != 1 {
		t.Errorf("%s has keys %v, want 1: the others are orphans", mount, keys)
	}
}

// released checks that one revision of a release is deployed, the newest, and
// none is stuck.
func (w *world) released(t *testing.T, name, namespace string) {
	t.Helper()
	history, err := w.helm(namespace).Releases.History(name)
	if err != nil {
		t.Fatal(err)
	}
	deployed, newest := 0, history[0]
	for _, r := range history {
		if r.Info.Status == release.StatusDeployed {
			deployed++
		}
		if r.Info.Status.IsPending() {
			t.Errorf("release %s: revision %d is still %s", name, r.Version, r.Info.Status)
		}
		if r.Version > newest.Version {
			newest = r
		}
	}
	if deployed != 1 || newest.Info.Status != release.StatusDeployed {
		t.Errorf("release %s: %d revisions are deployed, and the newest, %d, is %s", name, deployed, newest.Version, newest.Info.Status)
	}
}
