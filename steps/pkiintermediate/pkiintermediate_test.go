package pkiintermediate_test

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/pki"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/pkiintermediate"
)

func TestMain(m *testing.M) { vaulttest.Main(m) }

// A parentVault is a Vault with a root made by hand, and the mount of the
// intermediate, which is not there yet.
type parentVault struct {
	*vaulttest.Server
	root, mount string
	certificate string // the root's
}

func newParentVault(t *testing.T) *parentVault {
	t.Helper()
	v := vaulttest.Shared(t)
	w := &parentVault{Server: v, root: v.Mount(t, "_root"), mount: v.Mount(t, "")}
	w.certificate = w.makeRoot(t, "Root CA Lab")
	return w
}

// makeRoot adds a root to the root mount, makes it the default and returns its
// certificate.
func (w *parentVault) makeRoot(t *testing.T, commonName string) string {
	t.Helper()
	_ = w.Client(t).Sys().Unmount(w.root)
	w.Do(t, "POST", "sys/mounts/"+w.root, `{"type":"pki","config":{"max_lease_ttl":"87600h"}}`)
	made := w.Do(t, "POST", w.root+"/root/generate/internal", `{"common_name":"`+commonName+`","ttl":"87600h","key_type":"ec"}`)
	return made["certificate"].(string)
}

// spec is the guide's intermediate with its role.
func (w *parentVault) spec(address string) *pkiintermediate.Spec {
	s := pkiintermediate.Kind.New().(*pkiintermediate.Spec)
	s.Vault.Address, s.Vault.Token = address, engine.NewSecret(w.Token)
	s.Mount = w.mount
	s.Parent.Mount, s.Parent.Certificate = w.root, w.certificate
	s.CommonName = "Intermediate CA Lab"
	s.KeyType = "ec"
	s.URLs = pki.URLs{
		IssuingCertificates:   []string{"http://vault.vault.svc.cluster.local:8200/v1/pki_int/ca"},
		CRLDistributionPoints: []string{"http://vault.vault.svc.cluster.local:8200/v1/pki_int/crl"},
	}
	no := false
	s.Roles = []pkiintermediate.Role{{
		Name: "example-dot-local", AllowedDomains: []string{"example.local"},
		AllowSubdomains: true, AllowBareDomains: true, RequireCN: &no,
		MaxTTL: engine.Duration(24 * time.Hour),
	}}
	return s
}

func inspect(t *testing.T, s *pkiintermediate.Spec) (pkiintermediate.Outputs, []engine.Edit) {
	t.Helper()
	out, edits, err := s.Inspect(t.Context(), vaulttest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return out, edits
}

func converge(t *testing.T, s *pkiintermediate.Spec) pkiintermediate.Outputs {
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
	w := newParentVault(t)
	p := vaulttest.NewProxy(t, w.Address)
	enginetest.Run(t, enginetest.Case{
		Kind:    pkiintermediate.Kind,
		Env:     vaulttest.Env(t),
		Spec:    func() any { return w.spec(p.Address) },
		Writes:  p.Writes,
		Secrets: []string{w.Token},
		Reset:   func(context.Context) error { return w.Client(t).Sys().Unmount(w.mount) },
	})
	w.WantPKI(t, w.mount, 2, 1) // the root came with the chain, without its key
}

func TestDifferenceOfAnEmptyVault(t *testing.T) {
	w := newParentVault(t)
	_, edits := inspect(t, w.spec(w.Address))
	root, err := certs.ParseOne(w.certificate)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"sys/mounts/MOUNT: <nil> -> map[max_lease_ttl:43800h type:pki]",
		"MOUNT/config/urls: <nil> -> map[crl_distribution_points:[http://vault.vault.svc.cluster.local:8200/v1/pki_int/crl] issuing_certificates:[http://vault.vault.svc.cluster.local:8200/v1/pki_int/ca]]",
		"MOUNT/issuer/intermediate-lab: <nil> -> map[common_name:Intermediate CA Lab key_bits:256 key_type:ec signed_by:Root CA Lab, SHA-256 " + certs.Fingerprint(root) + " ttl:43800h]",
		"MOUNT/roles/example-dot-local: <nil> -> map[allow_bare_domains:true allow_subdomains:true allowed_domains:[example.local] max_ttl:24h require_cn:false]",
	}
	got := vaulttest.Show(edits)
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], w.mount, "MOUNT")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Without a parent the difference can still be shown, and applying it is an
// error that names the parent.
func TestNoParentYet(t *testing.T) {
	w := newParentVault(t)
	if err := w.Client(t).Sys().Unmount(w.root); err != nil {
		t.Fatal(err)
	}
	s := w.spec(w.Address)
	s.Parent.Certificate = ""
	_, edits := inspect(t, s)
	if len(edits) != 4 {
		t.Errorf("edits: %v", vaulttest.Show(edits))
	}
	err := vaulttest.ApplyAll(t, edits)
	if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "the parent "+w.root+"/issuer/default does not exist") {
		t.Errorf("error is %v", err)
	}
	w.WantPKI(t, w.mount, 0, 0)
}

func TestOutputs(t *testing.T) {
	w := newParentVault(t)
	out := converge(t, w.spec(w.Address))
	chain, err := certs.Parse(out.Chain)
	if err != nil || len(chain) != 2 {
		t.Fatalf("chain has %d certificates: %v", len(chain), err)
	}
	if certs.Encode(chain[0]) != out.Certificate || strings.TrimSpace(certs.Encode(chain[1])) != strings.TrimSpace(w.certificate) {
		t.Error("chain is not the intermediate and the root")
	}
	want := pkiintermediate.Outputs{
		Certificate: out.Certificate, Chain: out.Chain, IssuerID: out.IssuerID,
		IssuerName: "intermediate-lab", Serial: certs.Serial(chain[0]),
		NotAfter:    chain[0].NotAfter.UTC().Format(time.RFC3339),
		Fingerprint: certs.Fingerprint(chain[0]), Mount: w.mount, Roles: []string{"example-dot-local"},
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
}

// The purpose of the intermediate: a leaf whose chain leads to the root, as
// cert-manager asks for it.
func TestSignsLeaves(t *testing.T) {
	w := newParentVault(t)
	converge(t, w.spec(w.Address))
	leaf := w.Do(t, "POST", w.mount+"/issue/example-dot-local", `{"common_name":"hello.example.local","ttl":"1h"}`)
	cert, err := certs.ParseOne(leaf["certificate"].(string))
	if err != nil {
		t.Fatal(err)
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(w.certificate))
	chain := leaf["ca_chain"].([]any)
	intermediates.AppendCertsFromPEM([]byte(chain[0].(string)))
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, DNSName: "hello.example.local"}); err != nil {
		t.Error(err)
	}
	if len(chain) != 2 {
		t.Errorf("ca_chain has %d certificates, want intermediate and root", len(chain))
	}
	if diff := cmp.Diff([]string{"http://vault.vault.svc.cluster.local:8200/v1/pki_int/ca"}, cert.IssuingCertificateURL); diff != "" {
		t.Error(diff)
	}
}

// Each answer of the chain of requests is lost once: never two intermediates,
// never a key without one.
func TestLostAnswers(t *testing.T) {
	paths := []string{
		"MOUNT/intermediate/generate/internal", "sign-intermediate", "MOUNT/intermediate/set-signed",
		"MOUNT/issuer/", "MOUNT/roles/example-dot-local", "MOUNT/config/urls", "sys/mounts/MOUNT",
	}
	for _, path := range paths {
		for _, how := range []string{"answer", "request"} {
			t.Run(strings.ReplaceAll(path, "/", "_")+"/"+how, func(t *testing.T) {
				w := newParentVault(t)
				p := vaulttest.NewProxy(t, w.Address)
				part := strings.ReplaceAll(path, "MOUNT", w.mount)
				match := func(r vaulttest.Request) bool { return r.Write() && strings.Contains(r.Path, part) }
				if how == "answer" {
					p.LoseAnswer(match)
				} else {
					p.LoseRequest(match)
				}
				s := w.spec(p.Address)
				_, edits := inspect(t, s)
				err := vaulttest.ApplyAll(t, edits)
				if err == nil || errors.Is(err, engine.ErrPermanent) {
					t.Fatalf("error is %v, want one that another try may cure", err)
				}
				converge(t, s)
				w.WantPKI(t, w.mount, 2, 1)
				if err := p.Unused(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// The guide, run twice by hand, leaves two intermediates without names and an
// unused key.
func TestAdoptsTheGuidesIntermediate(t *testing.T) {
	w := newParentVault(t)
	s := w.spec(w.Address)
	w.Do(t, "POST", "sys/mounts/"+w.mount, `{"type":"pki","config":{"max_lease_ttl":"43800h"}}`)
	csr := w.Do(t, "POST", w.mount+"/intermediate/generate/internal", `{"common_name":"Intermediate CA Lab","key_type":"ec"}`)["csr"]
	signed := w.DoJSON(t, "POST", w.root+"/root/sign-intermediate", map[string]any{"csr": csr, "format": "pem_bundle", "ttl": "43800h"})
	w.DoJSON(t, "POST", w.mount+"/intermediate/set-signed", map[string]any{"certificate": signed["certificate"]})

	_, edits := inspect(t, s)
	if !slices.ContainsFunc(vaulttest.Show(edits), func(e string) bool { return strings.HasSuffix(e, "/issuer_name:  -> intermediate-lab") }) {
		t.Errorf("edits: %v", vaulttest.Show(edits))
	}
	out := converge(t, s)
	if strings.TrimSpace(out.Certificate) != strings.TrimSpace(pemFirst(t, signed["certificate"].(string))) {
		t.Error("not the intermediate that was there")
	}
	w.WantPKI(t, w.mount, 2, 1)
}

func pemFirst(t *testing.T, bundle string) string {
	t.Helper()
	all, err := certs.Parse(bundle)
	if err != nil {
		t.Fatal(err)
	}
	return certs.Encode(all[0])
}

// Imported alone, the intermediate would make cert-manager take it for the root.
func TestCompletesTheChain(t *testing.T) {
	for name, addresses := range map[string]bool{"with addresses": true, "without addresses": false} {
		t.Run(name, func(t *testing.T) {
			w := newParentVault(t)
			s := w.spec(w.Address)
			if !addresses {
				s.URLs = pki.URLs{}
			}
			w.Do(t, "POST", "sys/mounts/"+w.mount, `{"type":"pki","config":{"max_lease_ttl":"43800h"}}`)
			csr := w.Do(t, "POST", w.mount+"/intermediate/generate/internal", `{"common_name":"Intermediate CA Lab","key_type":"ec"}`)["csr"]
			signed := w.DoJSON(t, "POST", w.root+"/root/sign-intermediate", map[string]any{"csr": csr, "ttl": "43800h"})
			w.DoJSON(t, "POST", w.mount+"/intermediate/set-signed", map[string]any{"certificate": signed["certificate"]})

			_, edits := inspect(t, s)
			want := w.mount + "/issuer/intermediate-lab/ca_chain: [Intermediate CA Lab] -> [Intermediate CA Lab Root CA Lab]"
			if got := vaulttest.Show(edits); !slices.Contains(got, want) {
				t.Errorf("edits: %v", got)
			}
			if chain, err := certs.Parse(converge(t, s).Chain); err != nil || len(chain) != 2 {
				t.Errorf("chain: %d, %v", len(chain), err)
			}
		})
	}
}

// A key that was left behind without a name is used as well, if it fits.
func TestOrphanKeys(t *testing.T) {
	for name, c := range map[string]struct {
		key  string
		keys int
	}{
		"fits":      {`{"key_type":"ec"}`, 1},
		"own":       {`{"key_type":"ec","key_name":"intermediate-lab"}`, 1},
		"wrong":     {`{"key_type":"rsa"}`, 2},
		"own wrong": {`{"key_type":"rsa","key_name":"intermediate-lab"}`, 2},
		"foreign":   {`{"key_type":"ec","key_name":"somebodys"}`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newParentVault(t)
			w.Do(t, "POST", "sys/mounts/"+w.mount, `{"type":"pki","config":{"max_lease_ttl":"43800h"}}`)
			w.Do(t, "POST", w.mount+"/keys/generate/internal", c.key)
			converge(t, w.spec(w.Address))
			w.WantPKI(t, w.mount, 2, c.keys)
		})
	}
}

// An intermediate that no longer serves gets a successor with a new key and
// keeps its certificate. Replacing it may stop anywhere.
func TestReplaces(t *testing.T) {
	for _, stop := range []struct {
		name, method, part string
		nth                int
	}{
		{name: "nowhere"},
		{"after the key", "PUT", "intermediate/generate/internal", 1},
		{"after the signature", "PUT", "sign-intermediate", 1},
		{"after the import", "PUT", "intermediate/set-signed", 1},
		{"after the old name", "PATCH", "/issuer/", 1},
		{"after the new name", "PATCH", "/issuer/", 2},
		{"after the default", "PUT", "/config/issuers", 1},
	} {
		t.Run(stop.name, func(t *testing.T) {
			w := newParentVault(t)
			p := vaulttest.NewProxy(t, w.Address)
			s := w.spec(p.Address)
			old := converge(t, s)
			retired := "intermediate-lab-" + strings.ReplaceAll(old.Serial, ":", "")[:8]

			s.TTL = engine.Duration(40000 * time.Hour)
			_, edits := inspect(t, s)
			want := []string{
				w.mount + "/issuer/intermediate-lab/ttl: 43800h -> 40000h",
				w.mount + "/config/issuers/default: " + retired + " -> intermediate-lab",
			}
			if diff := cmp.Diff(want, vaulttest.Show(edits)); diff != "" {
				t.Error(diff)
			}
			if stop.nth > 0 {
				seen := 0
				p.LoseAnswer(func(r vaulttest.Request) bool {
					if r.Method == stop.method && strings.Contains(r.Path, stop.part) {
						seen++
					}
					return seen == stop.nth
				})
			}
			if err := vaulttest.ApplyAll(t, edits); (err != nil) != (stop.nth > 0) || errors.Is(err, engine.ErrPermanent) {
				t.Fatalf("error is %v", err)
			}
			next := converge(t, s)
			if next.IssuerID == old.IssuerID || next.IssuerName != "intermediate-lab" {
				t.Errorf("not replaced: %+v", next)
			}
			w.WantPKI(t, w.mount, 3, 2)
			if have := w.Do(t, "GET", w.mount+"/issuer/"+old.IssuerID, "")["issuer_name"]; have != retired {
				t.Errorf("the old one is called %v, want %s", have, retired)
			}
			if newest := w.Do(t, "GET", w.mount+"/issuer/default", "")["issuer_id"]; newest != next.IssuerID {
				t.Errorf("default issuer is %v, want %s", newest, next.IssuerID)
			}
			if sameKey(t, old.Certificate, next.Certificate) {
				t.Error("the key did not change")
			}
			if err := p.Unused(); err != nil {
				t.Error(err)
			}
		})
	}
}

func sameKey(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := certs.ParseOne(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := certs.ParseOne(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(x.RawSubjectPublicKeyInfo) == string(y.RawSubjectPublicKeyInfo)
}

// The plan goes back: the retired intermediate serves again, and
// no third one is made.
func TestTakesTheRetiredOneBack(t *testing.T) {
	w := newParentVault(t)
	s := w.spec(w.Address)
	first := converge(t, s)
	s.TTL = engine.Duration(40000 * time.Hour)
	converge(t, s)
	s.TTL = engine.Duration(43800 * time.Hour)
	if again := converge(t, s); again.IssuerID != first.IssuerID {
		t.Errorf("%s serves, want %s", again.IssuerID, first.IssuerID)
	}
	w.WantPKI(t, w.mount, 3, 2)
}

func TestReasonsToReplace(t *testing.T) {
	w := newParentVault(t)
	s := w.spec(w.Address)
	out := converge(t, s)
	zero := 0
	for name, c := range map[string]struct {
		change func(t *testing.T, s *pkiintermediate.Spec, env *engine.Env)
		want   string
	}{
		"near its end": {func(t *testing.T, s *pkiintermediate.Spec, env *engine.Env) {
			env.Now = func() time.Time { return time.Now().Add(43100 * time.Hour) }
		}, "not_after: " + out.NotAfter + " -> more than 720h ahead"},
		"common name": {func(t *testing.T, s *pkiintermediate.Spec, env *engine.Env) {
			s.CommonName = "Issuing CA"
		}, "common_name: Intermediate CA Lab -> Issuing CA"},
		"key": {func(t *testing.T, s *pkiintermediate.Spec, env *engine.Env) {
			s.KeyBits = 384
		}, "key_bits: 256 -> 384"},
		"path length": {func(t *testing.T, s *pkiintermediate.Spec, env *engine.Env) {
			s.MaxPathLength = &zero
		}, "max_path_length: <nil> -> 0"},
		"subject": {func(t *testing.T, s *pkiintermediate.Spec, env *engine.Env) {
			s.Subject.Country = []string{"CO"}
		}, "country: [] -> [CO]"},
	} {
		t.Run(name, func(t *testing.T) {
			env, changed := vaulttest.Env(t), *s
			c.change(t, &changed, env)
			_, edits, err := changed.Inspect(t.Context(), env)
			if err != nil {
				t.Fatal(err)
			}
			if want := w.mount + "/issuer/intermediate-lab/" + c.want; len(edits) == 0 || vaulttest.Show(edits)[0] != want {
				t.Errorf("edits: %v, want first: %s", vaulttest.Show(edits), want)
			}
		})
	}
	t.Run("another root", func(t *testing.T) {
		s := *s
		s.Parent.Certificate = w.makeRoot(t, "Root CA Lab")
		_, edits := inspect(t, &s)
		if got := vaulttest.Show(edits)[0]; !strings.Contains(got, "/signed_by: Root CA Lab, not the parent as it is now -> Root CA Lab, SHA-256 ") {
			t.Errorf("edits: %s", got)
		}
		converge(t, &s)
	})
}

func TestPathLengthZero(t *testing.T) {
	w := newParentVault(t)
	s := w.spec(w.Address)
	zero := 0
	s.MaxPathLength = &zero
	cert, err := certs.ParseOne(converge(t, s).Certificate)
	if err != nil || !cert.MaxPathLenZero {
		t.Errorf("MaxPathLenZero is %v, %v", cert.MaxPathLenZero, err)
	}
}

func TestRoleDrift(t *testing.T) {
	w := newParentVault(t)
	s := w.spec(w.Address)
	s.Roles[0].Extra = map[string]any{"not_before_duration": "1m", "ou": []any{"a", "b"}, "key_usage": "DigitalSignature"}
	converge(t, s)
	role := w.mount + "/roles/example-dot-local"
	for body, want := range map[string]string{
		`{"max_ttl":"48h"}`:               "max_ttl: 48h -> 24h",
		`{"allow_any_name":true}`:         "allow_any_name: true -> false",
		`{"allowed_domains":["a","b"]}`:   "allowed_domains: [a b] -> [example.local]",
		`{"not_before_duration":"30s"}`:   "not_before_duration: 30s -> 1m",
		`{"ou":"b"}`:                      "ou: [b] -> [a b]",
		`{"require_cn":true}`:             "require_cn: true -> false",
		`{"key_type":"any","key_bits":0}`: "key_bits: 0 -> 2048",
		`{"ttl":"1h"}`:                    "ttl: 1h -> 0s",
	} {
		t.Run(body, func(t *testing.T) {
			w.Do(t, "PATCH", role, body)
			_, edits := inspect(t, s)
			if len(edits) == 0 || vaulttest.Show(edits)[0] != role+"/"+want {
				t.Errorf("edits: %v, want first: %s", vaulttest.Show(edits), want)
			}
			converge(t, s)
		})
	}
	t.Run("order is no difference", func(t *testing.T) {
		w.Do(t, "PATCH", role, `{"ou":"b,a","max_ttl":86400}`)
		if _, edits := inspect(t, s); len(edits) > 0 {
			t.Errorf("differs: %v", vaulttest.Show(edits))
		}
	})
	t.Run("deleted", func(t *testing.T) {
		w.Do(t, "DELETE", role, "")
		if _, edits := inspect(t, s); len(edits) != 1 || edits[0].Have != nil {
			t.Errorf("edits: %v", vaulttest.Show(edits))
		}
		converge(t, s)
	})
	t.Run("unknown field", func(t *testing.T) {
		s := *s
		s.Roles = []pkiintermediate.Role{s.Roles[0]}
		s.Roles[0].Extra = map[string]any{"no_such_field": true}
		_, edits := inspect(t, &s)
		err := vaulttest.ApplyAll(t, edits)
		if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "no_such_field") || engine.HintOf(err) == "" {
			t.Errorf("error is %v (%s)", err, engine.HintOf(err))
		}
		w.Do(t, "DELETE", role, "")
	})
}

// Every key type has its own defaults for the sizes.
func TestRoleKeyTypes(t *testing.T) {
	w := newParentVault(t)
	s := w.spec(w.Address)
	s.Roles = nil
	for _, key := range []string{"rsa", "ec", "ed25519", "any"} {
		s.Roles = append(s.Roles, pkiintermediate.Role{Name: key, AllowedDomains: []string{"x"}, AllowBareDomains: true, KeyType: key})
	}
	s.Roles = append(s.Roles,
		pkiintermediate.Role{Name: "large", AllowedDomains: []string{"x"}, AllowBareDomains: true, KeyType: "ec", KeyBits: 384},
		pkiintermediate.Role{Name: "plain", AllowedDomains: []string{"x"}, AllowBareDomains: true, NoStore: true})
	converge(t, s)
}

func TestRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		prepare    func(t *testing.T, w *parentVault, s *pkiintermediate.Spec)
		want, hint string
	}{
		"other parent": {func(t *testing.T, w *parentVault, s *pkiintermediate.Spec) {
			w.makeRoot(t, "Somebody Else")
		}, "is not parent.certificate (Root CA Lab", "parent.issuer"},
		"parent without key": {func(t *testing.T, w *parentVault, s *pkiintermediate.Spec) {
			_ = w.Client(t).Sys().Unmount(w.root)
			w.Do(t, "POST", "sys/mounts/"+w.root, `{"type":"pki"}`)
			id := w.DoJSON(t, "POST", w.root+"/issuers/import/cert", map[string]any{"pem_bundle": w.certificate})["imported_issuers"].([]any)[0].(string)
			s.Parent.Issuer = id
		}, "has no key in Vault", "whose key is in Vault"},
		"parent gone": {func(t *testing.T, w *parentVault, s *pkiintermediate.Spec) {
			converge(t, s)
			_ = w.Client(t).Sys().Unmount(w.root)
		}, "/issuer/default does not exist", "pkiRoot"},
		"other name": {func(t *testing.T, w *parentVault, s *pkiintermediate.Spec) {
			out := converge(t, s)
			w.Do(t, "PATCH", w.mount+"/issuer/"+out.IssuerID, `{"issuer_name":"mine"}`)
		}, "under the name mine, and the plan calls it intermediate-lab", "set issuerName: mine"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newParentVault(t)
			s := w.spec(w.Address)
			c.prepare(t, w, s)
			_, _, err := s.Inspect(t.Context(), vaulttest.Env(t))
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, engine.ErrPermanent) {
				t.Errorf("error is %v, want a permanent one with %q", err, c.want)
			}
			if hint := engine.HintOf(err); !strings.Contains(hint, c.hint) {
				t.Errorf("hint is %q, want one with %q", hint, c.hint)
			}
		})
	}
}

// An intermediate whose certificate is there without its key is not passed over
// for another one, unless it is one that has a successor.
func TestIntermediateWithoutItsKey(t *testing.T) {
	for _, name := range []string{"", "mine", "intermediate-lab"} {
		t.Run("named "+name, func(t *testing.T) {
			w := newParentVault(t)
			s := w.spec(w.Address)
			out := converge(t, s)
			s.Mount = w.Mount(t, "_without")
			w.Do(t, "POST", "sys/mounts/"+s.Mount, `{"type":"pki","config":{"max_lease_ttl":"87600h"}}`)
			got := w.DoJSON(t, "POST", s.Mount+"/issuers/import/cert", map[string]any{"pem_bundle": out.Certificate})
			w.DoJSON(t, "PATCH", s.Mount+"/issuer/"+got["imported_issuers"].([]any)[0].(string), map[string]any{"issuer_name": name})

			_, edits, err := s.Inspect(t.Context(), vaulttest.Env(t))
			if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "its key is not in Vault") {
				t.Fatalf("edits %v, error %v", vaulttest.Show(edits), err)
			}
			if hint := engine.HintOf(err); !strings.Contains(hint, "vault write "+s.Mount+"/keys/import pem_bundle=@") {
				t.Errorf("hint is %q", hint)
			}
			w.WantPKI(t, s.Mount, 1, 0)
		})
	}
}

// Vault cuts a life that reaches beyond the parent, and nothing is imported then.
func TestBeyondTheParent(t *testing.T) {
	w := newParentVault(t)
	s := w.spec(w.Address)
	s.TTL = engine.Duration(87600 * time.Hour)
	s.RenewBefore = engine.Duration(time.Hour)
	s.Roles = nil
	_, edits := inspect(t, s)
	err := vaulttest.ApplyAll(t, edits)
	if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(engine.HintOf(err), "shorten ttl") {
		t.Fatalf("error is %v (%s)", err, engine.HintOf(err))
	}
	w.WantPKI(t, w.mount, 0, 1)

	s.AllowWarnings = []string{"notAfter was truncated"}
	converge(t, s)
	w.WantPKI(t, w.mount, 2, 1)
}

// TestRoleFormsOfLists: the ways to write a list that Vault's API takes give the
// same role, a second look finds no difference, and certificates get the usages.
func TestRoleFormsOfLists(t *testing.T) {
	w := newParentVault(t)
	for name, form := range map[string]func(...string) any{
		"text": func(s ...string) any { return strings.Join(s, ", ") },
		"list": func(s ...string) any {
			var list []any
			for _, one := range s {
				list = append(list, " "+one)
			}
			return list
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.spec(w.Address)
			s.Roles[0].Extra = make(map[string]any)
			want := make(map[string][]string)
			for field, values := range map[string][]string{
				"key_usage": {"DigitalSignature", "KeyEncipherment"}, "ext_key_usage": {"ClientAuth", "serverauth"},
				"ext_key_usage_oids": {"1.2.3.4", "1.2.3.5"}, "allowed_uri_sans": {"spiffe://a.example/*", "spiffe://b.example/*"},
				"allowed_other_sans": {"1.2.3.4;utf8:a", "1.2.3.4;utf8:b"}, "allowed_serial_numbers": {"a", "b"}, "allowed_user_ids": {"a", "b"},
				"ou": {"a", "b"}, "organization": {"a", "b"}, "country": {"CH", "NO"}, "locality": {"a", "b"}, "province": {"a", "b"},
				"street_address": {"a", "b"}, "postal_code": {"1", "2"}, "policy_identifiers": {"1.2.3.4", "1.2.3.5"}, "cn_validations": {"email", "hostname"},
			} {
				s.Roles[0].Extra[field], want[field] = form(values...), values
			}
			converge(t, s)
			if _, edits := inspect(t, s); len(edits) > 0 {
				t.Errorf("a second look differs: %v", vaulttest.Show(edits))
			}
			have := w.Do(t, "GET", w.mount+"/roles/"+s.Roles[0].Name, "")
			for field, values := range want {
				got := vaultkit.Strings(have[field])
				slices.Sort(got)
				if diff := cmp.Diff(slices.Sorted(slices.Values(values)), got); diff != "" {
					t.Errorf("%s: %s", field, diff)
				}
			}
		})
	}
}

func TestValidate(t *testing.T) {
	s := pkiintermediate.Kind.New().(*pkiintermediate.Spec)
	s.Mount, s.Parent.Mount = "pki", "pki"
	s.RenewBefore = s.TTL
	s.Parent.Certificate = "nonsense"
	s.Roles = []pkiintermediate.Role{
		{Name: "a b", AllowedDomains: []string{"x"}, AllowBareDomains: true},
		{Name: "web", AllowedDomains: []string{"x"}, AllowBareDomains: true, TTL: 2, MaxTTL: 1},
		{Name: "web", AllowedDomains: []string{"x"}, AllowBareDomains: true},
		{Name: "none"},
		{Name: "neither", AllowedDomains: []string{"x"}},
		{Name: "twice", AllowedDomains: []string{"x"}, AllowBareDomains: true, Extra: map[string]any{"allow_bare_domains": true}},
		{Name: "commas", AllowedDomains: []string{"x,y", " "}, AllowBareDomains: true},
		{Name: "usage", AllowedDomains: []string{"x"}, AllowBareDomains: true, Extra: map[string]any{"key_usage": "digitalsignature,KeyEncypherment"}},
		{Name: "oid", AllowedDomains: []string{"x"}, AllowBareDomains: true, Extra: map[string]any{"ext_key_usage": []any{"ClientAuth", "1.2.3"}}},
		{Name: "type", AllowedDomains: []string{"x"}, AllowBareDomains: true, Extra: map[string]any{"allow_any_name": "yes"}},
	}
	p := &engine.Problems{}
	s.Validate(p)
	var got []string
	for _, problem := range p.List() {
		got = append(got, problem.Field)
	}
	want := []string{
		"parent.certificate", "mount", "renewBefore",
		"roles[0].name", "roles[1].ttl", "roles[2].name", "roles[3].allowedDomains", "roles[4]", "roles[5].extra",
		"roles[6].allowedDomains[0]", "roles[6].allowedDomains[1]", "roles[7].extra", "roles[8].extra", "roles[9].extra",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
