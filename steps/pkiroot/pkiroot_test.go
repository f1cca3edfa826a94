package pkiroot_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/pki"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/pkiroot"
)

func TestMain(m *testing.M) { vaulttest.Main(m) }

// rootSpec is the guide's root at a mount of the test's own.
func rootSpec(address, token, mount string) *pkiroot.Spec {
	s := pkiroot.Kind.New().(*pkiroot.Spec)
	s.Vault.Address, s.Vault.Token = address, engine.NewSecret(token)
	s.Mount = mount
	s.CommonName = "Root CA Lab"
	s.URLs = pki.URLs{
		IssuingCertificates:   []string{"http://vault.vault.svc.cluster.local:8200/v1/pki/ca"},
		CRLDistributionPoints: []string{"http://vault.vault.svc.cluster.local:8200/v1/pki/crl"},
	}
	return s
}

// converge applies the edits and requires that the next Inspect returns none.
func converge(t *testing.T, s *pkiroot.Spec) pkiroot.Outputs {
	t.Helper()
	_, edits := look(t, s)
	for _, e := range edits {
		if err := e.Apply(engine.AllowWrites(t.Context())); err != nil {
			t.Fatalf("%s: %v", e.Path, err)
		}
	}
	out, edits := look(t, s)
	if len(edits) > 0 {
		t.Fatalf("still differs: %v", vaulttest.Show(edits))
	}
	return out
}

func look(t *testing.T, s *pkiroot.Spec) (pkiroot.Outputs, []engine.Edit) {
	t.Helper()
	out, edits, err := s.Inspect(t.Context(), vaulttest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return out, edits
}

func TestContract(t *testing.T) {
	v := vaulttest.Shared(t)
	p := vaulttest.NewProxy(t, v.Address)
	mount := v.Mount(t, "")
	enginetest.Run(t, enginetest.Case{
		Kind:    pkiroot.Kind,
		Env:     vaulttest.Env(t),
		Spec:    func() any { return rootSpec(p.Address, v.Token, mount) },
		Writes:  p.Writes,
		Secrets: []string{v.Token},
		Reset: func(context.Context) error {
			return v.Client(t).Sys().Unmount(mount)
		},
	})
	v.WantPKI(t, mount, 1, 1)
}

func TestDifferenceOfAnEmptyVault(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.Mount(t, "")
	s := rootSpec(v.Address, v.Token, mount)
	s.Subject.Organization = []string{"Lab"}
	_, edits := look(t, s)
	want := []string{
		"sys/mounts/MOUNT: <nil> -> map[max_lease_ttl:87600h type:pki]",
		"MOUNT/config/urls: <nil> -> map[crl_distribution_points:[http://vault.vault.svc.cluster.local:8200/v1/pki/crl] issuing_certificates:[http://vault.vault.svc.cluster.local:8200/v1/pki/ca]]",
		"MOUNT/issuer/root-lab: <nil> -> map[common_name:Root CA Lab key_bits:2048 key_type:rsa organization:[Lab] ttl:87600h]",
	}
	got := vaulttest.Show(edits)
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], mount, "MOUNT")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOutputs(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.Mount(t, "")
	out := converge(t, rootSpec(v.Address, v.Token, mount))
	cert, err := certs.ParseOne(out.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	want := pkiroot.Outputs{
		Certificate: out.Certificate,
		IssuerID:    out.IssuerID,
		IssuerName:  "root-lab",
		Serial:      certs.Serial(cert),
		NotAfter:    cert.NotAfter.UTC().Format(time.RFC3339),
		Fingerprint: certs.Fingerprint(cert),
		Mount:       mount,
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
	if !certs.SelfSigned(cert) || cert.Subject.CommonName != "Root CA Lab" || out.IssuerID == "" {
		t.Errorf("not the root: %+v", out)
	}
	if life := cert.NotAfter.Sub(cert.NotBefore).Round(time.Hour); life != 87600*time.Hour {
		t.Errorf("lives %v", life)
	}
}

// The guide made the root by hand, without a name.
func TestAdoptsTheGuidesRoot(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.Mount(t, "")
	v.Do(t, "POST", "sys/mounts/"+mount, `{"type":"pki"}`)
	v.Do(t, "POST", "sys/mounts/"+mount+"/tune", `{"max_lease_ttl":"87600h"}`)
	made := v.Do(t, "POST", mount+"/root/generate/internal", `{"common_name":"Root CA Lab","ttl":"87600h"}`)
	id := made["issuer_id"].(string)

	s := rootSpec(v.Address, v.Token, mount)
	s.URLs = pki.URLs{}
	_, edits := look(t, s)
	want := []string{mount + "/issuer/" + id + "/issuer_name:  -> root-lab"}
	if diff := cmp.Diff(want, vaulttest.Show(edits)); diff != "" {
		t.Fatal(diff)
	}
	if out := converge(t, s); out.IssuerID != id || strings.TrimSpace(out.Certificate) != strings.TrimSpace(made["certificate"].(string)) {
		t.Errorf("not the root that was there: %+v", out)
	}
	v.WantPKI(t, mount, 1, 1)
}

func TestDrift(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.Mount(t, "")
	s := rootSpec(v.Address, v.Token, mount)
	s.MaxLeaseTTL = s.TTL
	s.Description = "root of the lab"
	out := converge(t, s)

	for name, change := range map[string]struct {
		method, path, body string
		want               string
	}{
		"tune":        {"POST", "sys/mounts/" + mount + "/tune", `{"max_lease_ttl":"90000h"}`, "sys/mounts/" + mount + "/max_lease_ttl: 90000h -> 87600h"},
		"description": {"POST", "sys/mounts/" + mount + "/tune", `{"description":"mine"}`, "sys/mounts/" + mount + "/description: mine -> root of the lab"},
		"urls":        {"POST", mount + "/config/urls", `{"crl_distribution_points":[]}`, mount + "/config/urls/crl_distribution_points: [] -> [http://vault.vault.svc.cluster.local:8200/v1/pki/crl]"},
		"name":        {"PATCH", mount + "/issuer/" + out.IssuerID, `{"issuer_name":""}`, mount + "/issuer/" + out.IssuerID + "/issuer_name:  -> root-lab"},
	} {
		t.Run(name, func(t *testing.T) {
			v.Do(t, change.method, change.path, change.body)
			known, edits := look(t, s)
			if diff := cmp.Diff([]string{change.want}, vaulttest.Show(edits)); diff != "" {
				t.Error(diff)
			}
			if known != out {
				t.Errorf("what the edits leave alone is not known: %s", cmp.Diff(out, known))
			}
			if again := converge(t, s); again != out {
				t.Errorf("outputs change: %s", cmp.Diff(out, again))
			}
		})
	}
	t.Run("default issuer", func(t *testing.T) {
		other := v.Do(t, "POST", mount+"/root/generate/internal", `{"common_name":"Other","issuer_name":"other"}`)
		v.Do(t, "POST", mount+"/config/issuers", `{"default":"`+other["issuer_id"].(string)+`"}`)
		_, edits := look(t, s)
		if diff := cmp.Diff([]string{mount + "/config/issuers/default: other -> root-lab"}, vaulttest.Show(edits)); diff != "" {
			t.Error(diff)
		}
		converge(t, s)
	})
}

// A mount that allows more is no difference unless the plan gives a limit.
func TestLongerMountIsLeftAlone(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.Mount(t, "")
	s := rootSpec(v.Address, v.Token, mount)
	converge(t, s)
	v.Do(t, "POST", "sys/mounts/"+mount+"/tune", `{"max_lease_ttl":"90000h"}`)
	if _, edits := look(t, s); len(edits) > 0 {
		t.Errorf("differs: %v", vaulttest.Show(edits))
	}
}

func TestRefuses(t *testing.T) {
	v := vaulttest.Shared(t)
	pkiMount := func(t *testing.T) string {
		mount := v.Mount(t, "")
		v.Do(t, "POST", "sys/mounts/"+mount, `{"type":"pki","config":{"max_lease_ttl":"87600h"}}`)
		return mount
	}
	for name, c := range map[string]struct {
		prepare func(t *testing.T, mount string)
		spec    func(*pkiroot.Spec)
		want    string // part of the error
		hint    string // part of the hint
	}{
		"another engine": {
			prepare: func(t *testing.T, mount string) {
				v.Do(t, "DELETE", "sys/mounts/"+mount, "")
				v.Do(t, "POST", "sys/mounts/"+mount, `{"type":"kv"}`)
			},
			want: "is mounted with type kv", hint: "another mount",
		},
		"foreign root": {
			prepare: func(t *testing.T, mount string) {
				v.Do(t, "POST", mount+"/root/generate/internal", `{"common_name":"Somebody Else","ttl":"87600h"}`)
			},
			want: `root without a name (Somebody Else`, hint: "choose another mount",
		},
		"other name": {
			prepare: func(t *testing.T, mount string) {
				v.Do(t, "POST", mount+"/root/generate/internal", `{"common_name":"Root CA Lab","ttl":"87600h","issuer_name":"mine"}`)
			},
			want: "the plan calls it root-lab", hint: "set issuerName: mine",
		},
		"other lifetime": {
			prepare: func(t *testing.T, mount string) {
				v.Do(t, "POST", mount+"/root/generate/internal", `{"common_name":"Root CA Lab","issuer_name":"root-lab"}`)
			},
			want: "ttl is 768h, not 87600h", hint: "a root cannot be changed",
		},
		"other key": {
			prepare: func(t *testing.T, mount string) {
				v.Do(t, "POST", mount+"/root/generate/internal", `{"common_name":"Root CA Lab","ttl":"87600h","issuer_name":"root-lab","key_type":"ec"}`)
			},
			want: "key_type is ec, not rsa", hint: "a root cannot be changed",
		},
		"expired": {
			prepare: func(t *testing.T, mount string) {
				v.Do(t, "POST", mount+"/root/generate/internal", `{"common_name":"Root CA Lab","not_after":"2020-01-01T00:00:00Z","issuer_name":"root-lab"}`)
			},
			want: "it expired at 2020-01-01T00:00:00Z", hint: "for a new root",
		},
		"two by hand": {
			prepare: func(t *testing.T, mount string) {
				for range 2 {
					v.Do(t, "POST", mount+"/root/generate/internal", `{"common_name":"Root CA Lab","ttl":"87600h"}`)
				}
				v.ClearDefaultIssuer(t, mount)
			},
			want: `holds 2 roots named "Root CA Lab"`, hint: "issuer_name=root-lab",
		},
		"key gone": {
			prepare: func(t *testing.T, mount string) {
				elsewhere := converge(t, rootSpec(v.Address, v.Token, v.Mount(t, "_elsewhere")))
				got := v.DoJSON(t, "POST", mount+"/issuers/import/cert", map[string]any{"pem_bundle": elsewhere.Certificate})
				v.Do(t, "PATCH", mount+"/issuer/"+got["imported_issuers"].([]any)[0].(string), `{"issuer_name":"root-lab"}`)
			},
			want: "its key is not in Vault", hint: "issuers/import/bundle",
		},
	} {
		t.Run(name, func(t *testing.T) {
			mount := pkiMount(t)
			if c.prepare != nil {
				c.prepare(t, mount)
			}
			before := v.CountPKI(t, mount)
			_, _, err := rootSpec(v.Address, v.Token, mount).Inspect(t.Context(), vaulttest.Env(t))
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, engine.ErrPermanent) {
				t.Errorf("error is %v, want a permanent one with %q", err, c.want)
			}
			if hint := engine.HintOf(err); !strings.Contains(hint, c.hint) {
				t.Errorf("hint is %q, want one with %q", hint, c.hint)
			}
			if after := v.CountPKI(t, mount); after != before {
				t.Errorf("issuers and keys were %v and are %v", before, after)
			}
		})
	}
}

// A root whose certificate is there without its key, under any name, is
// that root: no second one of its common name is made, and it serves as soon as
// its key is imported.
func TestRootWithoutItsKey(t *testing.T) {
	v := vaulttest.Shared(t)
	for _, name := range []string{"", "company", "root-lab"} {
		t.Run("named "+name, func(t *testing.T) {
			mount, elsewhere := v.Mount(t, ""), v.Mount(t, "_elsewhere")
			for _, m := range []string{mount, elsewhere} {
				v.Do(t, "POST", "sys/mounts/"+m, `{"type":"pki","config":{"max_lease_ttl":"87600h"}}`)
			}
			made := v.Do(t, "POST", elsewhere+"/root/generate/exported", `{"common_name":"Root CA Lab","ttl":"87600h"}`)
			got := v.DoJSON(t, "POST", mount+"/issuers/import/cert", map[string]any{"pem_bundle": made["certificate"]})
			id := got["imported_issuers"].([]any)[0].(string)
			v.DoJSON(t, "PATCH", mount+"/issuer/"+id, map[string]any{"issuer_name": name})

			s := rootSpec(v.Address, v.Token, mount)
			s.URLs = pki.URLs{}
			_, edits, err := s.Inspect(t.Context(), vaulttest.Env(t))
			if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "its key is not in Vault") {
				t.Fatalf("edits %v, error %v", vaulttest.Show(edits), err)
			}
			if hint := engine.HintOf(err); !strings.Contains(hint, "vault write "+mount+"/keys/import pem_bundle=@") {
				t.Errorf("hint is %q", hint)
			}
			v.WantPKI(t, mount, 1, 0)

			v.DoJSON(t, "POST", mount+"/keys/import", map[string]any{"pem_bundle": made["private_key"]})
			if name == "company" {
				s.IssuerName = name
			}
			if out := converge(t, s); out.IssuerID != id {
				t.Errorf("another root serves: %+v", out)
			}
			v.WantPKI(t, mount, 1, 1)
		})
	}
}

// An answer that is lost on its way must not make a second root.
func TestLostAnswers(t *testing.T) {
	v := vaulttest.Shared(t)
	for _, path := range []string{"sys/mounts/MOUNT", "MOUNT/config/urls", "MOUNT/root/generate/internal"} {
		t.Run(path, func(t *testing.T) {
			mount := v.Mount(t, "")
			p := vaulttest.NewProxy(t, v.Address)
			at := strings.ReplaceAll(path, "MOUNT", mount)
			p.LoseAnswer(func(r vaulttest.Request) bool { return r.Write() && r.Path == at })
			s := rootSpec(p.Address, v.Token, mount)
			err := vaulttest.ApplyAll(t, look2(t, s))
			if err == nil || errors.Is(err, engine.ErrPermanent) {
				t.Fatalf("error is %v, want one that another try may cure", err)
			}
			converge(t, s)
			v.WantPKI(t, mount, 1, 1)
			if err := p.Unused(); err != nil {
				t.Error(err)
			}
		})
	}
}

func look2(t *testing.T, s *pkiroot.Spec) []engine.Edit {
	t.Helper()
	_, edits := look(t, s)
	return edits
}

// Two plans that want the same root at the same time make one: the later one uses
// it, or gets a hint.
func TestTwoAtOnce(t *testing.T) {
	v := vaulttest.Shared(t)
	for name, c := range map[string]struct {
		between    func(t *testing.T, s *pkiroot.Spec) // the look of the second one and its edits
		issuerName string                              // of the second one
		permanent  bool
		hint       string
	}{
		"the same name":  {between: func(t *testing.T, s *pkiroot.Spec) { converge(t, s) }, issuerName: "root-lab"},
		"another name":   {between: func(t *testing.T, s *pkiroot.Spec) { converge(t, s) }, issuerName: "root-b", permanent: true, hint: "set issuerName: root-lab to use this root"},
		"the name alone": {issuerName: "root-lab", hint: "the next look says whether it is what the plan asks for"},
	} {
		t.Run(name, func(t *testing.T) {
			mount := v.Mount(t, "")
			p := vaulttest.NewProxy(t, v.Address)
			first, second := rootSpec(v.Address, v.Token, mount), rootSpec(p.Address, v.Token, mount)
			second.IssuerName = c.issuerName
			edits := look2(t, second)
			if c.between != nil {
				c.between(t, first)
			} else {
				p.Before(func(r vaulttest.Request) bool { return strings.Contains(r.Path, "/root/generate/") }, func() { converge(t, first) })
			}
			err := vaulttest.ApplyAll(t, edits)
			if err == nil || errors.Is(err, engine.ErrPermanent) != c.permanent || !strings.Contains(engine.HintOf(err), c.hint) {
				t.Errorf("error is %v (%s)", err, engine.HintOf(err))
			}
			if c.permanent {
				second.IssuerName = "root-lab" // as in the hint
			} else if hint := engine.HintOf(err); strings.Contains(hint, "another issuerName") {
				t.Errorf("hint is %q", hint)
			}
			converge(t, second)
			v.WantPKI(t, mount, 1, 1)
		})
	}
}

// A key that an interrupted run left behind is used, not joined by another.
func TestUsesItsOrphanKey(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.Mount(t, "")
	v.Do(t, "POST", "sys/mounts/"+mount, `{"type":"pki","config":{"max_lease_ttl":"87600h"}}`)
	v.Do(t, "POST", mount+"/keys/generate/internal", `{"key_name":"root-lab","key_type":"rsa"}`)
	converge(t, rootSpec(v.Address, v.Token, mount))
	v.WantPKI(t, mount, 1, 1)
}

// Vault shortens a life that it does not permit, and does not even warn.
func TestCutLifetimeIsAnError(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.Mount(t, "")
	s := rootSpec(v.Address, v.Token, mount)
	_, edits := look(t, s)
	var err error
	for _, e := range edits {
		if err = e.Apply(engine.AllowWrites(t.Context())); err != nil {
			break
		}
		if e.Path == "sys/mounts/"+mount {
			v.Do(t, "POST", "sys/mounts/"+mount+"/tune", `{"max_lease_ttl":"768h"}`)
		}
	}
	if err == nil || !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "ttl is 768h, not 87600h") {
		t.Fatalf("error is %v", err)
	}
	if hint := engine.HintOf(err); !strings.Contains(hint, "raise maxLeaseTTL") || !strings.Contains(hint, "vault delete "+mount+"/issuer/root-lab") {
		t.Errorf("hint is %q", hint)
	}
}

func TestNoToken(t *testing.T) {
	s := rootSpec("http://127.0.0.1:1", "", "pki")
	_, _, err := s.Inspect(t.Context(), vaulttest.Env(t))
	if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(engine.HintOf(err), "connections.vault.token") {
		t.Errorf("%v (%s)", err, engine.HintOf(err))
	}
}

func TestWrongToken(t *testing.T) {
	v := vaulttest.Shared(t)
	s := rootSpec(v.Address, "hvs.planted-token-of-nobody", "pki")
	_, _, err := s.Inspect(t.Context(), vaulttest.Env(t))
	if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "403") || strings.Contains(err.Error(), "planted") {
		t.Errorf("%v (%s)", err, engine.HintOf(err))
	}
	if !strings.Contains(engine.HintOf(err), "token is wrong, expired or revoked") {
		t.Errorf("hint is %q", engine.HintOf(err))
	}
}

func TestValidate(t *testing.T) {
	s := rootSpec("ftp://x", "t", "/pki/")
	s.MaxLeaseTTL = engine.Duration(time.Hour)
	s.KeyBits = 1024
	s.IssuerName = "a b"
	s.URLs.OCSPServers = []string{"nowhere"}
	p := &engine.Problems{}
	s.Validate(p)
	var got []string
	for _, problem := range p.List() {
		got = append(got, problem.Field)
	}
	want := []string{"vault.address", "mount", "issuerName", "urls.ocspServers[0]", "keyBits", "maxLeaseTTL"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
