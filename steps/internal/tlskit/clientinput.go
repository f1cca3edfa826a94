package tlskit

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// A ClientInput is the part of a spec that gives the certificate of the client.
type ClientInput struct {
	// Client is the certificate that the client presents to the server (mTLS):
	// from a Secret, or from files. A server that does not ask for one breaks the
	// proof. By default the client has none.
	Client *ClientCertificate `yaml:"client"`
}

// A ClientCertificate is the place of a client certificate and its private key: a
// Secret, or two files.
type ClientCertificate struct {
	// Secret is a Secret of type kubernetes.io/tls, such as the one that cert-manager
	// writes: the certificate is in tls.crt, the key in tls.key.
	Secret *SecretRef `yaml:"secret"`

	// CertificateFile is a PEM file with the certificate, followed by the
	// intermediates that the server does not know. It goes with keyFile.
	CertificateFile engine.File `yaml:"certificateFile" check:"exists"`

	// KeyFile is a PEM file with the private key. Others must not be able to read
	// it (mode 0600).
	KeyFile engine.File `yaml:"keyFile" check:"exists"`
}

// A SecretRef names a Secret.
type SecretRef struct {
	// Namespace is the Secret's namespace.
	Namespace string `yaml:"namespace" check:"required"`

	// Name is the Secret's name.
	Name string `yaml:"name" check:"required"`
}

// String returns namespace and name.
func (r SecretRef) String() string { return r.Namespace + "/" + r.Name }

// Validate reports the problems of the input.
func (c ClientInput) Validate(p *engine.Problems) { c.Client.Validate(p, "client") }

// Validate reports the problems of the input at a field. nil has none.
func (c *ClientCertificate) Validate(p *engine.Problems, field string) {
	if c == nil {
		return
	}
	files := !c.CertificateFile.IsZero() || !c.KeyFile.IsZero()
	switch {
	case c.Secret != nil && files:
		p.Add(field+".secret", "the certificate is either in a Secret or in files, not both")
	case c.Secret == nil && !files:
		p.AddProblem(engine.Problem{Field: field, Message: "is neither a Secret nor files",
			Hint: "write secret: {namespace: NAMESPACE, name: NAME}, or certificateFile and keyFile"})
	case files && c.CertificateFile.IsZero():
		p.Add(field+".certificateFile", "is missing: keyFile alone is no client certificate")
	case files && c.KeyFile.IsZero():
		p.Add(field+".keyFile", "is missing: the client must prove that the certificate is its own")
	case files:
		if _, err := c.read(func(...engine.Secret) {}); err != nil {
			p.AddProblem(engine.Problem{Field: field + ".keyFile", Message: err.Error(), Hint: engine.HintOf(err)})
		}
	}
}

// String names the source.
func (c *ClientCertificate) String() string {
	switch {
	case c == nil:
		return "no client certificate"
	case c.Secret != nil:
		return "the client certificate in Secret " + c.Secret.String()
	}
	return "the client certificate in " + c.CertificateFile.Name
}

// read reads the two files and conceals the key.
func (c *ClientCertificate) read(conceal func(...engine.Secret)) (*Credential, error) {
	chain, err := c.CertificateFile.Read()
	if err != nil {
		return nil, err
	}
	key, err := c.KeyFile.Read()
	if err != nil {
		return nil, err
	}
	conceal(engine.NewSecret(string(key)))
	if err := c.KeyFile.Exposed(); err != nil {
		return nil, err
	}
	credential, err := ParseCredential(chain, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", c.CertificateFile.Name, c.KeyFile.Name, err)
	}
	return credential, nil
}

// Load returns the credential and conceals its key; nil for nil. A Secret that is not
// there or not filled yet may come: other errors are permanent.
func (c *ClientCertificate) Load(ctx context.Context, env *engine.Env) (*Credential, error) {
	switch {
	case c == nil:
		return nil, nil
	case c.Secret == nil:
		credential, err := c.read(env.Conceal)
		if err != nil {
			err = engine.Permanent(fmt.Errorf("client: %w", err))
		}
		return credential, err
	}
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return nil, err
	}
	secret, err := cluster.Client().CoreV1().Secrets(c.Secret.Namespace).Get(ctx, c.Secret.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, engine.WithHint(fmt.Errorf("client: %w", &kubekit.NoObjectError{Kind: "Secret", Namespace: c.Secret.Namespace, Name: c.Secret.Name}), "has the client's Certificate been issued?")
	} else if err != nil {
		return nil, fmt.Errorf("client: Secret %s: %w", c.Secret, kubekit.Classify(err))
	}
	credential, err := credentialOf(env, secret)
	if err != nil {
		return nil, engine.WithHint(fmt.Errorf("client: Secret %s: %w", c.Secret, err), "it must hold a certificate in tls.crt and its private key in tls.key")
	}
	return credential, nil
}

// credentialOf reads a Secret of type kubernetes.io/tls and conceals its key.
func credentialOf(env *engine.Env, secret *corev1.Secret) (*Credential, error) {
	chain, key := secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]
	if len(chain) == 0 || len(key) == 0 {
		return nil, fmt.Errorf("has no content in tls.crt or tls.key; its keys are %v", slices.Sorted(maps.Keys(secret.Data)))
	}
	env.Conceal(engine.NewSecret(string(key)))
	return ParseCredential(chain, key)
}
