package certwatch

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/ztplan/ztplan/steps/internal/certs"
)

var (
	certificates = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}
	requests     = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificaterequests"}
	secrets      = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
)

// The annotations that cert-manager sets on requests and Secrets.
const (
	annotationCertificate = "cert-manager.io/certificate-name"
	annotationRevision    = "cert-manager.io/certificate-revision"

	AnnotationIssuerName = "cert-manager.io/issuer-name"
	AnnotationIssuerKind = "cert-manager.io/issuer-kind"
)

// defaultDuration is the lifetime without one in the Certificate.
const defaultDuration = 90 * 24 * time.Hour

// A Ref names an object in a namespace.
type Ref struct {
	// Namespace is the object's namespace.
	Namespace string `yaml:"namespace" check:"required"`

	// Name is the object's name.
	Name string `yaml:"name" check:"required"`
}

func (r Ref) String() string { return r.Namespace + "/" + r.Name }

// Conditions are the conditions in a status.
type Conditions []metav1.Condition

// Get returns a condition by its type; its status is Unknown if there is none.
func (c Conditions) Get(kind string) metav1.Condition {
	if one := meta.FindStatusCondition(c, kind); one != nil {
		return *one
	}
	return metav1.Condition{Type: kind, Status: metav1.ConditionUnknown}
}

// A Certificate is the part of a cert-manager.io/v1 Certificate that matters
// here.
type Certificate struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		SecretName     string           `json:"secretName"`
		CommonName     string           `json:"commonName"`
		DNSNames       []string         `json:"dnsNames"`
		IPAddresses    []string         `json:"ipAddresses"`
		URIs           []string         `json:"uris"`
		EmailAddresses []string         `json:"emailAddresses"`
		Duration       *metav1.Duration `json:"duration"`
		IssuerRef      struct {
			Name string `json:"name"`
			Kind string `json:"kind"`
		} `json:"issuerRef"`
		PrivateKey struct {
			RotationPolicy string `json:"rotationPolicy"`
		} `json:"privateKey"`
	} `json:"spec"`
	Status struct {
		Revision        int          `json:"revision"`
		Conditions      Conditions   `json:"conditions"`
		LastFailureTime *metav1.Time `json:"lastFailureTime"`
		FailedAttempts  int          `json:"failedIssuanceAttempts"`
		RenewalTime     *metav1.Time `json:"renewalTime"`
	} `json:"status"`
}

// older reports whether a is an earlier state of the same object than b. Since
// Kubernetes 1.35 (KEP-5504) resource versions of one resource can be compared, and
// etcd's always could. For other versions it returns false.
func older(a, b metav1.ObjectMeta) bool {
	order, err := resourceversion.CompareResourceVersion(a.ResourceVersion, b.ResourceVersion)
	return err == nil && a.UID == b.UID && order < 0
}

// Issuing reports whether an issuance is under way.
func (c *Certificate) Issuing() bool {
	return meta.IsStatusConditionTrue(c.Status.Conditions, "Issuing")
}

// Failed reports whether the last issuance failed and no other is under way.
func (c *Certificate) Failed() bool {
	return meta.IsStatusConditionFalse(c.Status.Conditions, "Issuing") && c.Status.LastFailureTime != nil
}

// FailedSince reports whether the last issuance failed after an earlier state of
// the Certificate.
func (c *Certificate) FailedSince(before *Certificate) bool {
	then := before.Status
	return c.Failed() && (then.LastFailureTime == nil ||
		c.Status.FailedAttempts != then.FailedAttempts ||
		!c.Status.LastFailureTime.Equal(then.LastFailureTime))
}

// Lifetime returns the planned lifetime of the certificate.
func (c *Certificate) Lifetime() time.Duration {
	if c.Spec.Duration == nil {
		return defaultDuration
	}
	return c.Spec.Duration.Duration
}

// A Request is the part of a cert-manager.io/v1 CertificateRequest that matters
// here.
type Request struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Status   struct {
		Conditions  Conditions `json:"conditions"`
		Certificate string     `json:"certificate"` // PEM in base64
	} `json:"status"`
}

// Leaf returns the certificate in the request's status, nil if there is none.
func (r *Request) Leaf() *x509.Certificate {
	if r.Status.Certificate == "" {
		return nil
	}
	text, err := base64.StdEncoding.DecodeString(r.Status.Certificate)
	if err != nil {
		return nil
	}
	chain, err := certs.Parse(string(text))
	if err != nil {
		return nil
	}
	return chain[0]
}

// Revision returns the revision of the Certificate that the request is for; 0 if
// it is not known.
func (r *Request) Revision() int {
	n, _ := strconv.Atoi(r.Metadata.Annotations[annotationRevision])
	return n
}

// Message returns the message of the condition that explains the request's state.
func (r *Request) Message() string {
	for _, kind := range []string{"InvalidRequest", "Denied"} {
		if c := r.Status.Conditions.Get(kind); c.Status == "True" {
			return c.Message
		}
	}
	return r.Status.Conditions.Get("Ready").Message
}

func decode[T any](u *unstructured.Unstructured) (*T, error) {
	v := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, v); err != nil {
		return nil, fmt.Errorf("%s %s/%s: %w", u.GetKind(), u.GetNamespace(), u.GetName(), err)
	}
	return v, nil
}

// A Bundle is the content of a Secret of type kubernetes.io/tls. The private key is
// compared with the certificate and not kept.
type Bundle struct {
	Metadata   metav1.ObjectMeta
	Chain      []*x509.Certificate
	KeyProblem string // why the private key does not fit the certificate, or ""
}

// Leaf returns the certificate; nil if b is nil.
func (b *Bundle) Leaf() *x509.Certificate {
	if b == nil {
		return nil
	}
	return b.Chain[0]
}

// decodeBundle reads a Secret; the error is why it holds no certificate.
func decodeBundle(u *unstructured.Unstructured) (*Bundle, error) {
	chainPEM, err := secretData(u, "tls.crt")
	if err != nil {
		return nil, err
	}
	chain, err := certs.Parse(string(chainPEM))
	if err != nil {
		return nil, fmt.Errorf("secret %s/%s: tls.crt: %w", u.GetNamespace(), u.GetName(), err)
	}
	b := &Bundle{Chain: chain, Metadata: metav1.ObjectMeta{
		UID: u.GetUID(), ResourceVersion: u.GetResourceVersion(), Annotations: u.GetAnnotations(), ManagedFields: u.GetManagedFields(),
	}}
	keyPEM, err := secretData(u, "tls.key")
	if err != nil {
		b.KeyProblem = err.Error()
		return b, nil
	}
	pair, err := tls.X509KeyPair(chainPEM, keyPEM)
	if err != nil {
		b.KeyProblem = err.Error()
	} else if _, ok := pair.PrivateKey.(crypto.Signer); !ok {
		b.KeyProblem = "the private key cannot sign"
	}
	return b, nil
}

func secretData(u *unstructured.Unstructured, key string) ([]byte, error) {
	text, has, _ := unstructured.NestedString(u.Object, "data", key)
	if !has {
		return nil, fmt.Errorf("secret %s/%s: has no %s", u.GetNamespace(), u.GetName(), key)
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("secret %s/%s: %s: %w", u.GetNamespace(), u.GetName(), key, err)
	}
	return data, nil
}
