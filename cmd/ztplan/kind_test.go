package main

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/ztplan/ztplan/cmd/ztplan/lint"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps"
)

// kindDir has the files of make kind-proof. That cannot run here, so that every
// file is read as strictly as by its program there.
const kindDir = "../../.github/kind"

// kindVersions are the versions of APISIX that the script takes.
var kindVersions = []string{"3.16.0", "3.18.0"}

func kindFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(kindDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// strict decodes a document into v, and fails the test for fields that v does not
// have.
func strict(t *testing.T, name string, data []byte, v any) {
	t.Helper()
	in := yaml.NewDecoder(bytes.NewReader(data))
	in.KnownFields(true)
	if err := in.Decode(v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// documents splits a file of several documents.
func documents(t *testing.T, name string) [][]byte {
	t.Helper()
	var out [][]byte
	for in := yaml.NewDecoder(bytes.NewReader(kindFile(t, name))); ; {
		var n yaml.Node
		err := in.Decode(&n)
		if errors.Is(err, io.EOF) {
			return out
		}
		var text []byte
		if err == nil {
			text, err = yaml.Marshal(&n)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, text)
	}
}

// Every file is one that this test reads: a new one needs a line here.
func TestKindFiles(t *testing.T) {
	want := []string{"Dockerfile", "cluster.yaml", "etcd-proxy.yaml", "proof.sh", "proof.yaml", "restart.yaml", "second-tls.yaml", "values.yaml"}
	for _, v := range kindVersions {
		want = append(want, "values-"+v+".yaml", "vars-"+v+".yaml")
	}
	entries, err := os.ReadDir(kindDir)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	if slices.Sort(want); !slices.Equal(have, want) {
		t.Errorf("files: %q, want %q", have, want)
	}
}

func TestKindCluster(t *testing.T) {
	var c struct {
		Kind       string
		APIVersion string `yaml:"apiVersion"`
		Nodes      []struct {
			Role, Image       string
			ExtraPortMappings []struct {
				ContainerPort, HostPort int
				ListenAddress, Protocol string
			} `yaml:"extraPortMappings"`
		}
	}
	data := kindFile(t, "cluster.yaml")
	// yaml.v3 wants lower case where there is no tag.
	for _, key := range []string{"containerPort", "hostPort", "listenAddress"} {
		data = bytes.ReplaceAll(data, []byte(key), []byte(strings.ToLower(key)))
	}
	strict(t, "cluster.yaml", data, &c)
	if c.Kind != "Cluster" || c.APIVersion != "kind.x-k8s.io/v1alpha4" || len(c.Nodes) != 1 {
		t.Fatalf("%+v", c)
	}
	node := c.Nodes[0]
	if !strings.Contains(node.Image, "@sha256:") || len(node.ExtraPortMappings) != 1 || node.ExtraPortMappings[0].ContainerPort != 30443 || node.ExtraPortMappings[0].HostPort != 30443 {
		t.Errorf("%+v", node)
	}
}

// The proxy before etcd is made of known fields, and the gateway's values, the
// script and the Service agree on it.
func TestKindProxy(t *testing.T) {
	codec := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	var service *corev1.Service
	var deployment *appsv1.Deployment
	for _, doc := range documents(t, "etcd-proxy.yaml") {
		o, _, err := codec.Decode(doc, nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		switch o := o.(type) {
		case *corev1.Service:
			service = o
		case *appsv1.Deployment:
			deployment = o
		case *corev1.Namespace:
		default:
			t.Errorf("unexpected %T", o)
		}
	}
	if service == nil || deployment == nil {
		t.Fatal("a Service and a Deployment are wanted")
	}
	labels := deployment.Spec.Template.Labels
	for k, v := range service.Spec.Selector {
		if labels[k] != v || deployment.Spec.Selector.MatchLabels[k] != v {
			t.Errorf("the selector %s=%s does not find the pods", k, v)
		}
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	script := string(kindFile(t, "proof.sh"))
	if !strings.Contains(script, "--tag "+container.Image+" ") || !strings.Contains(script, "load docker-image "+container.Image+" ") {
		t.Errorf("the script does not build and load the image %s", container.Image)
	}

	var values struct {
		Apisix struct {
			FullCustomConfig struct {
				Enabled bool `yaml:"enabled"`
				Config  struct {
					Nginx struct {
						Workers int `yaml:"worker_processes"`
					} `yaml:"nginx_config"`
					Deployment struct {
						Etcd struct {
							Host         []string `yaml:"host"`
							WatchTimeout int      `yaml:"watch_timeout"`
						} `yaml:"etcd"`
					} `yaml:"deployment"`
				} `yaml:"config"`
			} `yaml:"fullCustomConfig"`
		} `yaml:"apisix"`
	}
	if err := yaml.Unmarshal(kindFile(t, "values.yaml"), &values); err != nil {
		t.Fatal(err)
	}
	config := values.Apisix.FullCustomConfig.Config
	host := "http://" + service.Name + "." + service.Namespace + ".svc.cluster.local:2379"
	if !values.Apisix.FullCustomConfig.Enabled || config.Nginx.Workers != 4 || config.Deployment.Etcd.WatchTimeout != 6 ||
		!slices.Equal(config.Deployment.Etcd.Host, []string{host}) || service.Spec.Ports[0].Port != 2379 {
		t.Errorf("%+v, want 4 workers and %s", config, host)
	}
}

// The plans are valid and sound, with the values that the script gives them.
func TestKindPlans(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	server.Close()
	root := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func(name string, in plan.Input) *plan.Plan {
		t.Helper()
		in.Kinds, in.Connections = steps.All(), steps.Connections()
		p, err := plan.Load(in)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, f := range lint.Examine(p, lint.Options{}).Findings {
			if f.Severity == lint.Error {
				t.Errorf("%s: %s: %s", name, f.Rule, f.Message)
			}
		}
		return p
	}
	for _, v := range kindVersions {
		load("lab "+v, plan.Input{File: "../../plans/lab.yaml", VarFiles: []string{filepath.Join(kindDir, "vars-"+v+".yaml")}})
		var values struct{ Image struct{ Tag string } }
		if strict(t, "values-"+v, kindFile(t, "values-"+v+".yaml"), &values); values.Image.Tag != v+"-ubuntu" {
			t.Errorf("values-%s.yaml has the tag %s", v, values.Image.Tag)
		}
	}
	load("proof", plan.Input{File: filepath.Join(kindDir, "proof.yaml"), Vars: map[string]string{"trust": root, "maxSwitch": "10s"}})
	load("restart", plan.Input{File: filepath.Join(kindDir, "restart.yaml"), Vars: map[string]string{"trust": root, "maxLost": "0"}})

	// The second ApisixTls is a conflict for lint when both are in one plan.
	text := kindFile(t, "../../plans/lab.yaml")
	text = append(text, "\n  - id: second\n    uses: applyManifest\n    needs: [tls]\n    with: {files: [../.github/kind/second-tls.yaml]}\n"...)
	p, err := plan.Load(plan.Input{File: "../../plans/lab.yaml", Data: text, Kinds: steps.All(), Connections: steps.Connections()})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(lint.Examine(p, lint.Options{}).Findings, func(f lint.Finding) bool { return f.Rule == "host-conflict" && f.Step == "second" }) {
		t.Error("lint does not find that second-tls.yaml names the host of plans/lab.yaml")
	}
}

// The manifests of custom resources have the fields of their kinds and no others.
func TestKindSecondTLS(t *testing.T) {
	type meta struct{ Name, Namespace string }
	var cert struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   meta
		Spec       struct {
			SecretName  string `yaml:"secretName"`
			Duration    string
			RenewBefore string `yaml:"renewBefore"`
			PrivateKey  struct {
				RotationPolicy string `yaml:"rotationPolicy"`
			} `yaml:"privateKey"`
			IssuerRef struct{ Name, Kind string } `yaml:"issuerRef"`
			DNSNames  []string                    `yaml:"dnsNames"`
		}
	}
	var tls struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   meta
		Spec       struct {
			IngressClassName string `yaml:"ingressClassName"`
			Hosts            []string
			Secret           meta
		}
	}
	docs := documents(t, "second-tls.yaml")
	if len(docs) != 2 {
		t.Fatalf("%d documents, want 2", len(docs))
	}
	strict(t, "the Certificate", docs[0], &cert)
	strict(t, "the ApisixTls", docs[1], &tls)
	if cert.Spec.SecretName != tls.Spec.Secret.Name || cert.Metadata.Namespace != tls.Spec.Secret.Namespace {
		t.Errorf("the ApisixTls names secret %+v, the Certificate makes %s", tls.Spec.Secret, cert.Spec.SecretName)
	}
	script := string(kindFile(t, "proof.sh"))
	for _, part := range []string{"certificate/" + cert.Metadata.Name, tls.Metadata.Namespace + "/" + tls.Metadata.Name} {
		if !strings.Contains(script, part) {
			t.Errorf("the script does not name %s", part)
		}
	}
}

// The script is Bash, and the workflow calls it for each version that it takes.
func TestKindScript(t *testing.T) {
	if out, err := exec.Command("bash", "-n", filepath.Join(kindDir, "proof.sh")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if script := string(kindFile(t, "proof.sh")); !strings.Contains(script, strings.Join(kindVersions, " | ")+") ;;") {
		t.Errorf("the script does not take the versions %q", kindVersions)
	}
	var workflow struct {
		Jobs struct {
			Proof struct {
				Strategy struct{ Matrix struct{ Apisix []string } }
				Steps    []struct {
					Run string
					Env map[string]string
				}
			}
		}
	}
	if err := yaml.Unmarshal(kindFile(t, "../workflows/kind.yml"), &workflow); err != nil {
		t.Fatal(err)
	}
	job := workflow.Jobs.Proof
	if !slices.Equal(job.Strategy.Matrix.Apisix, kindVersions) {
		t.Errorf("the workflow's versions are %q, want %q", job.Strategy.Matrix.Apisix, kindVersions)
	}
	calls := false
	for _, s := range job.Steps {
		calls = calls || s.Run == "make kind-proof" && s.Env["APISIX"] == "${{ matrix.apisix }}"
	}
	if !calls {
		t.Error("the workflow does not call make kind-proof with the version")
	}
}
