package release

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/values"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

// Changed returns an edit for every object of the release that was changed: a field
// that the manifest sets has another value, or is gone. The edit sets it back, without
// an upgrade. Fields that the manifest does not mention or leaves empty are not
// compared, nor are those that a controller keeps (see ignoredFields).
func (s *State) Changed(ctx context.Context, env *engine.Env) ([]engine.Edit, error) {
	edits := make([]*engine.Edit, len(s.have))
	errs := make([]error, len(s.have))
	var wg engine.Group
	for i, st := range s.have {
		if st.Object == nil || st.Object.GetDeletionTimestamp() != nil || manifest.Satisfies(specOf(s.objects[i]), st.Object.Object) {
			continue
		}
		wg.Go(func() { edits[i], errs[i] = s.changed(ctx, env, s.objects[i], st) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var found []engine.Edit
	for _, e := range edits {
		if e != nil {
			found = append(found, *e)
		}
	}
	return found, errors.Join(errs...)
}

// specOf returns the part of an object of a manifest that is compared.
func specOf(o *unstructured.Unstructured) map[string]any {
	out := make(map[string]any, len(o.Object))
	for key, v := range o.Object {
		switch key {
		case "apiVersion", "kind": // another version is the same object
		case "metadata":
			m, _ := v.(map[string]any)
			out[key] = map[string]any{"labels": m["labels"], "annotations": m["annotations"]}
		default:
			out[key] = v
		}
	}
	return out
}

func (s *State) changed(ctx context.Context, env *engine.Env, o *unstructured.Unstructured, st kubekit.Status) (*engine.Edit, error) {
	c := &Change{Ref: st.Ref, Live: st.Object, MayReplaceLists: true}
	c.Aim = func(ctx context.Context, live *unstructured.Unstructured) (original, target *unstructured.Unstructured, err error) {
		alone, err := ignoredFields(ctx, s.cluster, o, live)
		if err != nil {
			return nil, nil, err
		}
		if target = manifest.WithIgnored(o, live, alone); manifest.Satisfies(specOf(target), live.Object) {
			return nil, nil, nil
		}
		return target, target, nil
	}
	if err := s.asked(ctx, env, c); err != nil {
		return nil, err
	}
	if len(c.Have) == 0 && len(c.Want) == 0 {
		return nil, nil
	}
	note := fmt.Sprintf("changed since revision %d of release %s", s.release.Revision, s.release.Name)
	if by := kubefields.SetBy(others(st.Object).ManagersOf(c.Have, c.Want)); by != "" {
		note += ", " + by
	}
	have, want := s.mask(env, st.Object).Difference(st.Ref.GVK().GroupKind(), c.Have, c.Want)
	return &engine.Edit{
		Path:  st.Ref.String(),
		Have:  have,
		Want:  want,
		Note:  note,
		Apply: func(ctx context.Context) error { return c.Apply(ctx, s.cluster) },
	}, nil
}

// others are the managers of an object that are not this program: Helm writes with the
// name of the program that it is part of.
func others(live *unstructured.Unstructured) kubefields.Owned {
	return kubefields.OwnedBy(live, func(m metav1.ManagedFieldsEntry) bool {
		return m.Manager != fieldManager && m.Manager != filepath.Base(os.Args[0])
	})
}

// asked is change.ask. The API server writes some values in another way than
// the manifest for good, such as 1000m as 1: that its answer was "no difference"
// is remembered for the run, so that many looks cost one question.
func (s *State) asked(ctx context.Context, env *engine.Env, c *Change) error {
	key, err := s.askedKey(c)
	if err != nil {
		return err
	}
	same, err := engine.Share(ctx, env.Session, "helmkit same", func(context.Context) (*sync.Map, error) { return new(sync.Map), nil })
	if err != nil {
		return err
	}
	if _, known := same.Load(key); known {
		return nil
	}
	if err := c.Ask(ctx, s.cluster); err != nil {
		return err
	}
	if c.Denied != nil {
		kubekit.Unasked(ctx, env, *c.Denied)
	}
	if len(c.Have) > 0 || len(c.Want) > 0 {
		return nil
	}
	if key, err = s.askedKey(c); err == nil { // of the object as it was asked about
		same.Store(key, true)
	}
	return err
}

// askedKey stands for an object of the release, as it is there.
func (s *State) askedKey(c *Change) (string, error) {
	spec, err := json.Marshal(specOf(c.Live))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %s %x", c.Ref, s.release.ManifestDigest(), sha256.Sum256(spec)), nil
}

// mask hides the secrets of the release and of the object as it is.
func (s *State) mask(env *engine.Env, live *unstructured.Unstructured) *Mask {
	all, err := values.Effective(s.release.stored.Chart, s.release.Values)
	if err != nil {
		all = s.release.Values
	}
	v := NewMask([]values.Values{all}, append(slices.Clone(s.objects), live)...)
	env.Conceal(v.Secrets...)
	return v
}
