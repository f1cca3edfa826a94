package plan_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

// The kinds of these tests have the shapes that real ones have.

type server struct {
	Address   string         `yaml:"address"`
	Service   serviceRef     `yaml:"service"`
	CAFile    engine.File    `yaml:"caFile" check:"exists"`
	TLSServer string         `yaml:"serverName"`
	Unused    map[string]any `yaml:"-"`
}

type serviceRef struct {
	Namespace string `yaml:"namespace"`
	Name      string `yaml:"name"`
	Port      int    `yaml:"port" check:"min=1,max=65535"`
}

type connection struct {
	server `yaml:",inline"`
	Token  engine.Secret `yaml:"token"`
}

// root is like a certificate authority.
type root struct {
	Vault      connection      `yaml:"vault"`
	Mount      string          `yaml:"mount" check:"nonempty"`
	CommonName string          `yaml:"commonName" check:"required"`
	TTL        engine.Duration `yaml:"ttl" check:"min=1h,max=100000h"`
	KeyType    string          `yaml:"keyType" check:"oneof=rsa|ec|ed25519"`
	KeyBits    int             `yaml:"keyBits" check:"min=0,max=8192"`
	Roles      []role          `yaml:"roles"`
	Strict     *bool           `yaml:"strict"`
}

type role struct {
	Name    string   `yaml:"name" check:"required"`
	Domains []string `yaml:"domains"`
}

type rootOutputs struct {
	Certificate string            `yaml:"certificate"`
	IssuerID    string            `yaml:"issuerID"`
	Serials     []string          `yaml:"serials"`
	Labels      map[string]string `yaml:"labels"`
	Port        int               `yaml:"port"`
	Ready       bool              `yaml:"ready"`
	Key         engine.Secret     `yaml:"key"`
	Names       names             `yaml:"names"`
}

type names struct {
	Common string   `yaml:"common"`
	Alt    []string `yaml:"alt"`
}

func (r *root) Inspect(context.Context, *engine.Env) (out rootOutputs, edits []engine.Edit, err error) {
	return
}

func (r *root) Validate(p *engine.Problems) {
	if r.KeyType == "ed25519" && r.KeyBits != 0 {
		p.AddProblem(engine.Problem{Field: "keyBits", Message: "ed25519 keys have one size", Hint: "remove keyBits"})
	}
	for i, ro := range r.Roles {
		if len(ro.Domains) == 0 {
			p.Add(fmt.Sprintf("roles[%d].domains", i), "role %s allows no domain", ro.Name)
		}
	}
	if r.Mount == "sys" {
		p.Add("", "the mount sys belongs to Vault")
	}
}

// initialise is like the step that makes the token of all others.
type initialise struct {
	Vault     server      `yaml:"vault"`
	Shares    int         `yaml:"shares" check:"min=1,max=10"`
	Threshold int         `yaml:"threshold"`
	Keys      engine.File `yaml:"keys"`
}

type initOutputs struct {
	RootToken engine.Secret   `yaml:"rootToken"`
	Shares    []engine.Secret `yaml:"shares"`
	Version   string          `yaml:"version"`
	Count     int             `yaml:"count"`
	Lease     engine.Duration `yaml:"lease"`
}

func (*initialise) Inspect(context.Context, *engine.Env) (out initOutputs, edits []engine.Edit, err error) {
	return
}

// chart takes inline YAML and files.
type chart struct {
	Name      string            `yaml:"chart" check:"required"`
	Version   string            `yaml:"version"`
	Namespace string            `yaml:"namespace"`
	Values    map[string]any    `yaml:"values"`
	Labels    map[string]string `yaml:"labels"`
	Files     []engine.File     `yaml:"valuesFiles" check:"exists"`
	Wait      bool              `yaml:"wait"`
	Timeouts  []engine.Duration `yaml:"timeouts"`
	Weight    float64           `yaml:"weight"`
	Inline    any               `yaml:"inline"`
}

type chartOutputs struct {
	Revision int `yaml:"revision"`
}

func (*chart) Inspect(context.Context, *engine.Env) (out chartOutputs, edits []engine.Edit, err error) {
	return
}

// ResolvePaths resolves the path of a chart that is a directory.
func (c *chart) ResolvePaths(resolve func(string) string) {
	if strings.HasPrefix(c.Name, "./") {
		c.Name = resolve(c.Name)
	}
}

// Validate looks into the files, as a step that reads manifests does.
func (c *chart) Validate(p *engine.Problems) {
	for i, f := range c.Files {
		data, err := os.ReadFile(f.Path)
		if err != nil {
			continue
		}
		for n, line := range strings.Split(string(data), "\n") {
			if at := strings.Index(line, "gateway:"); at >= 0 {
				p.AddProblem(engine.Problem{
					Field: fmt.Sprintf("valuesFiles[%d]", i), File: f.Path, Line: n + 1, Column: at + 1,
					Message: `the chart has no key "gateway"`, Hint: "write service",
				})
			}
		}
	}
}

// probe is a proof.
type probe struct {
	URL    string `yaml:"url" check:"required"`
	Trust  string `yaml:"trust"`
	Expect struct {
		Status int               `yaml:"status" check:"min=100,max=599"`
		Header map[string]string `yaml:"header"`
	} `yaml:"expect"`
	Token engine.Secret   `yaml:"token"`
	Every engine.Duration `yaml:"every"`
}

type probeOutputs struct {
	Serial string `yaml:"serial"`
}

func (p *probe) Intent() []string { return []string{"get " + p.URL} }

func (*probe) Prove(context.Context, *engine.Env) (out probeOutputs, findings []engine.Finding, err error) {
	return
}

// cluster is a connection that is known before any step runs.
type cluster struct {
	Kubeconfig string `yaml:"kubeconfig"`
	Context    string `yaml:"context"`
}

func connections() []engine.Connection {
	return []engine.Connection{
		{Key: "kubernetes", New: func() any { return new(cluster) }, NoOutputs: "the cluster is known before any step runs"},
		{Key: "vault", Exclusive: [][]string{{"address", "service"}}},
	}
}

func kinds() []*engine.Kind {
	quick := engine.DefaultPolicy()
	quick.Attempts = 7
	return []*engine.Kind{
		engine.NewKind("pkiRoot", quick, func() *root {
			return &root{Mount: "pki", KeyType: "rsa", TTL: engine.Duration(24 * 3600e9)}
		}),
		engine.NewKind("vaultInit", engine.Policy{}, func() *initialise {
			return &initialise{Shares: 5, Threshold: 3, Keys: engine.File{Name: "keys.json"}}
		}),
		engine.NewKind("helmInstall", engine.DefaultPolicy(), func() *chart { return &chart{Wait: true} }),
		engine.NewProof("curlTLS", engine.DefaultPolicy(), func() *probe {
			p := &probe{}
			p.Expect.Status = 200
			return p
		}),
	}
}

// plans is where the plans of these tests are.
var plans = filepath.Join("..", "..", "testdata", "plans")
