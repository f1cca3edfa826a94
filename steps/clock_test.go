package steps_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/curltls"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/pkiintermediate"
	"github.com/ztplan/ztplan/steps/pkiroot"
)

func TestMain(m *testing.M) { vaulttest.Main(m) }

// TestClocks lets this machine's clock differ from Vault's by five minutes, which
// is as far as clocks in a cluster get apart unnoticed. Vault dates its
// certificates 30 s back. Authorities are made all the same, once; a certificate
// that is not valid yet by this clock is refused, and the reason is that.
func TestClocks(t *testing.T) {
	v := vaulttest.Shared(t)
	for name, c := range map[string]struct {
		skew    time.Duration
		refused string
	}{
		"behind": {-5 * time.Minute, "is valid from"},
		"ahead":  {5 * time.Minute, ""},
	} {
		t.Run(name, func(t *testing.T) {
			env := vaulttest.Env(t)
			env.Now = func() time.Time { return time.Now().Add(c.skew) }
			env.Record = func(string, any) {}

			root := pkiroot.Kind.New().(*pkiroot.Spec)
			root.Vault.Address, root.Vault.Token = v.Address, engine.NewSecret(v.Token)
			root.Mount, root.CommonName, root.IssuerName = v.Mount(t, "root"), "Root", "root"
			out := converge(t, env, root).(pkiroot.Outputs)

			below := pkiintermediate.Kind.New().(*pkiintermediate.Spec)
			below.Vault, below.Mount, below.CommonName, below.IssuerName = root.Vault, v.Mount(t, "int"), "Intermediate", "intermediate"
			below.TTL = engine.Duration(43800 * time.Hour)
			below.Parent.Mount, below.Parent.Issuer = root.Mount, "root"
			converge(t, env, below)
			v.WantPKI(t, root.Mount, 1, 1)

			site := curltls.Kind.New().(*curltls.Spec)
			site.URL, site.Trust, site.Address = "https://hello.example.local", out.Certificate, serve(t, v, below.Mount)
			_, findings, err := site.Prove(engine.AllowWrites(t.Context()), env)
			said := fmt.Sprint(err, engine.HintOf(err))
			held := err == nil
			for _, f := range findings {
				held = held && f.Holds
				said += fmt.Sprint(f.Have, f.Detail)
			}
			if held != (c.refused == "") || !strings.Contains(said, c.refused) || c.refused != "" && !strings.Contains(said, "clocks") {
				t.Errorf("held %t: %s", held, said)
			}
		})
	}
}

// converge applies the edits of a look and requires that the next finds none.
func converge[O any](t *testing.T, env *engine.Env, s engine.Step[O]) any {
	t.Helper()
	for range 2 {
		out, edits, err := s.Inspect(t.Context(), env)
		if err != nil {
			t.Fatal(err)
		}
		if len(edits) == 0 {
			return out
		}
		if err := vaulttest.ApplyAll(t, edits); err != nil {
			t.Fatal(err)
		}
	}
	_, edits, err := s.Inspect(t.Context(), env)
	t.Fatalf("still differs: %v %v", vaulttest.Show(edits), err)
	return nil
}

// serve lets Vault issue a certificate and serves with it.
func serve(t *testing.T, v *vaulttest.Server, mount string) (address string) {
	t.Helper()
	v.Do(t, http.MethodPost, mount+"/roles/site", `{"allowed_domains": "example.local", "allow_subdomains": true, "max_ttl": "1h"}`)
	issued := v.Do(t, http.MethodPost, mount+"/issue/site", `{"common_name": "hello.example.local", "ttl": "1h"}`)
	text := issued["certificate"].(string) + "\n"
	for _, one := range issued["ca_chain"].([]any) {
		text += one.(string) + "\n"
	}
	pair, err := tls.X509KeyPair([]byte(text), []byte(issued["private_key"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certs.ParseOne(issued["certificate"].(string)); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}
