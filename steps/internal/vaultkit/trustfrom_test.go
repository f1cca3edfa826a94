package vaultkit_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

// The authority of a Vault with TLS is read from a Secret or a ConfigMap of the cluster,
// when the object is there.
func TestTrustFrom(t *testing.T) {
	vault := vaulttest.StartTLS(t, "", nil)
	ca, err := os.ReadFile(vault.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	env := labtest.Env(t)
	namespace := labtest.Namespace(t, env)
	cluster, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	key := func(name, key string) *tlskit.ObjectKey {
		return &tlskit.ObjectKey{Namespace: namespace, Name: name, Key: key}
	}
	status := func(from tlskit.TrustSource) error {
		t.Helper()
		c, err := vaultkit.ConnectServer(t.Context(), env, vaultkit.Server{Address: vault.Address, TrustFrom: &from})
		if err == nil {
			_, err = c.SealStatus(t.Context())
		}
		return err
	}
	checks := func(from tlskit.TrustSource) (levels, details []string) {
		t.Helper()
		for _, c := range (vaultkit.Server{Address: vault.Address, TrustFrom: &from}).Checks("vault", nil) {
			if !c.Target {
				t.Errorf("%s does not need the cluster", c.Name)
			}
			v := c.Run(t.Context(), env)
			levels, details = append(levels, string(v.Level)), append(details, v.Detail)
		}
		return levels, details
	}

	later := tlskit.TrustSource{Secret: key("vault-ca", "")}
	if err := status(later); !errors.As(err, new(*kubekit.NoObjectError)) || errors.Is(err, engine.ErrPermanent) {
		t.Errorf("before it exists: %v", err)
	}
	if levels, details := checks(later); strings.Join(levels, ",") != ",,ok" {
		t.Errorf("before it exists: %q %q", levels, details)
	}
	write := engine.AllowWrites(t.Context())
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "vault-ca"}, Data: map[string][]byte{"ca.crt": ca, "other": []byte(tlstest.NewCA(t, "Other").PEM())}}
	if _, err := cluster.Client().CoreV1().Secrets(namespace).Create(write, secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "vault-ca"}, Data: map[string]string{"roots.pem": string(ca), "text": "nothing"}}
	if _, err := cluster.Client().CoreV1().ConfigMaps(namespace).Create(write, config, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]tlskit.TrustSource{"secret": later, "config map": {ConfigMap: key("vault-ca", "roots.pem")}} {
		if err := status(from); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if levels, details := checks(from); strings.Join(levels, ",") != "ok,ok,ok" {
			t.Errorf("%s: %q %q", name, levels, details)
		}
	}
	vaulttest.WantPermanent(t, status(tlskit.TrustSource{Secret: key("vault-ca", "other")}), "certificate signed by unknown authority", "trustFrom")
	vaulttest.WantPermanent(t, status(tlskit.TrustSource{ConfigMap: key("vault-ca", "text")}), "no PEM certificate in it", "")
}

// Reading the authority needs a permission of its own, also for a Vault with an address.
func TestTrustFromPermissions(t *testing.T) {
	s := vaultkit.Server{Address: "https://vault.example.com:8200", TrustFrom: &tlskit.TrustSource{ConfigMap: &tlskit.ObjectKey{Namespace: "a", Name: "b"}}}
	got := s.Permissions()
	if len(got) != 1 || got[0].Resource != "configmaps" || got[0].Namespace != "a" || got[0].Name != "b" || strings.Join(got[0].Verbs, ",") != "get" || got[0].Write {
		t.Errorf("permissions: %+v", got)
	}
	s = vaultkit.DefaultServer()
	without := len(s.Permissions())
	s.TrustFrom = &tlskit.TrustSource{Secret: &tlskit.ObjectKey{Namespace: "a", Name: "b"}}
	if got := s.Permissions(); len(got) != without+1 {
		t.Errorf("permissions: %+v", got)
	}
}

func TestValidateTrustFrom(t *testing.T) {
	from := &tlskit.TrustSource{Secret: &tlskit.ObjectKey{Namespace: "a", Name: "b"}}
	for name, c := range map[string]struct {
		server vaultkit.Server
		field  string
	}{
		"alone":           {vaultkit.Server{Address: "https://x", TrustFrom: from}, ""},
		"with a Service":  {vaultkit.Server{Service: vaultkit.Service{Namespace: "a", Name: "b", Port: 1, TLS: true}, TrustFrom: from}, ""},
		"not TLS":         {vaultkit.Server{Address: "http://x", TrustFrom: from}, "v.trustFrom"},
		"neither":         {vaultkit.Server{Address: "https://x", TrustFrom: &tlskit.TrustSource{}}, "v.trustFrom"},
		"beside caFile":   {vaultkit.Server{Address: "https://x", CAFile: vaulttest.WriteFile(t, "ca.pem", tlstest.NewCA(t, "Other").PEM()), TrustFrom: from}, "v.trustFrom"},
		"no PEM":          {vaultkit.Server{Address: "https://x", CAFile: vaulttest.WriteFile(t, "ca.pem", "nothing")}, "v.caFile"},
		"half a PEM":      {vaultkit.Server{Address: "https://x", CABundle: "-----BEGIN CERTIFICATE-----"}, "v.caBundle"},
		"beside caBundle": {vaultkit.Server{Address: "https://x", CABundle: tlstest.NewCA(t, "Other").PEM(), TrustFrom: from}, "v.trustFrom"},
	} {
		p := &engine.Problems{}
		c.server.Validate(p, "v")
		field := ""
		for _, one := range p.List() {
			field += one.Field
		}
		if field != c.field {
			t.Errorf("%s: problem with %q, want %q", name, field, c.field)
		}
	}
}
