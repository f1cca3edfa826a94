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
	return forEach(refs, func(ref Ref) (*unstructured.Unstructured, error) {
		resource, err := c.Resource(ref.GVK(), ref.Namespace)
		if err != nil {
			return nil, ignore(IsNoKind, err)
		}
		o, err := resource.Get(ctx, ref.Name, metav1.GetOptions{})
		if err != nil {
			return nil, ignore(apierrors.IsNotFound, err)
		}
		return o, nil
	})
}

func ignore(expected func(error) bool, err error) error {
	if expected(err) {
		return nil
	}
	return err
}

// forEach calls read for all refs at once. Its error is that of the first ref, by
// their order, that has one.
func forEach[T any](refs []Ref, read func(Ref) (T, error)) ([]T, error) {
	results := make([]T, len(refs))
	errs := make([]error, len(refs))
	var wg engine.Group
	for i, ref := range refs {
		wg.Go(func() { results[i], errs[i] = read(ref) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", refs[i], Classify(err))
		}
	}
	return results, nil
}
