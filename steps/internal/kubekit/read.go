package kubekit

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
)

// Read reads objects, all at once, in the order of refs; nil for one that does
// not exist or whose kind is not served. The error is the first that keeps an
// object from being read, classified.
func (c *Cluster) Read(ctx context.Context, refs ...Ref) ([]*unstructured.Unstructured, error) {
	objects := make([]*unstructured.Unstructured, len(refs))
	errs := make([]error, len(refs))
	var wg engine.Group
	for i, ref := range refs {
		wg.Go(func() { objects[i], errs[i] = c.read(ctx, ref) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", refs[i], Classify(err))
		}
	}
	return objects, nil
}

func (c *Cluster) read(ctx context.Context, ref Ref) (*unstructured.Unstructured, error) {
	resource, err := c.Resource(ref.GVK(), ref.Namespace)
	if IsNoKind(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o, err := resource.Get(ctx, ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return o, err
}
