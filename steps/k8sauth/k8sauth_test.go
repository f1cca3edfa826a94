package k8sauth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/k8sauth"
)

func TestMain(m *testing.M) { vaulttest.Main(m) }

// authority makes the certificate of an API server that Vault, which does not run
// in a pod here, has to trust.
func authority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubernetes"},
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// newSpec is the guide's set-up, on the side of Vault only.
func newSpec(address, token, mount, ca string) *k8sauth.Spec {
	s := k8sauth.Kind.New().(*k8sauth.Spec)
	s.Vault.Address, s.Vault.Token = address, engine.NewSecret(token)
	s.Mount = mount
	s.Config.KubernetesCACert, s.Config.DisableLocalCAJWT = ca, true
	s.Policies = []k8sauth.Policy{{
		Name:  mount + "-policy",
		Paths: map[string][]string{"pki_int/sign/example-dot-local": {"update"}},
	}}
	s.Roles = []k8sauth.Role{{
		Name: "cert-manager", ServiceAccounts: []string{"vault-issuer"}, Namespaces: []string{"cert-manager"},
		Policies: []string{mount + "-policy"}, Audience: "vault://vault-issuer", TokenTTL: engine.Duration(time.Minute),
	}}
	return s
}

// mount returns a path for the test, and unmounts it when it ends.
func mount(t *testing.T, v *vaulttest.Server) string {
	path := strings.ToLower(v.Mount(t, ""))
	t.Cleanup(func() { reset(t, v, path) })
	return path
}

func reset(t *testing.T, v *vaulttest.Server, path string) {
	t.Helper()
	c := v.Client(t)
	if err := errors.Join(c.Sys().DisableAuth(path), c.Sys().DeletePolicy(path+"-policy")); err != nil {
		t.Error(err)
	}
}

func inspect(t *testing.T, s *k8sauth.Spec) (k8sauth.Outputs, []engine.Edit) {
	t.Helper()
	out, edits, err := s.Inspect(t.Context(), vaulttest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return out, edits
}

func converge(t *testing.T, s *k8sauth.Spec) k8sauth.Outputs {
	t.Helper()
	_, edits := inspect(t, s)
	if err := vaulttest.ApplyAll(t, edits); err != nil {
		t.Fatal(err)
	}
	out, edits := inspect(t, s)
	if len(edits) > 0 {
		t.Fatalf("still differs: %v", vaulttest.Show(edits))
	}
	return out
}

func TestContract(t *testing.T) {
	v := vaulttest.Shared(t)
	p := vaulttest.NewProxy(t, v.Address)
	path, ca := mount(t, v), authority(t)
	enginetest.Run(t, enginetest.Case{
		Kind:    k8sauth.Kind,
		Env:     vaulttest.Env(t),
		Spec:    func() any { return newSpec(p.Address, v.Token, path, ca) },
		Writes:  p.Writes,
		Secrets: []string{v.Token},
		Reset:   func(context.Context) error { reset(t, v, path); return nil },
	})
}

func TestDifferenceOfAnEmptyVault(t *testing.T) {
	v := vaulttest.Shared(t)
	path := mount(t, v)
	s := newSpec(v.Address, v.Token, path, "")
	s.Config.DisableLocalCAJWT = false
	out, edits := inspect(t, s)
	want := []string{
		"sys/auth/MOUNT: <nil> -> map[type:kubernetes]",
		"auth/MOUNT/config: <nil> -> map[kubernetes_host:https://kubernetes.default.svc:443]",
		`sys/policies/acl/MOUNT-policy: <nil> -> path "pki_int/sign/example-dot-local" {
  capabilities = ["update"]
}`,
		"auth/MOUNT/role/cert-manager: <nil> -> map[audience:vault://vault-issuer bound_service_account_names:[vault-issuer] bound_service_account_namespaces:[cert-manager] token_max_ttl:1m token_policies:[MOUNT-policy] token_ttl:1m]",
	}
	got := vaulttest.Show(edits)
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], path, "MOUNT")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(k8sauth.Outputs{Mount: path, MountPath: "/v1/auth/" + path, Role: "cert-manager", Roles: []string{"cert-manager"}}, out); diff != "" {
		t.Error(diff)
	}
}

// Outside a pod, Vault has no authority of its own.
func TestOutsideAPod(t *testing.T) {
	v := vaulttest.Shared(t)
	s := newSpec(v.Address, v.Token, mount(t, v), "")
	s.Config.DisableLocalCAJWT = false
	_, edits := inspect(t, s)
	if err := vaulttest.ApplyAll(t, edits); !errors.Is(err, engine.ErrPermanent) {
		t.Errorf("error is %v", err)
	}
}

// The guide's configuration and role, as written by hand, are put right.
func TestPutsTheGuideRight(t *testing.T) {
	v := vaulttest.Shared(t)
	path, ca := mount(t, v), authority(t)
	v.Do(t, "POST", "sys/auth/"+path, `{"type":"kubernetes"}`)
	v.DoJSON(t, "POST", "auth/"+path+"/config", map[string]any{
		"kubernetes_host": "https://kubernetes.default.svc:443", "kubernetes_ca_cert": ca + "\n", "token_reviewer_jwt": "eyJ.planted.jwt", "disable_local_ca_jwt": true,
	})
	v.Do(t, "POST", "auth/"+path+"/role/cert-manager", `{"bound_service_account_names":"cert-manager","bound_service_account_namespaces":"cert-manager","policies":"`+path+`-policy","ttl":"24h"}`)
	s := newSpec(v.Address, v.Token, path, ca)
	_, edits := inspect(t, s)
	want := []string{
		"auth/MOUNT/config/token_reviewer_jwt_set: true -> false",
		"auth/MOUNT/role/cert-manager/audience:  -> vault://vault-issuer",
		"auth/MOUNT/role/cert-manager/bound_service_account_names: [cert-manager] -> [vault-issuer]",
		"auth/MOUNT/role/cert-manager/token_max_ttl: 0s -> 1m",
		"auth/MOUNT/role/cert-manager/token_ttl: 24h -> 1m",
	}
	var got []string
	for _, e := range vaulttest.Show(edits) {
		if !strings.HasPrefix(e, "sys/policies/") {
			got = append(got, strings.ReplaceAll(e, path, "MOUNT"))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(edits[0].Note, "bound to a pod") {
		t.Errorf("note is %q", edits[0].Note)
	}
	converge(t, s)
}

func TestDrift(t *testing.T) {
	v := vaulttest.Shared(t)
	path, ca := mount(t, v), authority(t)
	s := newSpec(v.Address, v.Token, path, ca)
	converge(t, s)
	role, config := "auth/"+path+"/role/cert-manager", "auth/"+path+"/config"
	for name, c := range map[string]struct {
		path string
		body map[string]any
		want string
	}{
		"audience":    {role, map[string]any{"audience": ""}, role + "/audience:  -> vault://vault-issuer"},
		"ttl":         {role, map[string]any{"token_max_ttl": "24h", "token_ttl": "24h"}, role + "/token_max_ttl: 24h -> 1m"},
		"policies":    {role, map[string]any{"token_policies": []string{"root"}}, role + "/token_policies: [root] -> [" + path + "-policy]"},
		"names":       {role, map[string]any{"bound_service_account_names": "*"}, role + "/bound_service_account_names: [*] -> [vault-issuer]"},
		"period":      {role, map[string]any{"token_period": "1h"}, role + "/token_period: 1h -> 0s"},
		"type":        {role, map[string]any{"token_type": "batch"}, role + "/token_type: batch -> default"},
		"alias":       {role, map[string]any{"alias_name_source": "serviceaccount_name"}, role + "/alias_name_source: serviceaccount_name -> serviceaccount_uid"},
		"selector":    {role, map[string]any{"bound_service_account_namespace_selector": `{"matchLabels":{"a":"b"}}`}, role + `/bound_service_account_namespace_selector: {"matchLabels":{"a":"b"}} -> `},
		"host":        {config, map[string]any{"kubernetes_host": "https://elsewhere", "kubernetes_ca_cert": ca, "disable_local_ca_jwt": true}, config + "/kubernetes_host: https://elsewhere -> https://kubernetes.default.svc:443"},
		"issuer":      {config, map[string]any{"kubernetes_host": "https://kubernetes.default.svc:443", "kubernetes_ca_cert": ca, "disable_local_ca_jwt": true, "issuer": "x"}, config + "/issuer: x -> "},
		"policy":      {"sys/policies/acl/" + path + "-policy", map[string]any{"policy": `path "*" { capabilities = ["sudo"] }`}, "sys/policies/acl/" + path + `-policy: path "*" { capabilities = ["sudo"] } -> path "pki_int/sign/example-dot-local" {` + "\n  capabilities = [\"update\"]\n}"},
		"description": {"sys/auth/" + path + "/tune", map[string]any{"description": "mine"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v.DoJSON(t, "POST", c.path, c.body)
			_, edits := inspect(t, s)
			got := strings.Join(vaulttest.Show(edits), "\n")
			if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
				t.Errorf("edits: %s\nwant first: %s", got, c.want)
			}
			converge(t, s)
		})
	}
	t.Run("policy in other lines", func(t *testing.T) {
		v.DoJSON(t, "POST", "sys/policies/acl/"+path+"-policy", map[string]any{"policy": "\n" + `path "pki_int/sign/example-dot-local" {` + "\n  capabilities = [\"update\"]\n}\n\n"})
		if _, edits := inspect(t, s); len(edits) > 0 {
			t.Errorf("differs: %v", vaulttest.Show(edits))
		}
	})
}

func TestDescription(t *testing.T) {
	v := vaulttest.Shared(t)
	s := newSpec(v.Address, v.Token, mount(t, v), authority(t))
	s.Description = "logins of the cluster"
	converge(t, s)
	s.Description = "logins"
	_, edits := inspect(t, s)
	want := []string{"sys/auth/" + s.Mount + "/description: logins of the cluster -> logins"}
	if diff := cmp.Diff(want, vaulttest.Show(edits)); diff != "" {
		t.Error(diff)
	}
	converge(t, s)
}

func TestRules(t *testing.T) {
	v := vaulttest.Shared(t)
	s := newSpec(v.Address, v.Token, mount(t, v), authority(t))
	s.Policies[0] = k8sauth.Policy{Name: s.Policies[0].Name, Rules: "\npath \"a/*\" {\n  capabilities = [\"read\"]\n}\n"}
	converge(t, s)
}

func TestLostAnswers(t *testing.T) {
	v := vaulttest.Shared(t)
	for _, part := range []string{"sys/auth/", "/config", "sys/policies/", "/role/"} {
		t.Run(strings.Trim(strings.ReplaceAll(part, "/", "_"), "_"), func(t *testing.T) {
			p := vaulttest.NewProxy(t, v.Address)
			p.LoseAnswer(func(r vaulttest.Request) bool { return r.Write() && strings.Contains(r.Path, part) })
			s := newSpec(p.Address, v.Token, mount(t, v), authority(t))
			_, edits := inspect(t, s)
			if err := vaulttest.ApplyAll(t, edits); err == nil || errors.Is(err, engine.ErrPermanent) {
				t.Fatalf("error is %v, want one that another try may cure", err)
			}
			converge(t, s)
		})
	}
}

func TestRefusesAnotherMethod(t *testing.T) {
	v := vaulttest.Shared(t)
	_, _, err := newSpec(v.Address, v.Token, "token", "").Inspect(t.Context(), vaulttest.Env(t))
	vaulttest.WantPermanent(t, err, "sys/auth/token: is mounted with type token, and the plan wants kubernetes", "another mount")
}

// A text that is no certificate is an error when the plan is read, not in Vault.
func TestValidateAuthority(t *testing.T) {
	good := authority(t)
	for name, c := range map[string]struct {
		text, want string
		hint       bool
	}{
		"a certificate":     {good, "", false},
		"several":           {good + authority(t), "", false},
		"not known yet":     {"", "", false},
		"words":             {"not a pem", "no PEM certificate in it", false},
		"a first line":      {"-----BEGIN CERTIFICATE-----", "cut off", false},
		"a path of Vault's": {"@ca.crt", "no PEM certificate in it", true},
	} {
		s := newSpec("https://vault.example.com", "t", "kubernetes", c.text)
		s.Config.DisableLocalCAJWT = false
		p := &engine.Problems{}
		s.Validate(p)
		got := p.List()
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || got[0].Field != "config.kubernetesCACert" || !strings.Contains(got[0].Message, c.want) || c.hint != (got[0].Hint != "")) {
			t.Errorf("%s: %+v, want %q", name, got, c.want)
		}
	}
}

func TestValidate(t *testing.T) {
	s := newSpec("https://vault.example.com", "t", "kubernetes", "")
	s.Config.KubernetesHost = "http://kubernetes.default.svc"
	s.Policies = []k8sauth.Policy{
		{Name: "Upper", Rules: "x"},
		{Name: "both", Rules: "x", Paths: map[string][]string{"a": {"read"}}},
		{Name: "none"},
		{Name: "bad", Paths: map[string][]string{"/a": {"read"}, "b": {"write"}, "c": nil}},
		{Name: "root", Rules: "x"},
	}
	s.Roles = []k8sauth.Role{
		{Name: "all", ServiceAccounts: []string{"*"}, Namespaces: []string{"*"}, Policies: []string{"root"}},
		{Name: "nobody"},
		{Name: "long", ServiceAccounts: []string{"a", "*"}, Namespaces: []string{"b"}, TokenTTL: 2, TokenMaxTTL: 1},
		{Name: "long", ServiceAccounts: []string{"a"}, Namespaces: []string{"b"}},
	}
	s.TokenRequest = &k8sauth.TokenRequest{}
	p := &engine.Problems{}
	s.Validate(p)
	var got []string
	for _, problem := range p.List() {
		got = append(got, problem.Field)
	}
	want := []string{
		"config.kubernetesHost", "config.kubernetesCACert",
		"policies[0].name", "policies[1].paths", "policies[2]", "policies[3].paths./a", "policies[3].paths.b", "policies[3].paths.c", "policies[4].name",
		"roles[0]", "roles[0].policies[0]", "roles[1].serviceAccounts", "roles[1].namespaces", "roles[2].serviceAccounts", "roles[2].tokenTTL", "roles[3].name",
		"tokenRequest",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
