package tlskit_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

func inCluster(t *testing.T) (env *engine.Env, client kubernetes.Interface, namespace string) {
	env = labtest.Env(t)
	namespace = labtest.Namespace(t, env)
	cluster, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	return env, cluster.Client(), namespace
}

func TestTrustFrom(t *testing.T) {
	env, client, namespace := inCluster(t)
	write := engine.AllowWrites(t.Context())
	root, next := tlstest.NewCA(t, "Root"), tlstest.NewCA(t, "Next")
	leaf := root.Issue(t, tlstest.Leaf{CommonName: "a"})
	gone := tlstest.NewCA(t, "Root").Brief(t, "Gone", -1)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "roots"}, Data: map[string][]byte{
		"ca.crt": []byte(root.PEM()), "both.pem": []byte(root.PEM() + next.PEM()), "leaf": leaf.CertPEM, "text": []byte("no certificate"), "gone": []byte(gone.PEM()),
	}}
	if _, err := client.CoreV1().Secrets(namespace).Create(write, secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "roots"}, Data: map[string]string{"ca.crt": next.PEM()}}
	config, err := client.CoreV1().ConfigMaps(namespace).Create(write, config, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	key := func(name, key string) *tlskit.ObjectKey {
		return &tlskit.ObjectKey{Namespace: namespace, Name: name, Key: key}
	}
	for name, c := range map[string]struct {
		from      tlskit.TrustSource
		want      string // the trust, or part of the error
		permanent bool
	}{
		"secret":      {tlskit.TrustSource{Secret: key("roots", "")}, "CN=Root", false},
		"bundle":      {tlskit.TrustSource{Secret: key("roots", "both.pem")}, "CN=Root, CN=Next", false},
		"config map":  {tlskit.TrustSource{ConfigMap: key("roots", "")}, "CN=Next", false},
		"not there":   {tlskit.TrustSource{ConfigMap: key("none", "")}, "does not exist", false},
		"no such key": {tlskit.TrustSource{Secret: key("roots", "root.pem")}, "nothing in root.pem; its keys are [both.pem ca.crt gone leaf text]", false},
		"no CA":       {tlskit.TrustSource{Secret: key("roots", "leaf")}, "leaf: CN=a is not a CA certificate", true},
		"no PEM":      {tlskit.TrustSource{Secret: key("roots", "text")}, "text: no PEM certificate", true},
		"expired":     {tlskit.TrustSource{Secret: key("roots", "gone")}, "every CA certificate has expired", false},
	} {
		trust, err := tlskit.TrustInput{TrustFrom: &c.from}.Load(t.Context(), env)
		switch {
		case err == nil && trust.String() != c.want:
			t.Errorf("%s: trust %s, want %s", name, trust, c.want)
		case err != nil && (!strings.Contains(err.Error(), c.want) || errors.Is(err, engine.ErrPermanent) != c.permanent):
			t.Errorf("%s: %v, want %s, permanent %t", name, err, c.want, c.permanent)
		}
	}

	input := tlskit.TrustInput{TrustFrom: &tlskit.TrustSource{ConfigMap: key("roots", "")}}
	before, err := input.Load(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := input.Changed(t.Context(), env, before); text != "" || err != nil {
		t.Errorf("changed: %q, %v", text, err)
	}
	config.Data["ca.crt"] = root.PEM()
	if _, err := client.CoreV1().ConfigMaps(namespace).Update(write, config, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if text, err := input.Changed(t.Context(), env, before); !strings.Contains(text, "1 added, 1 removed") || err != nil {
		t.Errorf("changed: %q, %v", text, err)
	}
}

// A client certificate that is renewed is presented as soon as its Secret changes.
func TestFollow(t *testing.T) {
	env, client, namespace := inCluster(t)
	write := engine.AllowWrites(t.Context())
	ca := tlstest.NewCA(t, "Clients")
	fill := func(s *corev1.Secret) *tlstest.Pair {
		p := ca.Issue(t, tlstest.Leaf{CommonName: "client", Client: true})
		s.Data = map[string][]byte{"tls.crt": p.CertPEM, "tls.key": p.KeyPEM}
		return p
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "client-tls"}, Type: corev1.SecretTypeTLS}
	first := fill(secret)
	secret, err := client.CoreV1().Secrets(namespace).Create(write, secret, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	input := &tlskit.ClientCertificate{Secret: &tlskit.SecretRef{Namespace: namespace, Name: "client-tls"}}
	var concealed sync.Map
	env.Conceal = func(secrets ...engine.Secret) {
		for _, s := range secrets {
			concealed.Store(s.Reveal(), true)
		}
	}
	credential, err := input.Load(t.Context(), env)
	if err != nil || !credential.Leaf().Equal(first.Leaf()) {
		t.Fatalf("loaded %v, %v", credential, err)
	}
	identity := tlskit.NewIdentity(credential)
	changed, warned := make(chan struct{}, 9), make(chan struct{}, 9)
	env.Logf = func(format string, args ...any) {
		if strings.Contains(format, "client certificate changed") {
			changed <- struct{}{}
		}
	}
	env.Warnf = func(string, ...any) { warned <- struct{}{} }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); input.Follow(ctx, env, identity) }()

	second := fill(secret)
	if secret, err = client.CoreV1().Secrets(namespace).Update(write, secret, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	<-changed
	if got := identity.Credential().Leaf(); !got.Equal(second.Leaf()) {
		t.Errorf("presented is serial %s, want %s", certs.Serial(got), certs.Serial(second.Leaf()))
	}
	secret.Data["tls.key"] = first.KeyPEM
	if _, err = client.CoreV1().Secrets(namespace).Update(write, secret, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	<-warned
	if !identity.Credential().Leaf().Equal(second.Leaf()) {
		t.Error("a certificate with another's key is presented")
	}
	cancel()
	<-done
	for name, key := range map[string][]byte{"the first": first.KeyPEM, "the second": second.KeyPEM} {
		if _, ok := concealed.Load(string(key)); !ok {
			t.Errorf("%s private key is not concealed", name)
		}
	}
}
