package fleet_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/steps"
)

const sitePlan = `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: site}
vars:
  domain: {type: string, required: true}
  port: 443
  token: {secret: true, default: none-of-yours}
steps:
  - id: site
    uses: applyManifest
    with: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: site, namespace: default}, data: {url: "https://${vars.domain}:${vars.port}"}}]}
`

const head = "apiVersion: ztplan.dev/v1\nkind: Fleet\nmetadata: {name: prod}\nplan: site.yaml\n"

func kubeconfig(server string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "%s"}}]
users: [{name: u, user: {token: token-of-the-cluster}}]
`, server)
}

// load writes files below a folder and loads fleet.yaml there.
func load(t *testing.T, files map[string]string, profiles ...fleet.Profile) (*fleet.Fleet, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "fleet")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{
		"site.yaml": sitePlan,
		"a":         kubeconfig("https://a.example:6443"),
		"b":         kubeconfig("https://b.example:6443"),
		"c":         kubeconfig("https://c.example:6443"),
	}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	inputs := engine.NewInputs(t.Context())
	return fleet.Load(fleet.Input{
		File: "fleet.yaml", Inputs: inputs,
		Profiles: func(*fleet.Document) ([]fleet.Profile, error) { return profiles, nil },
		Plan: func(file string, values plan.Values) (*plan.Plan, error) {
			return plan.Load(plan.Input{File: file, Inputs: inputs, Kinds: steps.All(), Connections: steps.Connections(), Values: values})
		},
	})
}

// The name of the plan may be made of the variables of each cluster. It names the lock and
// the evidence there, so that it has to be a name with all of them.
func TestPlanNames(t *testing.T) {
	files := map[string]string{
		"site.yaml": strings.Replace(sitePlan, "metadata: {name: site}", `metadata: {name: "site-${vars.port}"}`, 1),
		"fleet.yaml": head + `
clusters:
  kubeconfigs:
    - {name: a, file: a, properties: {domain: a.example, port: "8443"}}
    - {name: b, file: b, properties: {domain: b.example, port: "443"}}
    - {name: c, file: c, properties: {domain: a.example, port: "8443"}}
vars: {domain: "${cluster.properties.domain}", port: "${cluster.properties.port}"}
`}
	f, err := load(t, files)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range f.Clusters {
		got = append(got, c.Plan)
	}
	if d := cmp.Diff([]string{"site-8443", "site-443", "site-8443"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"site-443", "site-8443"}, f.PlanNames()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}

	files["site.yaml"] = strings.Replace(sitePlan, "metadata: {name: site}", `metadata: {name: "${vars.domain}"}`, 1)
	_, err = load(t, files)
	if err == nil || !strings.Contains(err.Error(), `with the variables of cluster a: metadata.name: "a.example" is not a name`) {
		t.Errorf("error is %v", err)
	}
}

func TestLoad(t *testing.T) {
	f, err := load(t, map[string]string{"fleet.yaml": head + `
clusters:
  kubeconfigs:
    - {name: a, file: a, labels: {ring: "0"}, properties: {domain: a.example, port: "8443"}}
  file: more.yaml
vars: {domain: "www.${cluster.properties.domain}", port: "${cluster.properties.port}"}
waves:
  - {name: canary, select: {ring: "0"}, parallel: 1, stop: {failures: 0}, soak: 30m}
  - {name: rest, stop: {failures: 50%}}
`, "more.yaml": `
- {name: b, file: b, properties: {domain: b.example, port: "443"}}
- {name: c, file: c, properties: {domain: c.example, port: "443"}}
`})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range f.Clusters {
		got = append(got, fmt.Sprintf("%s wave %d %s %q", c.Name, c.Wave, c.Server.URL, c.Vars))
	}
	want := []string{
		`a wave 0 https://a.example:6443 "{domain: www.a.example, port: \"8443\"}\n"`,
		`b wave 1 https://b.example:6443 "{domain: www.b.example, port: \"443\"}\n"`,
		`c wave 1 https://c.example:6443 "{domain: www.c.example, port: \"443\"}\n"`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if n := f.Waves[1].Stop.Failures.Of(len(f.Wave(1))); n != 1 || f.Waves[1].Parallel != 10 {
		t.Errorf("%d may fail, %d at once", n, f.Waves[1].Parallel)
	}
	for _, c := range f.Clusters {
		if !strings.Contains(string(c.Kubeconfig), "token-of-the-cluster") || f.Document.Access.Secrets == nil {
			t.Errorf("cluster %s: %s", c.Name, c.Kubeconfig)
		}
	}
	// Numbers of properties are text, and are converted to the declared type.
	if port := f.Plan().Vars["port"]; fmt.Sprint(port) != "8443" {
		t.Errorf("port: %#v", port)
	}
}

// The pods get the fragments of the plan, those of fragments included, and the files that
// they read.
func TestFragmentsAreShipped(t *testing.T) {
	const object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: site, namespace: default}\n"
	files := map[string]string{
		"fleet.yaml": head + "clusters: {kubeconfigs: [{name: a, file: a}]}\n",
		"site.yaml": "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: site}\nsteps:\n" +
			"  - {id: site, include: parts/site.yaml}\n",
		"parts/site.yaml": "apiVersion: ztplan.dev/v1\nkind: Fragment\nsteps:\n" +
			"  - {id: map, uses: applyManifest, with: {files: [map.yaml]}}\n  - {id: deep, include: deep/site.yaml}\n",
		"parts/deep/site.yaml": "apiVersion: ztplan.dev/v1\nkind: Fragment\nsteps:\n" +
			"  - {id: map, uses: applyManifest, with: {files: [map.yaml]}}\n",
		"parts/map.yaml": object, "parts/deep/map.yaml": object, "parts/other.yaml": object,
	}
	f, err := load(t, files)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"parts/deep/map.yaml", "parts/deep/site.yaml", "parts/map.yaml", "parts/site.yaml"}
	if d := cmp.Diff(want, slices.Sorted(maps.Keys(f.Files))); d != "" {
		t.Error(d)
	}

	files["../outside.yaml"] = files["parts/deep/site.yaml"]
	files["../map.yaml"] = object
	files["parts/site.yaml"] = strings.Replace(files["parts/site.yaml"], "deep/site.yaml", "../../outside.yaml", 1)
	_, err = load(t, files)
	for _, want := range []string{"step site.deep.map: ../map.yaml", "fragment ../outside.yaml"} {
		if err == nil || !strings.Contains(err.Error(), want+" is outside of the plan's directory, and the pods get that directory only") {
			t.Errorf("error is %v, want one about %s", err, want)
		}
	}
}

// Every problem is reported with its place, and nothing is made.
func TestProblems(t *testing.T) {
	root, err := os.ReadFile("../../../testdata/ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	const clusters = "clusters: {kubeconfigs: [{name: a, file: a, properties: {domain: a.example}}, {name: b, file: b}]}\n"
	const vars = "vars: {domain: \"${cluster.name}.example\"}\n"
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  []string // "line:column summary"
	}{
		{"empty", map[string]string{"fleet.yaml": ""}, []string{"fleet.yaml:1:1 the fleet is empty"}},
		{"types and keys", map[string]string{"fleet.yaml": "apiVersion: ztplan.dev/v2\nkind: Fleet\nmetadata: {name: Prod}\nplan: none.yaml\nretrys: 2\nclusters: {}\n"}, []string{
			`fleet.yaml:1:13 apiVersion: "ztplan.dev/v2" is not one of ztplan.dev/v1`,
			`fleet.yaml:4:7 plan: file "none.yaml" does not exist`,
			`fleet.yaml:5:1 unknown key "retrys"`,
		}},
		{"no clusters", map[string]string{"fleet.yaml": head + "clusters: {}\n"}, []string{"fleet.yaml:5:11 clusters: there are none"}},
		{"variables", map[string]string{"fleet.yaml": head + clusters + "vars: {domain: \"${cluster.properties.domain}\", port: \"${cluster.label.x}\", url: \"${vars.domain}\"}\n"}, []string{
			"fleet.yaml:6:55 vars.port: ${cluster.label.x}: a cluster has name, labels.KEY and properties.KEY",
			"fleet.yaml:6:82 vars.url: ${vars.domain}: a fleet refers to clusters only",
		}},
		{"a property that one has not", map[string]string{"fleet.yaml": head + clusters + "vars: {domain: \"${cluster.properties.domain}\"}\n"}, []string{
			`fleet.yaml:6:17 vars: ${cluster.properties.domain}: cluster b has no property "domain"`,
		}},
		{"values that the plan refuses", map[string]string{"fleet.yaml": head + clusters + "vars: {domain: \"${cluster.name}.example\", port: many, token: known, size: 3}\n"}, []string{
			`fleet.yaml:6:49 with the variables of cluster a: variable "port": want a number, have the text "many"`,
			`fleet.yaml:6:55 with the variables of cluster a: variable "token" is a secret`,
			`fleet.yaml:6:69 with the variables of cluster a: the plan has no variable "size"`,
		}},
		{"a variable without a value", map[string]string{"fleet.yaml": head + clusters}, []string{`site.yaml:5:3 variable "domain" has no value`}},
		{"names and servers", map[string]string{"fleet.yaml": head + vars + `
clusters:
  kubeconfigs:
    - {name: a, file: a}
    - {name: a, file: b}
    - {name: ../x, file: c}
    - {name: d, file: a}
    - {name: e, file: c, context: d}
`}, []string{
			`fleet.yaml:10:7 cluster a: the name is taken by the one at fleet.yaml:9:7`,
			`fleet.yaml:11:7 cluster "../x": is not a name`,
			`fleet.yaml:12:7 clusters a and d are the same API server, https://a.example:6443`,
			`fleet.yaml:13:7 cluster e: c has no context "d"`,
		}},
		{"waves", map[string]string{"fleet.yaml": head + clusters + vars + `
waves:
  - {name: one, stop: {failures: few}}
  - {name: One, parallel: 0, soak: -1s}
`}, []string{
			`fleet.yaml:9:34 waves[0].stop.failures: want a number of clusters such as 3`,
			`fleet.yaml:10:27 waves[1].parallel: 0 is less than the minimum 1`,
			`fleet.yaml:10:36 waves[1].soak: -1s is less than the minimum 0s`,
		}},
		{"waves that select", map[string]string{"fleet.yaml": head + clusters + vars + `
waves:
  - {name: one}
  - {name: one, select: {ring: "1"}}
`}, []string{
			`fleet.yaml:9:5 wave one: takes every cluster`,
			`fleet.yaml:10:12 waves[1]: another wave is named one`,
		}},
		{"clusters in no wave", map[string]string{"fleet.yaml": head + clusters + vars + "waves: [{name: one, select: {ring: \"1\"}}]\n"}, []string{
			`fleet.yaml:7:8 waves: cluster a and 1 other belong to none`,
			`fleet.yaml:7:9 wave one: no cluster belongs to it`,
		}},
		{"one audience", map[string]string{"fleet.yaml": head + clusters + vars + "access: {keyless: {audience: members}}\n"}, []string{
			`fleet.yaml:7:30 access.keyless.audience: clusters a and b have the same, "members"`,
		}},
		{"no audience", map[string]string{"fleet.yaml": head + clusters + vars + "access: {keyless: {}}\n"}, []string{
			`fleet.yaml:7:9 access.keyless.audience is missing`,
		}},
		{"two ways", map[string]string{"fleet.yaml": head + clusters + vars + "access: {keyless: {audience: \"${cluster.name}\"}, secrets: {}}\n"}, []string{
			`fleet.yaml:7:9 access: has 2 ways`,
		}},
		{"evidence", map[string]string{"fleet.yaml": head + clusters + vars + "evidence: {to: oci}\n"}, []string{
			`fleet.yaml:7:11 evidence: to: oci and a repository belong together`,
		}},
		{"a registry", map[string]string{"fleet.yaml": head + clusters + vars + "evidence: {to: oci, repository: \"https://registry.example.com/x\", secret: ../x}\n"}, []string{
			`fleet.yaml:7:33 evidence.repository: repository https://registry.example.com/x`,
			`fleet.yaml:7:75 evidence.secret: "../x" is no name of a Secret`,
		}},
		{"what is for a registry", map[string]string{"fleet.yaml": head + clusters + vars + "evidence: {secret: x}\n"}, []string{
			`fleet.yaml:7:11 evidence: secret and plainHTTP are for a registry`,
		}},
		{"pull, and access", map[string]string{"fleet.yaml": head + vars + "clusters: {kubeconfigs: [{name: a}, {name: b}]}\npull: {namespace: x, serviceAccount: y}\naccess: {secrets: {}}\n"}, []string{
			`fleet.yaml:8:9 access: a cluster that pulls its Job`,
		}},
		{"pull", map[string]string{"fleet.yaml": head + vars + "clusters: {kubeconfigs: [{name: a}, {name: b}]}\npull: {namespace: x, serviceAccount: y}\n"}, nil},
		{"no kubeconfig", map[string]string{"fleet.yaml": head + vars + "clusters: {kubeconfigs: [{name: a}]}\n"}, []string{
			`fleet.yaml:6:26 cluster a: file is missing`,
		}},
		{"a signing key in Vault", map[string]string{"fleet.yaml": head + clusters + vars + "evidence: {sign: \"hashivault://fleet\"}\n"}, []string{
			`fleet.yaml:7:18 evidence.sign: "hashivault://fleet" is no file`,
		}},
		{"keys that end with the pod", map[string]string{"fleet.yaml": head + clusters, "site.yaml": `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: site}
steps:
  - {id: init, uses: vaultInit, with: {keys: {file: keys.json}}}
`}, []string{`site.yaml:5:46 step init (vaultInit): the keys would be in a file of the pod only`}},
		{"a request that ends with the pod", map[string]string{"fleet.yaml": head + clusters, "root.pem": string(root), "site.yaml": `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: site}
steps:
  - id: ca
    uses: pkiIntermediate
    with:
      vault: {address: "https://vault.example", token: "${vars.token}"}
      commonName: Intermediate CA
      parent: {external: {csrFile: ca.csr, certificateFile: ca.pem, rootFile: root.pem}}
vars: {token: {default: x, secret: true}}
`}, []string{`site.yaml:10:15 step ca (pkiIntermediate): the request for an external parent would be in a file of the pod only`}},
		{"credentials in files", map[string]string{"fleet.yaml": head + clusters, "site.yaml": `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: site}
connections:
  vault:
    address: https://vault.example.com
    login: {method: approle, roleID: a, secretIDFile: secret-id}
steps:
  - {id: root, uses: pkiRoot, with: {mount: pki, commonName: R, ttl: 1h}}
`}, []string{`site.yaml:7:55 vault.login.secretIDFile: secret-id is a secret, and a fleet stores none`}},
		{"the pod's own token", map[string]string{"fleet.yaml": head + clusters, "site.yaml": `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: site}
connections:
  vault:
    address: https://vault.example.com
    login: {method: jwt, role: a, jwtFile: /var/run/secrets/kubernetes.io/serviceaccount/token}
steps:
  - {id: root, uses: pkiRoot, with: {mount: pki, commonName: R, ttl: 1h}}
`}, nil},
		{"files that are elsewhere", map[string]string{"fleet.yaml": head + clusters, "site.yaml": `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: site}
steps:
  - {id: site, uses: applyManifest, with: {files: [../outside.yaml]}}
`, "../outside.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: default}\n"}, []string{"site.yaml:5:5 step site: ../outside.yaml is outside of the plan's directory"}},
		{"a list that is no list", map[string]string{"fleet.yaml": head + vars + "clusters: {file: more.yaml}\n", "more.yaml": "name: a\n"}, []string{"more.yaml:1:1 want a list of clusters"}},
		{"a poisoned list", map[string]string{"fleet.yaml": head + vars + "clusters: {file: more.yaml}\n", "more.yaml": "- {name: a, file: /dev/zero}\n- {name: \"b\\u202e\", file: b}\n- {file: b}\n- {name: c, file: c, token: x}\n"}, []string{
			`more.yaml:1:19 [0]: file: file "/dev/zero": is a device`,
			`more.yaml:2:3 cluster "b\u202e": is not a name`,
			"more.yaml:3:3 [2]: name is missing",
			`more.yaml:4:22 [3]: unknown key "token"`,
		}},
		{"TLS that is not verified", map[string]string{"fleet.yaml": head + vars + "clusters: {kubeconfigs: [{name: a, file: a}]}\n", "a": strings.Replace(kubeconfig("https://a.example"), `{server:`, `{insecure-skip-tls-verify: true, server:`, 1)}, []string{
			"fleet.yaml:6:26 cluster a: a: insecure-skip-tls-verify: TLS is always verified",
		}},
		{"a program that logs in", map[string]string{"fleet.yaml": head + vars + "clusters: {kubeconfigs: [{name: a, file: a}]}\n", "a": strings.Replace(kubeconfig("https://a.example"), `{token: token-of-the-cluster}`, `{exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, interactiveMode: Never}}`, 1)}, []string{
			"fleet.yaml:6:26 cluster a: a: user u runs a program to log in, which the pod does not have",
		}},
		{"a token in a file", map[string]string{"fleet.yaml": head + vars + "clusters: {kubeconfigs: [{name: a, file: a}]}\n", "a": strings.Replace(kubeconfig("https://a.example"), `token: token-of-the-cluster`, `tokenFile: token`, 1)}, []string{
			"fleet.yaml:6:26 cluster a: a: user u has a tokenFile, which the pod does not have",
		}},
		{"an empty list", map[string]string{"fleet.yaml": head + vars + "clusters: {file: more.yaml}\n", "more.yaml": "[]\n"}, []string{"fleet.yaml:6:11 clusters: there are none"}},
		{"plain HTTP", map[string]string{"fleet.yaml": head + vars + "clusters: {kubeconfigs: [{name: a, file: a}]}\n", "a": kubeconfig("http://a.example")}, []string{
			`fleet.yaml:6:26 cluster a: "http://a.example" is no address of an API server`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(t, tc.files)
			var problems *source.Problems
			if !errors.As(err, &problems) {
				if tc.want != nil {
					t.Fatalf("no problems: %v", err)
				}
				return
			}
			var got []string
			for _, p := range problems.List() {
				got = append(got, p.Position.String()+" "+p.Summary)
				if strings.Contains(p.Text(), "token-of-the-cluster") {
					t.Errorf("shows a credential: %s", p.Text())
				}
			}
			for i, line := range got {
				if i >= len(tc.want) || !strings.HasPrefix(line, tc.want[i]) {
					t.Errorf("problem %d: %s", i, line)
				}
			}
			if len(got) < len(tc.want) {
				t.Errorf("%d problems, want %q", len(got), tc.want)
			}
		})
	}
}

// One of many kubeconfigs, and one context of many in a file: a pod gets that of its
// cluster only.
func TestOwnContext(t *testing.T) {
	f, err := load(t, map[string]string{"fleet.yaml": head + `
clusters: {kubeconfigs: [{name: a, file: all, context: a}, {name: b, file: all, context: b}]}
vars: {domain: x}
`, "all": `apiVersion: v1
kind: Config
contexts: [{name: a, context: {cluster: a, user: a}}, {name: b, context: {cluster: b, user: b}}]
clusters: [{name: a, cluster: {server: "https://a.example", certificate-authority: ca}}, {name: b, cluster: {server: "https://b.example"}}]
users: [{name: a, user: {token: token-of-a}}, {name: b, user: {token: token-of-b}}]
`, "ca": "CA of a"})
	if err != nil {
		t.Fatal(err)
	}
	for i, other := range []string{"b", "a"} {
		c := f.Clusters[i]
		text := string(c.Kubeconfig)
		if !strings.Contains(text, "token-of-"+c.Name) || strings.Contains(text, "token-of-"+other) || strings.Contains(text, other+".example") {
			t.Errorf("cluster %s gets\n%s", c.Name, text)
		}
	}
	if got := string(f.Clusters[0].Server.CA); got != "CA of a" {
		t.Errorf("the CA is %q", got)
	}
}

func TestProfiles(t *testing.T) {
	const (
		refuse = "clusters: {profiles: {namespace: inventory}}\naccess: {keyless: {audience: \"${cluster.name}\"}}\nvars: {domain: \"${cluster.properties.domain}\"}\n"
		skip   = "clusters: {profiles: {namespace: inventory, unhealthy: skip}}\naccess: {keyless: {audience: \"${cluster.name}\"}}\nvars: {domain: \"${cluster.properties.domain}\"}\n"
	)
	good := fleet.Profile{Name: "good", Properties: map[string]string{"domain": "good.example"}, Server: fleet.Server{URL: "https://good.example"}}
	ill := fleet.Profile{Name: "ill", Unhealthy: "etcd has no leader"}
	odd := fleet.Profile{Name: "odd", Err: errors.New("it has no API server")}
	for _, tc := range []struct {
		name, text string
		list       []fleet.Profile
		want       []string // clusters, then those that were skipped, or problems
	}{
		{"all are healthy", refuse, []fleet.Profile{good}, []string{"good"}},
		{"unhealthy ones are refused", refuse, []fleet.Profile{good, ill, odd}, []string{
			"fleet.yaml:5:22 ClusterProfile ill is not healthy: etcd has no leader", "fleet.yaml:5:22 ClusterProfile odd: it has no API server",
		}},
		{"unhealthy ones are left out", skip, []fleet.Profile{ill, good}, []string{"good", "skipped ill"}},
		{"none is left", skip, []fleet.Profile{ill}, []string{"fleet.yaml:5:22 clusters.profiles: none of the 1 ClusterProfiles is healthy"}},
		{"none is selected", skip, nil, []string{"fleet.yaml:5:22 clusters.profiles: no ClusterProfile is selected"}},
	} {
		f, err := load(t, map[string]string{"fleet.yaml": head + tc.text}, tc.list...)
		var got []string
		var problems *source.Problems
		switch {
		case errors.As(err, &problems):
			for _, p := range problems.List() {
				got = append(got, p.Position.String()+" "+p.Summary)
			}
		case err != nil:
			t.Fatal(err)
		default:
			for _, c := range f.Clusters {
				got = append(got, c.Name)
			}
			for _, name := range f.Skipped {
				got = append(got, "skipped "+name)
			}
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
	}
}
