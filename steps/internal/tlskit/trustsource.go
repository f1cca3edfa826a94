package tlskit

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// trustKey is where cert-manager, trust-manager and the Gateway API keep authorities.
const trustKey = "ca.crt"

// A TrustSource names an object of the cluster with CA certificates: a Secret or a
// ConfigMap.
type TrustSource struct {
	// Secret holds the CA certificates in PEM, such as the one that cert-manager
	// writes a certificate to. What it says about its own authority proves nothing
	// about the server that shows the certificate beside it: an issuer that was
	// replaced is in both.
	Secret *ObjectKey `yaml:"secret"`

	// ConfigMap holds the CA certificates in PEM, such as one that trust-manager
	// writes.
	ConfigMap *ObjectKey `yaml:"configMap"`
}

// An ObjectKey names one key of a Secret or a ConfigMap.
type ObjectKey struct {
	// Namespace is the object's namespace.
	Namespace string `yaml:"namespace" check:"required"`

	// Name is the object's name.
	Name string `yaml:"name" check:"required"`

	// Key is the key inside the object, by default ca.crt.
	Key string `yaml:"key"`
}

func (k ObjectKey) key() string { return cmp.Or(k.Key, trustKey) }

// Validate reports the problems of the input at a field.
func (t TrustSource) Validate(p *engine.Problems, field string) {
	if (t.Secret == nil) == (t.ConfigMap == nil) {
		p.AddProblem(engine.Problem{
			Field:   field,
			Message: "trustFrom needs one of secret and configMap",
			Hint:    "write trustFrom: {configMap: {namespace: NAMESPACE, name: NAME}}",
		})
	}
}

// object returns the key, and the kind of the object that has it.
func (t TrustSource) object() (ObjectKey, string) {
	switch {
	case t.Secret != nil:
		return *t.Secret, "Secret"
	case t.ConfigMap != nil:
		return *t.ConfigMap, "ConfigMap"
	}
	return ObjectKey{}, "object"
}

// String names the source.
func (t TrustSource) String() string {
	k, kind := t.object()
	return fmt.Sprintf("the CA certificates in %s of %s %s/%s", k.key(), kind, k.Namespace, k.Name)
}

// Text reads the CA certificates from the object. An object that is not there
// ([kubekit.NoObjectError]) or not filled may come.
func (t TrustSource) Text(ctx context.Context, env *engine.Env) (string, error) {
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return "", err
	}
	var (
		k, kind = t.object()
		text    string
		keys    []string
		failure error
	)
	if t.Secret != nil {
		secret, err := cluster.Client().CoreV1().Secrets(k.Namespace).Get(ctx, k.Name, metav1.GetOptions{})
		if failure = err; err == nil {
			text, keys = string(secret.Data[k.key()]), slices.Sorted(maps.Keys(secret.Data))
		}
	} else {
		config, err := cluster.Client().CoreV1().ConfigMaps(k.Namespace).Get(ctx, k.Name, metav1.GetOptions{})
		if failure = err; err == nil {
			text, keys = config.Data[k.key()], slices.Sorted(maps.Keys(config.Data))
		}
	}
	switch {
	case apierrors.IsNotFound(failure):
		return "", engine.WithHint(fmt.Errorf("trustFrom: %w", &kubekit.NoObjectError{Kind: kind, Namespace: k.Namespace, Name: k.Name}),
			"correct trustFrom, or make the object before this step")
	case failure != nil:
		return "", fmt.Errorf("%s: %w", t.at(), kubekit.Classify(failure))
	case text == "":
		return "", engine.WithHint(fmt.Errorf("%s has nothing in %s; its keys are %v", t.at(), k.key(), keys),
			"give the key with the CA certificates, or look why what fills it has not")
	}
	return text, nil
}

// at begins the errors about the object.
func (t TrustSource) at() string {
	k, kind := t.object()
	return fmt.Sprintf("trustFrom: %s %s/%s", kind, k.Namespace, k.Name)
}

// load reads the authorities.
func (t TrustSource) load(ctx context.Context, env *engine.Env) (*Trust, error) {
	text, err := t.Text(ctx, env)
	if err != nil {
		return nil, err
	}
	k, _ := t.object()
	trust, err := parseAnchors([]byte(text))
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("%s: %s: %w", t.at(), k.key(), err))
	}
	now := env.Now()
	if !slices.ContainsFunc(trust.anchors, func(c *x509.Certificate) bool { return now.Before(c.NotAfter) }) {
		last := trust.anchors[0]
		return nil, engine.WithHint(fmt.Errorf("%s: %s: every CA certificate has expired, the first, %s, at %s", t.at(), k.key(), certs.Subject(last), certs.Stamp(last.NotAfter)),
			"look at what writes the bundle")
	}
	return trust, nil
}

// without returns the certificates of a list that another one does not have.
func without(list, other []*x509.Certificate) []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(list), func(c *x509.Certificate) bool {
		return slices.ContainsFunc(other, c.Equal)
	})
}

// Changed returns a line about the authorities that have been added and removed since
// trust was loaded; "" if there are none, or if the trust is not from the cluster. A
// bundle that rotates under a proof is worth a message: the proof goes on with the trust
// that it began with.
func (t TrustInput) Changed(ctx context.Context, env *engine.Env, trust *Trust) (string, error) {
	if t.TrustFrom == nil {
		return "", nil
	}
	now, err := t.Load(ctx, env)
	if err != nil {
		return "", err
	}
	added, removed := without(now.anchors, trust.anchors), without(trust.anchors, now.anchors)
	if len(added) == 0 && len(removed) == 0 {
		return "", nil
	}
	return fmt.Sprintf("%s changed during the proof, which verified with those of its beginning: %d added, %d removed", t.TrustFrom, len(added), len(removed)), nil
}
