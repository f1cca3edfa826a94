package assertrotation

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

var (
	certificates = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}
	requests     = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificaterequests"}
	secrets      = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
)

// The annotations by which cert-manager marks what it makes.
const (
	annotationCertificate = "cert-manager.io/certificate-name"
	annotationRevision    = "cert-manager.io/certificate-revision"
	annotationIssuerName  = "cert-manager.io/issuer-name"
	annotationIssuerKind  = "cert-manager.io/issuer-kind"
)

// defaultDuration is the lifetime of a Certificate that does not say.
const defaultDuration = 90 * 24 * time.Hour

// A condition is a status condition as Kubernetes writes it.
type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`

	LastTransitionTime metav1.Time `json:"lastTransitionTime"`
}

type conditions []condition

func (c conditions) get(kind string) condition {
	for _, one := range c {
		if one.Type == kind {
			return one
		}
	}
	return condition{Type: kind, Status: "Unknown"}
}

func (c conditions) isTrue(kind string) bool { return c.get(kind).Status == "True" }

// A certificate is the part of a cert-manager.io/v1 Certificate that matters
// here.
type certificate struct {
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
		Conditions      conditions   `json:"conditions"`
		LastFailureTime *metav1.Time `json:"lastFailureTime"`
		FailedAttempts  int          `json:"failedIssuanceAttempts"`
		RenewalTime     *metav1.Time `json:"renewalTime"`
	} `json:"status"`
}

// older reports whether a is a state of the same object before that of b. Since
// Kubernetes 1.35 (KEP-5504) resource versions of one resource can be compared,
// and etcd's always could; of servers where they are no such numbers nothing is
// known. Those of different resources say nothing about each other.
func older(a, b metav1.ObjectMeta) bool {
	order, err := resourceversion.CompareResourceVersion(a.ResourceVersion, b.ResourceVersion)
	return err == nil && a.UID == b.UID && order < 0
}

// olderThan is older for Certificates.
func (c *certificate) olderThan(o *certificate) bool { return older(c.Metadata, o.Metadata) }

func (c *certificate) issuing() bool { return c.Status.Conditions.isTrue("Issuing") }

// failed reports whether the last issuance failed and no other is under way.
func (c *certificate) failed() bool {
	return c.Status.Conditions.get("Issuing").Status == "False" && c.Status.LastFailureTime != nil
}

func (c *certificate) duration() time.Duration {
	if c.Spec.Duration == nil {
		return defaultDuration
	}
	return c.Spec.Duration.Duration
}

// A request is the part of a cert-manager.io/v1 CertificateRequest that matters
// here.
type request struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Status   struct {
		Conditions  conditions `json:"conditions"`
		Certificate string     `json:"certificate"` // PEM in base64
	} `json:"status"`
}

// leaf returns the certificate that the request was answered with; nil if it is
// not known.
func (r *request) leaf() *x509.Certificate {
	if r.Status.Certificate == "" {
		return nil
	}
	text, err := base64.StdEncoding.DecodeString(r.Status.Certificate)
	if err != nil {
		return nil
	}
	chain, err := tlskit.ParseChain(text)
	if err != nil {
		return nil
	}
	return chain[0]
}

// revision returns the revision of the Certificate that the request is for; 0 if
// it does not say.
func (r *request) revision() int {
	n, _ := strconv.Atoi(r.Metadata.Annotations[annotationRevision])
	return n
}

// message returns what the request says about its state.
func (r *request) message() string {
	for _, kind := range []string{"InvalidRequest", "Denied"} {
		if c := r.Status.Conditions.get(kind); c.Status == "True" {
			return c.Message
		}
	}
	return r.Status.Conditions.get("Ready").Message
}

func decode[T any](u *unstructured.Unstructured) (*T, error) {
	v := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, v); err != nil {
		return nil, fmt.Errorf("%s %s/%s: %w", u.GetKind(), u.GetNamespace(), u.GetName(), err)
	}
	return v, nil
}

// A bundle is what a Secret of type kubernetes.io/tls holds. The private key is
// compared with the certificate and not kept.
type bundle struct {
	metadata   metav1.ObjectMeta
	chain      []*x509.Certificate
	keyProblem string // why the private key does not fit the certificate, or ""
}

func (b *bundle) leaf() *x509.Certificate {
	if b == nil {
		return nil
	}
	return b.chain[0]
}

// decodeBundle reads a Secret; the error says why it holds no certificate.
func decodeBundle(u *unstructured.Unstructured) (*bundle, error) {
	chainPEM, err := secretData(u, "tls.crt")
	if err != nil {
		return nil, err
	}
	chain, err := tlskit.ParseChain(chainPEM)
	if err != nil {
		return nil, fmt.Errorf("secret %s/%s: tls.crt: %w", u.GetNamespace(), u.GetName(), err)
	}
	b := &bundle{chain: chain, metadata: metav1.ObjectMeta{
		UID: u.GetUID(), ResourceVersion: u.GetResourceVersion(), Annotations: u.GetAnnotations(), ManagedFields: u.GetManagedFields(),
	}}
	keyPEM, err := secretData(u, "tls.key")
	if err != nil {
		b.keyProblem = err.Error()
		return b, nil
	}
	pair, err := tls.X509KeyPair(chainPEM, keyPEM)
	if err != nil {
		b.keyProblem = err.Error()
	} else if _, ok := pair.PrivateKey.(crypto.Signer); !ok {
		b.keyProblem = "the private key cannot sign"
	}
	return b, nil
}

func secretData(u *unstructured.Unstructured, key string) ([]byte, error) {
	text, _, _ := unstructured.NestedString(u.Object, "data", key)
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("secret %s/%s: %s: %w", u.GetNamespace(), u.GetName(), key, err)
	}
	return data, nil
}
