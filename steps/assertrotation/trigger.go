package assertrotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/retry"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// renew asks cert-manager to issue the certificate anew, as `cmctl renew` does:
// it sets the condition Issuing in the status. This bypasses the pause after
// failed issuances. It does nothing if an issuance is going on. It returns the
// Certificate as it is then, and when that was asked for.
func (p *proof) renew(ctx context.Context, ref Ref) (_ *certificate, at time.Time, err error) {
	resource := p.client.Resource(certificates).Namespace(ref.Namespace)
	at = p.env.Now()
	after, err := resource.Get(ctx, ref.Name, metav1.GetOptions{})
	if err == nil && setIssuing(after, at) {
		e := issuing(ref)
		e.Apply = func(ctx context.Context) error {
			at = p.env.Now()
			return retry.RetryOnConflict(retry.DefaultRetry, func() (err error) {
				if after, err = resource.Get(ctx, ref.Name, metav1.GetOptions{}); err != nil || !setIssuing(after, at) {
					return err
				}
				after, err = resource.UpdateStatus(ctx, after, metav1.UpdateOptions{})
				return err
			})
		}
		err = p.env.Apply(ctx, e)
	}
	if err != nil {
		return nil, at, fmt.Errorf("certificate %s: asking for the renewal: %w", ref, kubekit.Classify(err))
	}
	c, err := decode[certificate](after)
	return c, at, engine.Permanent(err)
}

// reasonTriggered is the reason of a renewal that was asked for, as cmctl writes it.
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

func isPermanent(err error) bool { return errors.Is(err, engine.ErrPermanent) }
