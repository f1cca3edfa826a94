package tlskit_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

// The objects of trustFrom and client are looked at before a run: a fault of one that is
// there fails, and one that is not there may come.
func TestChecks(t *testing.T) {
	env, client, namespace := inCluster(t)
	write := engine.AllowWrites(t.Context())
	root := tlstest.NewCA(t, "Root")
	put := func(name string, data map[string][]byte) {
		t.Helper()
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
		if _, err := client.CoreV1().Secrets(namespace).Create(write, secret, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	pair := func(name string, leaf tlstest.Leaf) {
		t.Helper()
		p := root.Issue(t, leaf)
		put(name, map[string][]byte{"tls.crt": p.CertPEM, "tls.key": p.KeyPEM, "ca.crt": []byte(root.PEM())})
	}
	pair("good", tlstest.Leaf{CommonName: "client", Client: true})
	pair("both", tlstest.Leaf{CommonName: "both"})
	pair("server", tlstest.Leaf{CommonName: "server", Server: true})
	pair("old", tlstest.Leaf{CommonName: "old", NotBefore: time.Now().Add(-time.Hour), Lifetime: time.Minute})
	put("gone", map[string][]byte{"ca.crt": []byte(root.Brief(t, "Gone", -1).PEM())})
	put("half", map[string][]byte{"tls.crt": root.Issue(t, tlstest.Leaf{}).CertPEM})

	env.MayCome = func(thing string) bool { return thing == "Secret/"+namespace+"/planned" }
	trust := func(name, key string) []engine.Check {
		from := &tlskit.TrustSource{Secret: &tlskit.ObjectKey{Namespace: namespace, Name: name, Key: key}}
		return tlskit.TrustInput{TrustFrom: from}.Checks("dial.", nil)
	}
	presents := func(name string) *tlskit.ClientCertificate {
		return &tlskit.ClientCertificate{Secret: &tlskit.SecretRef{Namespace: namespace, Name: name}}
	}
	for name, c := range map[string]struct {
		checks []engine.Check
		level  engine.Level
		detail string
	}{
		"trust":                    {trust("good", ""), engine.LevelOK, "trusts CN=Root"},
		"trust, wrong key":         {trust("good", "root.pem"), engine.LevelFail, "nothing in root.pem; its keys are [ca.crt tls.crt tls.key]"},
		"trust, no CA":             {trust("good", "tls.crt"), engine.LevelFail, "is not a CA certificate"},
		"trust, expired":           {trust("gone", ""), engine.LevelFail, "every CA certificate has expired"},
		"trust, to come":           {trust("planned", ""), engine.LevelOK, "does not exist yet: a step of the plan may make it"},
		"trust, absent":            {trust("nowhere", ""), engine.LevelWarn, "does not exist, and no step of the plan names it"},
		"client":                   {presents("good").Checks("client", nil), engine.LevelOK, "CN=client, serial "},
		"client and server":        {presents("both").Checks("client", nil), engine.LevelOK, "valid until "},
		"client, only for servers": {presents("server").Checks("client", nil), engine.LevelFail, "is not for clients"},
		"client, expired":          {presents("old").Checks("client", nil), engine.LevelFail, "is valid from "},
		"client, no key":           {presents("half").Checks("client", nil), engine.LevelFail, "has no content in tls.crt or tls.key; its keys are [tls.crt]"},
		"client, to come":          {presents("planned").Checks("client", nil), engine.LevelOK, "a step of the plan may make it"},
		"client, absent":           {presents("nowhere").Checks("client", nil), engine.LevelWarn, "no step of the plan names it"},
		"refused, expired":         {presents("old").ChecksOfRefused("client", nil), engine.LevelOK, "CN=old, serial "},
		"refused, absent":          {presents("nowhere").ChecksOfRefused("client", nil), engine.LevelWarn, "no step of the plan names it"},
	} {
		if len(c.checks) != 1 || !c.checks[0].Target {
			t.Errorf("%s: checks %+v", name, c.checks)
			continue
		}
		v := c.checks[0].Run(t.Context(), env)
		if v.Level != c.level || !strings.Contains(v.Detail, c.detail) {
			t.Errorf("%s: %+v, want %s %q", name, v, c.level, c.detail)
		}
		if v.Level != engine.LevelOK && v.Next == "" && name != "trust, no CA" {
			t.Errorf("%s: %s: nothing is said about what to do", name, v.Detail)
		}
	}
}

// An input that holds outputs of other steps is not looked at, nor one that is not given;
// two inputs with one object are one check.
func TestChecksBeforeItIsKnown(t *testing.T) {
	from := tlskit.TrustInput{TrustFrom: &tlskit.TrustSource{ConfigMap: &tlskit.ObjectKey{Namespace: "a", Name: "b"}}}
	presents := &tlskit.ClientCertificate{Secret: &tlskit.SecretRef{Namespace: "a", Name: "c"}}
	none := (*tlskit.ClientCertificate)(nil)
	for name, got := range map[string][]engine.Check{
		"trust, name not known":  from.Checks("dial.", []string{"dial.trustFrom.configMap.name"}),
		"client, name not known": presents.Checks("dial.client", []string{"dial.client.secret.name"}),
		"trust":                  tlskit.TrustInput{Trust: "system"}.Checks("", nil),
		"no client":              none.Checks("client", nil),
		"no refused client":      none.ChecksOfRefused("client", nil),
	} {
		if len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for want, got := range map[string][]engine.Check{
		"CA certificates in ca.crt of ConfigMap a/b": from.Checks("", []string{"client"}),
		"client certificate in Secret a/c":           presents.Checks("client", []string{"trustFrom"}),
	} {
		if len(got) != 1 || got[0].Name != want || got[0].Own {
			t.Errorf("%+v, want %s", got, want)
		}
	}
}
