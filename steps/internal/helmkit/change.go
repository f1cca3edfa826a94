package helmkit

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// A change is what it takes to make a live object what a manifest asks for.
type change struct {
	ref  kubekit.Ref
	live *unstructured.Unstructured // as it was read last

	// aim returns what the object is to be, given what is there; see patchFor.
	// target is nil if it is that.
	aim func(ctx context.Context, live *unstructured.Unstructured) (original, target *unstructured.Unstructured, err error)

	original, target *unstructured.Unstructured

	// mayReplaceLists lets lists become what target has, as a whole, where the API
	// server refuses the patch: of an element whose merge key somebody changed, such
	// as the port of a Service, a patch makes a second one.
	mayReplaceLists, replacesLists bool

	patch     []byte
	patchType types.PatchType

	have, want map[string]any // the leaves that change; both empty if none does
}

// maxAsk bounds how often an object that keeps changing is asked about in one
// look.
const maxAsk = 10

// ask finds out what changes. The API server is asked to apply the patch
// without keeping it, so that defaults and other ways to write the same are no
// difference. If it cannot be asked, because a webhook is in the way or the
// user may not write, the fields that the manifest has decide.
//
// Its answer must be about the object as it was read: controllers write to an
// object that has just changed, and what they wrote in between must not pass for
// a difference. So the object is read again until it is.
func (c *change) ask(ctx context.Context, cluster *kubekit.Cluster) error {
	for range maxAsk {
		if err := c.plan(ctx); err != nil || c.target == nil || string(c.patch) == "{}" {
			return err
		}
		merged, err := c.send(ctx, cluster, metav1.DryRunAll)
		switch {
		case apierrors.IsConflict(err): // it has changed since it was read
		case cannotAsk(err):
			c.guess()
			return nil
		case apierrors.IsInvalid(err) && c.mayReplaceLists && !c.replacesLists:
			c.replacesLists = true
			continue
		case err != nil:
			return explain(fmt.Errorf("%s: %w", c.ref, c.naming(err)))
		case merged.GetResourceVersion() == c.live.GetResourceVersion():
			c.have, c.want = kubekit.Differing(kubekit.Leaves(c.live.Object), kubekit.Leaves(merged.Object))
			return nil
		}
		if err := c.again(ctx, cluster); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: it changes faster than it can be read", c.ref)
}

// apply sends the patch. A patch that replaces whole lists is refused when the
// object has changed since it was read, such as its status: it is made anew for
// the object as it is then.
func (c *change) apply(ctx context.Context, cluster *kubekit.Cluster) error {
	for range maxAsk {
		_, err := c.send(ctx, cluster)
		if err == nil {
			return nil
		}
		if !apierrors.IsConflict(err) {
			return explain(fmt.Errorf("%s: %w", c.ref, err))
		}
		if err := c.again(ctx, cluster); err != nil {
			return err
		}
		if err := c.plan(ctx); err != nil || c.target == nil || string(c.patch) == "{}" {
			return err
		}
	}
	return fmt.Errorf("%s: it changes faster than it can be written", c.ref)
}

// plan makes the patch for the object as it was read last.
func (c *change) plan(ctx context.Context) (err error) {
	if c.original, c.target, err = c.aim(ctx, c.live); err != nil || c.target == nil {
		return err
	}
	if c.replacesLists {
		original, target := wishes(c.original, c.target, c.live)
		c.patch, err = merger{}.patch(original, target, c.live, true)
		c.patchType = types.MergePatchType
	} else {
		c.patch, c.patchType, err = patchFor(c.original, c.target, c.live)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.ref, err)
	}
	return nil
}

// naming adds the fields to an error that says which fields of a StatefulSet may
// change instead of which one may not.
func (c *change) naming(err error) error {
	_, allowed, found := strings.Cut(err.Error(), "updates to statefulset spec for fields other than ")
	if !found {
		return err
	}
	c.guess()
	var refused []string
	for path := range c.want {
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
func (c *change) again(ctx context.Context, cluster *kubekit.Cluster) error {
	objects, err := cluster.Read(ctx, c.ref)
	switch {
	case err != nil:
		return err
	case objects[0] == nil:
		return fmt.Errorf("%s: was deleted while it was looked at", c.ref)
	}
	c.live = objects[0]
	return nil
}

func (c *change) send(ctx context.Context, cluster *kubekit.Cluster, dryRun ...string) (*unstructured.Unstructured, error) {
	resource, err := cluster.Resource(c.ref.GVK(), c.ref.Namespace)
	if err != nil {
		return nil, err
	}
	return resource.Patch(ctx, c.ref.Name, c.patchType, c.patch, patchOptions(dryRun...))
}

// cannotAsk reports whether the answer says nothing about the patch.
func cannotAsk(err error) bool {
	status, ok := err.(apierrors.APIStatus)
	if !ok {
		return false
	}
	s := status.Status()
	return apierrors.IsForbidden(err) && !strings.Contains(s.Message, "denied the request") ||
		s.Code == http.StatusBadRequest && strings.Contains(s.Message, "does not support dry run") ||
		s.Code >= 500 && strings.Contains(s.Message, "failed calling webhook")
}

// guess compares the leaves of the manifest with those that are there.
func (c *change) guess() {
	c.have, c.want = map[string]any{}, map[string]any{}
	live, target := kubekit.Leaves(c.live.Object), kubekit.Leaves(c.target.Object)
	for path, v := range target {
		old, there := live[path]
		if isEmpty(v) || there && reflect.DeepEqual(old, v) {
			continue
		}
		if there {
			c.have[path] = old
		}
		c.want[path] = v
	}
	for path := range kubekit.Leaves(c.original.Object) {
		if _, kept := target[path]; kept {
			continue
		}
		if old, there := live[path]; there {
			c.have[path] = old
		}
	}
}
