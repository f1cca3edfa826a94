package applymanifest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certmanager"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// An issuance describes a Certificate or an issuer that is not ready.
type issuance struct {
	text  string        // why, and when cert-manager tries again
	watch kubekit.Watch // of the Certificate's request; without a kind if there is none to watch
	next  time.Time     // when cert-manager tries again at the latest; zero if it is not known
}

// issuance adds to the message of a Certificate that is not ready why it is not
// issued and when cert-manager tries again. The issuer's reason is in the request
// alone: while it may pass, as a sealed Vault does, nothing changes in the
// Certificate. An error is no reason to fail: only the remark is missing then.
func (r *run) issuance(ctx context.Context, certificate *unstructured.Unstructured, said string) issuance {
	if c, ok := kubestatus.Condition(certificate, "Issuing"); ok && c.Message != "" && !strings.Contains(said, kubestatus.OneLine(c.Message)) {
		said += "; Issuing: " + kubestatus.OneLine(c.Message)
	}
	if f := failureOf(certificate); f != nil {
		next := certmanager.BackoffOf(ctx, r.env, r.cluster).Next(f.at, f.times)
		return issuance{text: said + "; cert-manager tries again at " + stamp(next), next: next}
	}
	i := issuance{text: said, watch: kubekit.Watch{Ref: requestOf(certificate)}}
	have, err := r.cluster.Status(ctx, i.watch.Ref)
	if err != nil {
		return issuance{text: said}
	}
	if request := have[0].Object; request != nil {
		i.watch.ResourceVersion = request.GetResourceVersion()
		i.text += pending(request)
		i.retried(request, "Failed to initialise")
	}
	return i
}

// retried adds when cert-manager tries an object again that is not Ready, if that
// is a matter of time: by the beginning of its message. Of a request whose issuer
// is not ready nothing is tried until that is.
func (i *issuance) retried(o *unstructured.Unstructured, beginning string) {
	c, ok := kubestatus.Condition(o, "Ready")
	if !ok || c.Status == metav1.ConditionTrue || !strings.HasPrefix(c.Message, beginning) || c.LastTransitionTime.IsZero() {
		return
	}
	i.next = certmanager.NextPending(c.LastTransitionTime.Time, time.Now())
	i.text += "; cert-manager tries again at the latest at " + stamp(i.next)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// issued returns when the Certificate or its request has changed, or when
// cert-manager was to have tried again.
func (r *run) issued(ctx context.Context, watches []kubekit.Watch, i issuance) error {
	if i.watch.Ref.Kind != "" {
		watches = append(slices.Clone(watches), i.watch)
	}
	var limit time.Time
	if !i.next.IsZero() {
		limit = time.Now().Add(max(time.Until(i.next), 0) + settleTime)
	}
	return r.changed(ctx, watches, limit)
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
	c, ok := kubestatus.Condition(request, "Ready")
	if !ok || c.Status != metav1.ConditionFalse || c.Message == "" {
		return ""
	}
	return fmt.Sprintf("; request %s: %s: %s", request.GetName(), c.Reason, kubestatus.OneLine(c.Message))
}

var (
	certificateKind   = schema.GroupKind{Group: "cert-manager.io", Kind: "Certificate"}
	issuerKind        = schema.GroupKind{Group: "cert-manager.io", Kind: "Issuer"}
	clusterIssuerKind = schema.GroupKind{Group: "cert-manager.io", Kind: "ClusterIssuer"}
)

// failedIssuance returns a permanent error for a Certificate whose issuance has
// failed since its last change, if cert-manager tries again only when the step's
// time is over: it sets Issuing=False and lastFailureTime, and then makes a pause
// (cert-manager/cert-manager#6201).
func (r *run) failedIssuance(ctx context.Context, o *object) error {
	end, limited := ctx.Deadline()
	if !limited || o.gvk().GroupKind() != certificateKind {
		return nil
	}
	f := failureOf(o.live)
	if f == nil {
		return nil
	}
	return o.givenUp(*f, certmanager.BackoffOf(ctx, r.env, r.cluster), end)
}

func (o *object) givenUp(f failure, b certmanager.Backoff, end time.Time) error {
	next := b.Next(f.at, f.times)
	if next.Before(end) {
		return nil
	}
	return engine.Permanent(engine.WithHint(
		fmt.Errorf("%s (%s): issuance failed: %s", o.ref, o.source, f.message),
		fmt.Sprintf("remove the cause, then cmctl renew %s -n %s, or kubectl delete certificate %s -n %s (its Secret stays) and run again; by itself cert-manager tries again at %s, when the step's timeout is over",
			o.ref.Name, o.ref.Namespace, o.ref.Name, o.ref.Namespace, stamp(next))))
}

// A failure is that of the last issuance of a Certificate.
type failure struct {
	message string
	at      time.Time
	times   int // in a row
}

// failureOf returns nil if the last issuance did not fail, or the Certificate has
// changed since.
func failureOf(certificate *unstructured.Unstructured) *failure {
	c, _ := kubestatus.Condition(certificate, "Issuing")
	text, _, _ := unstructured.NestedString(certificate.Object, "status", "lastFailureTime")
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || c.Status != metav1.ConditionFalse ||
		c.ObservedGeneration != 0 && c.ObservedGeneration < certificate.GetGeneration() {
		return nil
	}
	times, _, _ := unstructured.NestedInt64(certificate.Object, "status", "failedIssuanceAttempts")
	return &failure{kubestatus.OneLine(c.Message), at, int(times)}
}
