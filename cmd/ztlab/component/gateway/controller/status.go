package controller

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/retry"
)

// updateStatus replaces an object's status. The controller's role has get and update on
// the status, and no patch.
func (c *controller) updateStatus(ctx context.Context, resource schema.GroupVersionResource, name types.NamespacedName, status any) error {
	text, err := json.Marshal(status)
	if err != nil {
		return err
	}
	var written map[string]any
	if err := utiljson.Unmarshal(text, &written); err != nil {
		return err
	}
	var client dynamic.ResourceInterface = c.untyped.Resource(resource)
	if name.Namespace != "" {
		client = c.untyped.Resource(resource).Namespace(name.Namespace)
	}
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		now, err := client.Get(ctx, name.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		now.Object["status"] = written
		_, err = client.UpdateStatus(ctx, now, metav1.UpdateOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil // deleted meanwhile: that event follows
	}
	if err != nil {
		return fmt.Errorf("status of %s %s: %w", resource.Resource, name, err)
	}
	return nil
}
