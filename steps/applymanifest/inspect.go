package applymanifest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
	"github.com/ztplan/ztplan/steps/internal/kubekit/refusal"
	"github.com/ztplan/ztplan/steps/internal/kubetypes"
)

// maxParallel bounds how many objects are looked at at once.
const maxParallel = 16

// A run is one look of the step at the cluster.
type run struct {
	spec    *Spec
	env     *engine.Env
	cluster *kubekit.Cluster
	objects []*object // in the order of the manifests

	catalogue *kubekit.Catalogue // the kinds and namespaces that the steps of the run bring
}

// An object is one manifest with the state of its object in the cluster.
type object struct {
	manifest
	ref        kubekit.Ref
	namespaced bool
	guessed    bool // it is not known whether the kind has namespaces

	live   *unstructured.Unstructured // nil if it does not exist
	merged *unstructured.Unstructured // the answer of the dry run; nil if there is none
	note   string                     // why there is none

	unasked bool  // this user may not ask for a dry run
	foreign error // the API server's answer that fields have another manager

	finished types.UID // of the object that this manifest made, once it has run to its end and counts as there
}

func (o *object) gvk() schema.GroupVersionKind { return o.obj.GroupVersionKind() }

// Inspect compares the manifests with the cluster.
func (s *Spec) Inspect(ctx context.Context, env *engine.Env) (Outputs, []engine.Edit, error) {
	manifests, problems := s.read()
	if err := problemsError(problems); err != nil {
		return Outputs{}, nil, err
	}
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return Outputs{}, nil, err
	}
	catalogue, err := kubekit.CatalogueOf(ctx, env)
	if err != nil {
		return Outputs{}, nil, err
	}
	ctx = warnOnce(ctx, env)
	r := &run{spec: s, env: env, cluster: cluster, catalogue: catalogue}
	for _, m := range r.withNamespace(manifests) {
		env.Conceal(kubefields.Findable(kubefields.SecretValues(m.obj))...)
		r.objects = append(r.objects, &object{manifest: m})
	}
	r.announce()
	err = r.each(ctx, func(o *object) error { return r.look(ctx, o) })
	if err != nil {
		return Outputs{}, nil, err
	}
	out := r.outputs()
	edits, settled, err := r.contentEdits(ctx)
	if err != nil {
		return out, nil, err
	}
	waits, err := r.readiness(ctx, settled)
	if err != nil {
		return out, nil, err
	}
	return out, append(edits, waits...), nil
}

// problemsError returns the problems of manifests that were only known when the step
// began.
func problemsError(problems []engine.Problem) error {
	errs := make([]error, len(problems))
	for i, p := range problems {
		at := p.Field
		if p.File != "" {
			at = fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
		}
		errs[i] = fmt.Errorf("%s: %s", at, p.Message)
	}
	return engine.Permanent(errors.Join(errs...))
}

// withNamespace puts the namespace that the step is to create first.
func (r *run) withNamespace(manifests []manifest) []manifest {
	if !r.spec.CreateNamespace || r.spec.Namespace == "" {
		return manifests
	}
	for _, m := range manifests {
		if m.obj.GetAPIVersion() == "v1" && m.obj.GetKind() == "Namespace" && m.obj.GetName() == r.spec.Namespace {
			return manifests
		}
	}
	ns := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "Namespace",
		"metadata":   map[string]any{"name": r.spec.Namespace},
	}}
	return append([]manifest{{obj: ns, source: source{field: "createNamespace"}}}, manifests...)
}

// each calls f for every object, some at once, and returns all errors.
func (r *run) each(ctx context.Context, f func(*object) error) error {
	errs := make([]error, len(r.objects))
	slots := make(chan struct{}, maxParallel)
	var wg engine.Group
	for i, o := range r.objects {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			wg.Wait()
			return context.Cause(ctx)
		}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = f(o)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.Join(errs...)
}

// outputs leaves out the facts that are not known of every object: the UIDs while one is
// missing, the names while it is only a guess whether a kind has namespaces.
func (r *run) outputs() Outputs {
	out := Outputs{UIDs: make(map[string]string)}
	for _, o := range r.objects {
		if o.guessed {
			return Outputs{}
		}
		out.Objects = append(out.Objects, o.ref.String())
		switch {
		case o.finished != "" && out.UIDs != nil:
			out.UIDs[o.ref.String()] = string(o.finished)
		case o.live == nil || o.live.GetDeletionTimestamp() != nil:
			out.UIDs = nil
		case out.UIDs != nil:
			out.UIDs[o.ref.String()] = string(o.live.GetUID())
		}
	}
	return out
}

// contentEdits returns an edit for every object that differs, and the objects
// that do not and are there. Those with fields of other managers come first: their
// edits fail, and nothing is written then.
func (r *run) contentEdits(ctx context.Context) (edits []engine.Edit, settled []*object, err error) {
	var errs []error
	var foreign []engine.Edit
	for _, o := range sorted(r.objects) {
		if o.finished != "" && (o.live == nil || o.live.GetDeletionTimestamp() != nil) {
			continue
		}
		e, differs := r.contentEdit(o)
		if kubestatus.Vanishes(o.obj) && o.finished == "" && (o.live == nil || !differs) {
			end, ok, err := r.endEdit(ctx, o)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			if ok {
				e, differs = end, true
			}
		}
		switch {
		case differs && o.foreign != nil:
			foreign = append(foreign, e)
		case differs:
			edits = append(edits, e)
		default:
			settled = append(settled, o)
		}
	}
	return append(foreign, edits...), settled, errors.Join(errs...)
}

func (r *run) contentEdit(o *object) (engine.Edit, bool) {
	gk := o.gvk().GroupKind()
	edit := engine.Edit{
		Path:  r.path(o),
		Note:  o.note,
		Apply: func(ctx context.Context) error { return r.apply(ctx, o) },
	}
	switch {
	case o.live == nil:
		edit.Want = kubefields.Hide(gk, kubefields.Condense(gk, kubefields.Flatten(o.obj.Object)))
		return edit, true
	case o.live.GetDeletionTimestamp() != nil:
		return engine.Edit{
			Path:  r.path(o),
			Have:  "being deleted",
			Want:  "present",
			Await: func(ctx context.Context) error { return r.awaitObject(ctx, o) },
		}, true
	}
	have, want := r.compare(o)
	if len(have) == 0 && len(want) == 0 {
		return engine.Edit{}, false
	}
	edit.Have, edit.Want = kubefields.Hide(gk, have), kubefields.Hide(gk, want)
	if by := r.setBy(o, have, want); by != "" {
		edit.Note = strings.TrimPrefix(edit.Note+"; "+by, "; ")
	}
	return edit, true
}

// compare returns the fields in which the live object differs from the answer of the
// dry run. If there is none, the fields in the manifest decide.
func (r *run) compare(o *object) (have, want map[string]any) {
	live := kubefields.Flatten(o.live.Object)
	if o.merged != nil {
		return kubefields.Differing(live, kubefields.Flatten(o.merged.Object))
	}
	written := kubetypes.Canonical(o.obj)
	var own kubefields.Owned // the fields of the manifest as it was applied last
	if o.unasked {
		own = kubefields.OwnedBy(o.live, func(m metav1.ManagedFieldsEntry) bool {
			return m.Manager == r.spec.FieldManager && m.Operation == metav1.ManagedFieldsOperationApply
		})
	}
	for path := range live {
		if _, ok := written[path]; !ok && !own.Has(path) {
			delete(live, path)
		}
	}
	return kubefields.Differing(live, written)
}

// setBy names the other managers of the fields that differ, "set by ops", or "".
func (r *run) setBy(o *object, sides ...map[string]any) string {
	if o.foreign == nil && !o.unasked {
		return ""
	}
	others := kubefields.OwnedBy(o.live, func(m metav1.ManagedFieldsEntry) bool { return m.Manager != r.spec.FieldManager })
	names := others.ManagersOf(sides...)
	if len(names) == 0 {
		for _, c := range refusal.Conflicts(o.foreign) {
			names = append(names, c.Owner)
		}
		slices.Sort(names)
		names = slices.Compact(names)
	}
	return kubefields.SetBy(names)
}

func (r *run) awaitObject(ctx context.Context, o *object) error {
	return r.cluster.AwaitChange(ctx, kubekit.Watch{Ref: o.ref, ResourceVersion: o.live.GetResourceVersion()})
}

// path names the object; with its API group, if it has one, if two objects of
// the step would have the same name.
func (r *run) path(o *object) string {
	for _, other := range r.objects {
		if other != o && other.ref.String() == o.ref.String() {
			ref := o.ref
			ref.Kind = o.gvk().GroupKind().String()
			return ref.String()
		}
	}
	return o.ref.String()
}

// warnOnce hands the API server's warnings to the user, each once per step and
// run however often the step looks.
func warnOnce(ctx context.Context, env *engine.Env) context.Context {
	said, err := engine.Share(ctx, env.Session, "applyManifest warnings "+env.Step,
		func(context.Context) (*sync.Map, error) { return new(sync.Map), nil })
	if err != nil {
		return ctx
	}
	return kubekit.WithWarnings(ctx, func(text string) {
		if _, known := said.LoadOrStore(text, true); !known {
			env.Warnf("%s", text)
		}
	})
}
