package release

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
	"github.com/ztplan/ztplan/steps/internal/kubekit/refusal"
	"github.com/ztplan/ztplan/steps/internal/kubetypes"
)

// fieldManager is the name under which objects of a release are changed.
const fieldManager = "ztplan"

// A Change brings a live object to the state that a manifest asks for.
type Change struct {
	Ref  kubekit.Ref
	Live *unstructured.Unstructured // as it was read last

	// Aim returns the object as it is to be, given the live one; see
	// [manifest.Patch]. A nil target means that there is nothing to change.
	Aim func(ctx context.Context, live *unstructured.Unstructured) (original, target *unstructured.Unstructured, err error)

	original, target *unstructured.Unstructured

	// MayReplaceLists lets lists become those of target, as a whole, where the API
	// server refuses the patch: of an element whose merge key was changed, such
	// as the port of a Service, a patch makes a second one.
	MayReplaceLists, replacesLists bool

	patch     []byte
	patchType types.PatchType

	// Denied is set by Ask if the user may not write, so that the API server could not
	// be asked.
	Denied *kubekit.Denial

	// Have and Want are the fields that change, by path, as Ask found them. Both are
	// empty if there is no difference.
	Have, Want map[string]any
}

// Ask finds the difference. The API server is asked to apply the patch without keeping
// it, so that defaults and other ways to write the same are no difference. If it cannot
// be asked, because a webhook is in the way or the user may not write, the fields of
// the manifest decide. The object is read again until the answer is about the object
// as it was read.
func (c *Change) Ask(ctx context.Context, cluster *kubekit.Cluster) error {
	return kubekit.Again(fmt.Errorf("%s: it changes faster than it can be read", c.Ref), func() (bool, error) {
		if done, err := c.askOnce(ctx, cluster); done || err != nil {
			return true, err
		}
		return false, c.again(ctx, cluster)
	})
}

// askOnce is false if the answer is not about the object as it was read.
func (c *Change) askOnce(ctx context.Context, cluster *kubekit.Cluster) (bool, error) {
	if err := c.Plan(ctx); err != nil || c.unchanged() {
		return true, err
	}
	merged, err := c.send(ctx, cluster, metav1.DryRunAll)
	switch {
	case apierrors.IsConflict(err): // it has changed since it was read
		return false, nil
	case cannotAsk(err):
		if d, ok := kubekit.DenialOf(err); ok {
			c.Denied = &d
		}
		c.guess()
		return true, nil
	case apierrors.IsInvalid(err) && c.MayReplaceLists && !c.replacesLists:
		c.replacesLists = true
		return c.askOnce(ctx, cluster)
	case err != nil:
		return true, Explain(fmt.Errorf("%s: %w", c.Ref, c.naming(err)))
	case merged.GetResourceVersion() != c.Live.GetResourceVersion():
		return false, nil
	}
	c.Have, c.Want = kubefields.Differing(kubefields.Flatten(c.Live.Object), kubefields.Flatten(merged.Object))
	return true, nil
}

// unchanged reports whether the plan has nothing to do.
func (c *Change) unchanged() bool { return c.target == nil || string(c.patch) == "{}" }

// Apply sends the patch. A patch that replaces whole lists is refused when the object
// has changed since it was read, such as its status: it is made anew for the object as
// it is then.
func (c *Change) Apply(ctx context.Context, cluster *kubekit.Cluster) error {
	return kubekit.Again(fmt.Errorf("%s: it changes faster than it can be written", c.Ref), func() (bool, error) {
		_, err := c.send(ctx, cluster)
		if err == nil {
			return true, nil
		}
		if !apierrors.IsConflict(err) {
			return true, Explain(fmt.Errorf("%s: %w", c.Ref, err))
		}
		if err := c.again(ctx, cluster); err != nil {
			return true, err
		}
		err = c.Plan(ctx)
		return c.unchanged(), err
	})
}

// Plan makes the patch for the object as it was read last.
func (c *Change) Plan(ctx context.Context) (err error) {
	if c.original, c.target, err = c.Aim(ctx, c.Live); err != nil || c.target == nil {
		return err
	}
	if c.replacesLists {
		c.patch, err = manifest.ReplacingPatch(c.original, c.target, c.Live)
		c.patchType = types.MergePatchType
	} else {
		c.patch, c.patchType, err = manifest.Patch(c.original, c.target, c.Live)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.Ref, err)
	}
	return nil
}

// naming adds the refused fields to an error that lists the fields of a StatefulSet that
// may change.
func (c *Change) naming(err error) error {
	_, allowed, found := strings.Cut(err.Error(), "updates to statefulset spec for fields other than ")
	if !found {
		return err
	}
	c.guess()
	var refused []string
	for path := range c.Want {
		field, _, _ := strings.Cut(strings.TrimPrefix(path, "spec/"), "/")
		field, _, _ = strings.Cut(field, "[")
		if strings.HasPrefix(path, "spec/") && !strings.Contains(allowed, "'"+field+"'") {
			refused = append(refused, path)
		}
	}
	slices.Sort(refused)
	return fmt.Errorf("%w (these differ: %s)", err, strings.Join(refused, ", "))
}

// again reads the object again.
func (c *Change) again(ctx context.Context, cluster *kubekit.Cluster) error {
	objects, err := cluster.Read(ctx, c.Ref)
	switch {
	case err != nil:
		return err
	case objects[0] == nil:
		return fmt.Errorf("%s: was deleted while it was looked at", c.Ref)
	}
	c.Live = objects[0]
	return nil
}

func (c *Change) send(ctx context.Context, cluster *kubekit.Cluster, dryRun ...string) (*unstructured.Unstructured, error) {
	resource, err := cluster.Resource(c.Ref.GVK(), c.Ref.Namespace)
	if err != nil {
		return nil, err
	}
	return resource.Patch(ctx, c.Ref.Name, c.patchType, c.patch, metav1.PatchOptions{FieldManager: fieldManager, DryRun: dryRun})
}

// cannotAsk reports whether the answer is not about the patch.
func cannotAsk(err error) bool {
	return apierrors.IsForbidden(err) && !strings.Contains(err.Error(), "denied the request") || refusal.WithoutDryRun(err) || refusal.WebhookDown(err)
}

// guess compares the fields that the manifest has or had with those of the live object.
func (c *Change) guess() {
	original, target := kubetypes.Canonical(c.original), kubetypes.Canonical(c.target)
	live := kubefields.Flatten(c.Live.Object)
	maps.DeleteFunc(live, func(path string, _ any) bool {
		v, stays := target[path]
		_, had := original[path]
		return stays && manifest.IsEmpty(v) || !stays && !had
	})
	maps.DeleteFunc(target, func(_ string, v any) bool { return manifest.IsEmpty(v) })
	c.Have, c.Want = kubefields.Differing(live, target)
}
