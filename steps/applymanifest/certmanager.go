package applymanifest

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// pendingIssuance adds to what is said of a Certificate that is not ready why its
// request is not signed: the issuer's reason is in the request alone, and while it
// may pass, as a sealed Vault does, cert-manager tries again without a word in the
// Certificate. An error is no reason to fail: only the remark is missing then.
func (r *run) pendingIssuance(ctx context.Context, certificate *unstructured.Unstructured, said string) string {
	if certificate == nil || certificate.GroupVersionKind().GroupKind() != certificateKind {
		return said
	}
	have, err := r.cluster.Status(ctx, requestOf(certificate))
	if err != nil || have[0].Object == nil {
		return said
	}
	return said + pending(have[0].Object)
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

// pending is why a request is not signed yet, on one line, or "".
func pending(request *unstructured.Unstructured) string {
	c, ok := kubekit.Condition(request, "Ready")
	if !ok || c.Status != metav1.ConditionFalse || c.Message == "" {
		return ""
	}
	return fmt.Sprintf("; request %s: %s: %s", request.GetName(), c.Reason, strings.Join(strings.Fields(c.Message), " "))
}

var certificateKind = schema.GroupKind{Group: "cert-manager.io", Kind: "Certificate"}

// failedIssuance returns a permanent error for a Certificate whose issuance has
// failed since its last change: cert-manager sets Issuing=False and
// lastFailureTime then, and tries again only after its back-off, an hour that
// doubles with every failure up to 32 (cert-manager/cert-manager#6201).
func failedIssuance(o *object) error {
	if o.gvk().GroupKind() != certificateKind {
		return nil
	}
	message, next := issuanceFailure(o.live)
	if message == "" {
		return nil
	}
	return engine.Permanent(engine.WithHint(
		fmt.Errorf("%s (%s): issuance failed: %s", o.ref, o.source, message),
		fmt.Sprintf("remove the cause, then cmctl renew %s -n %s, or kubectl delete certificate %s -n %s (its Secret stays) and run again; by itself cert-manager tries again %s",
			o.ref.Name, o.ref.Namespace, o.ref.Name, o.ref.Namespace, next)))
}

// issuanceFailure returns why the last issuance of a Certificate failed, and
// when the next one is due; "" if it did not fail.
func issuanceFailure(certificate *unstructured.Unstructured) (message, next string) {
	c, _ := kubekit.Condition(certificate, "Issuing")
	text, _, _ := unstructured.NestedString(certificate.Object, "status", "lastFailureTime")
	failedAt, err := time.Parse(time.RFC3339, text)
	if err != nil || c.Status != metav1.ConditionFalse ||
		c.ObservedGeneration != 0 && c.ObservedGeneration < certificate.GetGeneration() {
		return "", ""
	}
	attempts, _, _ := unstructured.NestedInt64(certificate.Object, "status", "failedIssuanceAttempts")
	return c.Message, "at " + failedAt.Add(backoff(attempts)).UTC().Format(time.RFC3339)
}

// backoff is cert-manager's pause after failed issuances in its default
// configuration.
func backoff(attempts int64) time.Duration {
	const first, limit = time.Hour, 32 * time.Hour
	d := first
	for ; attempts > 1 && d < limit; attempts-- {
		d *= 2
	}
	return min(d, limit)
}
