package assertrotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/retry"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// renew asks cert-manager to issue the certificate anew, as `cmctl renew` does:
// it sets the condition Issuing in the status. This bypasses the pause after
// failed issuances. It does nothing if an issuance is going on. It returns the
// Certificate as it is then.
func renew(ctx context.Context, client dynamic.Interface, ref Ref, now func() time.Time) (*certificate, error) {
	resource := client.Resource(certificates).Namespace(ref.Namespace)
	var after *unstructured.Unstructured
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		u, err := resource.Get(ctx, ref.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		after = u
		if setIssuing(u, now()) {
			after, err = resource.UpdateStatus(ctx, u, metav1.UpdateOptions{})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("certificate %s: asking for the renewal: %w", ref, kubekit.Classify(err))
	}
	c, err := decode[certificate](after)
	return c, engine.Permanent(err)
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
