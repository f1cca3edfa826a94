package certmanager

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// An Issuance describes a Certificate or an issuer that is not ready.
type Issuance struct {
	Text  string        // why, and when cert-manager tries again
	Watch kubekit.Watch // of the Certificate's request; without a kind if there is none to watch
	Next  time.Time     // when cert-manager tries again at the latest; zero if it is not known
}

// The kinds that cert-manager tries again.
var (
	CertificateKind   = schema.GroupKind{Group: "cert-manager.io", Kind: "Certificate"}
	issuerKind        = schema.GroupKind{Group: "cert-manager.io", Kind: "Issuer"}
	clusterIssuerKind = schema.GroupKind{Group: "cert-manager.io", Kind: "ClusterIssuer"}
)

// Describe adds cert-manager's next action to the message of a Certificate or an
// issuer that is not ready. It is false for objects of other kinds.
func Describe(ctx context.Context, env *engine.Env, cluster *kubekit.Cluster, o *unstructured.Unstructured, said string) (Issuance, bool) {
	switch o.GroupVersionKind().GroupKind() {
	case CertificateKind:
		return issuanceOf(ctx, env, cluster, o, said), true
	case issuerKind, clusterIssuerKind:
		i := Issuance{Text: said}
		i.retried(o, "Failed to ")
		return i, true
	}
	return Issuance{}, false
}

// issuanceOf adds to the message of a Certificate that is not ready why it is not
// issued and when cert-manager tries again. The issuer's reason is in the request
// alone: while it may pass, as a sealed Vault does, nothing changes in the
// Certificate. An error is no reason to fail: only the remark is missing then.
func issuanceOf(ctx context.Context, env *engine.Env, cluster *kubekit.Cluster, certificate *unstructured.Unstructured, said string) Issuance {
	if c, ok := kubestatus.Condition(certificate, "Issuing"); ok && c.Message != "" && !strings.Contains(said, kubestatus.OneLine(c.Message)) {
		said += "; Issuing: " + kubestatus.OneLine(c.Message)
	}
	if f := FailureOf(certificate); f != nil {
		next := BackoffOf(ctx, env, cluster).Next(f.At, f.Times)
		return Issuance{Text: said + "; cert-manager tries again at " + certs.Stamp(next), Next: next}
	}
	i := Issuance{Text: said, Watch: kubekit.Watch{Ref: requestOf(certificate)}}
	have, err := cluster.Status(ctx, i.Watch.Ref)
	if err != nil {
		return Issuance{Text: said}
	}
	if request := have[0].Object; request != nil {
		i.Watch.ResourceVersion = request.GetResourceVersion()
		i.Text += pending("request", request)
		i.retried(request, "Failed to initialise")
		i.Text += issuerOf(ctx, cluster, certificate, request)
	}
	return i
}

// issuerOf is why the issuer is not ready, if the request waits for that: cert-manager's
// message of the request does not have the issuer's reason.
func issuerOf(ctx context.Context, cluster *kubekit.Cluster, certificate, request *unstructured.Unstructured) string {
	ref, ok := IssuerRef(certificate)
	if c, _ := kubestatus.Condition(request, "Ready"); !ok || !strings.HasPrefix(c.Message, "Referenced issuer does not have a Ready status condition") {
		return ""
	}
	have, err := cluster.Status(ctx, ref)
	if err != nil || have[0].Object == nil {
		return ""
	}
	return pending(ref.Kind, have[0].Object)
}

// IssuerRef is the issuer of a Certificate; false if it is not one of cert-manager's own
// kinds, or has no name yet.
func IssuerRef(certificate *unstructured.Unstructured) (kubekit.Ref, bool) {
	field := func(name string) string {
		text, _, _ := unstructured.NestedString(certificate.Object, "spec", "issuerRef", name)
		return text
	}
	ref := kubekit.Ref{APIVersion: "cert-manager.io/v1", Kind: cmp.Or(field("kind"), issuerKind.Kind), Name: field("name")}
	if ref.Kind == issuerKind.Kind {
		ref.Namespace = certificate.GetNamespace()
	}
	own := ref.Kind == issuerKind.Kind || ref.Kind == clusterIssuerKind.Kind
	return ref, own && ref.Name != "" && cmp.Or(field("group"), issuerKind.Group) == issuerKind.Group
}

// retried adds the time at which cert-manager tries an object that is not Ready
// again, if only time is needed, as the beginning of its message tells. A request
// whose issuer is not ready is not tried before the issuer is.
func (i *Issuance) retried(o *unstructured.Unstructured, beginning string) {
	c, ok := kubestatus.Condition(o, "Ready")
	if !ok || c.Status == metav1.ConditionTrue || !strings.HasPrefix(c.Message, beginning) || c.LastTransitionTime.IsZero() {
		return
	}
	i.Next = NextPending(c.LastTransitionTime.Time, time.Now())
	i.Text += "; cert-manager tries again at the latest at " + certs.Stamp(i.Next)
}

// requestOf names the request for a Certificate's next revision. Names too long for
// that are cut and hashed by cert-manager: those are not found.
func requestOf(certificate *unstructured.Unstructured) kubekit.Ref {
	revision, _, _ := unstructured.NestedInt64(certificate.Object, "status", "revision")
	return kubekit.Ref{
		APIVersion: "cert-manager.io/v1", Kind: "CertificateRequest",
		Namespace: certificate.GetNamespace(), Name: fmt.Sprintf("%s-%d", certificate.GetName(), revision+1),
	}
}

// pending is why a request is not signed yet, or an issuer is not ready, on one line after
// its kind and name, or "".
func pending(kind string, o *unstructured.Unstructured) string {
	c, ok := kubestatus.Condition(o, "Ready")
	if !ok || c.Status != metav1.ConditionFalse || c.Message == "" {
		return ""
	}
	return fmt.Sprintf("; %s %s: %s: %s", kind, o.GetName(), c.Reason, kubestatus.OneLine(c.Message))
}

// A Failure is that of the last issuance of a Certificate.
type Failure struct {
	Message string
	At      time.Time
	Times   int // in a row
}

// FailureOf returns nil if the last issuance did not fail, or the Certificate has
// changed since.
func FailureOf(certificate *unstructured.Unstructured) *Failure {
	c, _ := kubestatus.Condition(certificate, "Issuing")
	text, _, _ := unstructured.NestedString(certificate.Object, "status", "lastFailureTime")
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || c.Status != metav1.ConditionFalse ||
		c.ObservedGeneration != 0 && c.ObservedGeneration < certificate.GetGeneration() {
		return nil
	}
	times, _, _ := unstructured.NestedInt64(certificate.Object, "status", "failedIssuanceAttempts")
	return &Failure{kubestatus.OneLine(c.Message), at, int(times)}
}
