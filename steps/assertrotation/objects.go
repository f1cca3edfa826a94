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

// olderThan reports whether c is a state before that of o. Resource versions of
// one resource are numbers that grow; of servers where they are not, nothing is
// known.
func (c *certificate) olderThan(o *certificate) bool {
	mine, err := strconv.ParseUint(c.Metadata.ResourceVersion, 10, 64)
	if err != nil {
		return false
	}
	theirs, err := strconv.ParseUint(o.Metadata.ResourceVersion, 10, 64)
	return err == nil && c.Metadata.UID == o.Metadata.UID && mine < theirs
}

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
		Conditions conditions `json:"conditions"`
	} `json:"status"`
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
	resourceVersion string
	annotations     map[string]string
	chain           []*x509.Certificate
	keyProblem      string // why the private key does not fit the certificate, or ""
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
	b := &bundle{resourceVersion: u.GetResourceVersion(), annotations: u.GetAnnotations(), chain: chain}
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
