package kubekit

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Create creates an object in a namespace, which is ignored for kinds without
// namespaces. It is no error that the object exists already.
func (c *Cluster) Create(ctx context.Context, o *unstructured.Unstructured, namespace string) error {
	resource, err := c.Resource(o.GroupVersionKind(), namespace)
	if err != nil {
		return fmt.Errorf("%s: %w", RefOf(o), err)
	}
	_, err = resource.Create(ctx, o.DeepCopy(), metav1.CreateOptions{FieldManager: "ztplan"})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("%s: %w", RefOf(o), Classify(err))
	}
	return nil
}
