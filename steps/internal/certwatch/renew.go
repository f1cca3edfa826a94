package certwatch

import (
	"cmp"
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Secret reads a Certificate once, so that a missing or forbidden one is an error at
// once, and returns the name of its Secret.
func (c *Client) Secret(ctx context.Context, ref Ref) (name string, err error) {
	u, err := c.Kube.Resource(certificates).Namespace(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return "", engine.Permanent(engine.WithHint(fmt.Errorf("certificate %s: %w", ref, err),
			"let this step need the one that applies the Certificate, and look at its name and namespace"))
	case err != nil:
		return "", fmt.Errorf("certificate %s: %w", ref, kubekit.Classify(err))
	}
	found, err := decode[Certificate](u)
	if err != nil {
		return "", engine.Permanent(err)
	}
	return found.Spec.SecretName, nil
}

// Renewal is the edit that asks cert-manager for a renewal.
func Renewal(ref Ref) engine.Edit {
	const later = "(known later)"
	return engine.Edit{
		Path: "Certificate/" + cmp.Or(ref.Namespace, later) + "/" + cmp.Or(ref.Name, later) + "/status/conditions/Issuing",
		Want: "True", Note: "cert-manager issues it anew",
	}
}

// Renew asks cert-manager to issue the certificate anew, as `cmctl renew` does:
// it sets the condition Issuing in the status. This bypasses the pause after
// failed issuances. It does nothing if an issuance is going on. It returns the
// Certificate as it is then, and when that was asked for.
func (c *Client) Renew(ctx context.Context, ref Ref) (_ *Certificate, at time.Time, err error) {
	resource := c.Kube.Resource(certificates).Namespace(ref.Namespace)
	at = c.Env.Now()
	after, err := resource.Get(ctx, ref.Name, metav1.GetOptions{})
	if err == nil && setIssuing(after, at) {
		e := Renewal(ref)
		e.Apply = func(ctx context.Context) error {
			at = c.Env.Now()
			return retry.RetryOnConflict(retry.DefaultRetry, func() (err error) {
				if after, err = resource.Get(ctx, ref.Name, metav1.GetOptions{}); err != nil || !setIssuing(after, at) {
					return err
				}
				after, err = resource.UpdateStatus(ctx, after, metav1.UpdateOptions{})
				return err
			})
		}
		err = c.Env.Apply(ctx, e)
	}
	if err != nil {
		return nil, at, fmt.Errorf("certificate %s: asking for the renewal: %w", ref, kubekit.Classify(err))
	}
	renewed, err := decode[Certificate](after)
	return renewed, at, engine.Permanent(err)
}

// RequestedAt reports whether the issuance under way is the one that Renew asked for
// at a moment.
func (c *Certificate) RequestedAt(at time.Time) bool {
	issuing := c.Status.Conditions.Get("Issuing")
	return issuing.Reason == reasonTriggered && !issuing.LastTransitionTime.Time.Before(at.Truncate(time.Second))
}

// reasonTriggered is the reason of a requested renewal, as cmctl writes it.
const reasonTriggered = "ManuallyTriggered"

// setIssuing sets the condition and reports whether that changed anything.
func setIssuing(u *unstructured.Unstructured, now time.Time) bool {
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	wanted := map[string]any{
		"type":               "Issuing",
		"status":             "True",
		"reason":             reasonTriggered,
		"message":            "Certificate re-issuance manually triggered",
		"observedGeneration": u.GetGeneration(),
		"lastTransitionTime": now.UTC().Format(time.RFC3339),
	}
	for i, entry := range list {
		if c, ok := entry.(map[string]any); ok && c["type"] == "Issuing" {
			if c["status"] == "True" {
				return false
			}
			list[i] = wanted
			_ = unstructured.SetNestedSlice(u.Object, list, "status", "conditions")
			return true
		}
	}
	_ = unstructured.SetNestedSlice(u.Object, append(list, wanted), "status", "conditions")
	return true
}
