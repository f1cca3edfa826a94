package helmkit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/chart"
	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/release"
	"github.com/ztplan/ztplan/steps/internal/helmkit/values"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// Preview adds to d the changes of objects: those that it makes,
// with their fields; of those that it changes, the fields that change; those
// that it removes; and the hooks that it runs.
//
// The cluster decides: it applies Helm's requests in a dry run. Random values are shown
// as Random in new objects and not compared in others, because every upgrade would change it.
//
// The fields of the rendered objects are claimed for the step, so that another step of
// the plan that wants one otherwise is found before anything is written.
//
// The error is permanent if Helm would fail: the chart refuses the values, an
// object belongs to another release, a field cannot be changed or is no field of the
// kind, the release is too large to be stored.
func (o *Operation) Preview(ctx context.Context, env *engine.Env, cluster *kubekit.Cluster, d *Difference) error {
	r, err := o.Render(ctx, cluster)
	if err != nil && looksUpUnserved(err) {
		d.Note = strings.TrimPrefix(d.Note+"; its objects are not known yet: "+err.Error(), "; ")
		return nil
	}
	if err != nil {
		return err
	}
	catalogue, err := kubekit.CatalogueOf(ctx, env)
	if err != nil {
		return err
	}
	catalogue.AddCRDs(env.Step, o.Chart.Title(), r.Objects...)
	p := &previewer{op: o, env: env, cluster: cluster, catalogue: catalogue, rendering: r, have: map[string]any{}, want: map[string]any{}, restarts: map[string]any{}}
	if err := o.storable(r); err != nil {
		return err
	}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	if err := env.Claim(release.Claims(o.Name, o.Namespace, p.refs, r.Objects, r.random)); err != nil {
		return err
	}
	if err := p.compare(ctx); err != nil {
		return err
	}
	p.removed()
	p.mask.Values(d.Have)
	p.mask.Values(d.Want)
	if d.Have != nil {
		put(d.Have, "objects", p.have)
	} else if len(p.have) > 0 {
		d.Have = map[string]any{"objects": p.have}
	}
	put(d.Want, "objects", p.want)
	put(d.Want, "restarts", p.restarts)
	put(d.Want, "hooks", p.hooks())
	if o.installs() {
		put(d.Want, "images", imagesOf(r.all()))
	}
	return nil
}

// Conceal registers the secrets among the values with the run, for errors that quote
// them before objects are known.
func Conceal(env *engine.Env, c *chart.Chart, v values.Values) {
	all, err := values.Effective(c.Parsed(), v)
	if err != nil {
		all = v
	}
	env.Conceal(release.NewMask([]values.Values{all}).Secrets...)
}

// looksUpUnserved reports whether a template looks up objects of a kind that the
// cluster does not serve: an earlier step may bring it.
func looksUpUnserved(err error) bool {
	return strings.Contains(err.Error(), "unable to get apiresource from unstructured")
}

type previewer struct {
	op        *Operation
	env       *engine.Env
	cluster   *kubekit.Cluster
	catalogue *kubekit.Catalogue
	rendering *Rendering
	mask      *release.Mask

	refs     []kubekit.Ref                              // of the rendered objects, in their order
	live     map[kubekit.Ref]*unstructured.Unstructured // those of them and of previous that exist
	previous map[manifest.Key]previous                  // as the release before has them

	mu         sync.Mutex
	have, want map[string]any
	restarts   map[string]any // workloads whose pods are deleted afterwards
}

// previous is an object of the release before, perhaps of another version of its
// kind.
type previous struct {
	ref    kubekit.Ref
	object *unstructured.Unstructured
}

// prepare reads the objects of the release as stored and as in the cluster.
func (p *previewer) prepare(ctx context.Context) error {
	given, err := values.Effective(p.op.Chart.Parsed(), p.op.Values)
	if err != nil {
		return engine.Permanent(err)
	}
	all, hiding := []values.Values{given}, p.rendering.all()
	p.previous = make(map[manifest.Key]previous)
	if before := p.op.Previous; before != nil {
		all = append(all, before.Values)
		objects, err := manifest.Objects(before.Manifest)
		if err != nil {
			return engine.Permanent(err)
		}
		for _, o := range objects {
			manifest.Normalise(o)
			ref := manifest.RefIn(p.cluster.Mapper(), o, p.op.Namespace)
			p.previous[manifest.KeyOfRef(ref)] = previous{ref, o}
		}
		hiding = append(hiding, objects...)
	}
	for _, o := range p.rendering.Objects {
		p.refs = append(p.refs, p.ref(o))
	}
	p.catalogue.AddObjects(p.env.Step, p.refs, p.rendering.Objects)
	refs := slices.Clone(p.refs)
	for _, before := range p.previous {
		refs = append(refs, before.ref)
	}
	live, err := p.cluster.Read(ctx, refs...)
	if err != nil {
		return err
	}
	p.live = make(map[kubekit.Ref]*unstructured.Unstructured, len(refs))
	for i, ref := range refs {
		if live[i] != nil {
			p.live[ref] = live[i]
			hiding = append(hiding, live[i])
		}
	}
	p.mask = release.NewMask(all, hiding...)
	p.env.Conceal(p.mask.Secrets...)
	return nil
}

// ref is inNamespace for objects whose kind may only be on the way.
func (p *previewer) ref(o *unstructured.Unstructured) kubekit.Ref {
	ref := manifest.RefIn(p.cluster.Mapper(), o, p.op.Namespace)
	if pending, ok := p.catalogue.Kind(ref.GVK().GroupKind()); ok && !pending.Namespaced() {
		ref.Namespace = ""
	}
	return ref
}

// compare compares every rendered object with the live one, all at once.
func (p *previewer) compare(ctx context.Context) error {
	errs := make([]error, len(p.refs))
	var wg engine.Group
	for i, o := range p.rendering.Objects {
		wg.Go(func() { errs[i] = p.object(ctx, p.refs[i], o) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.Join(errs...)
}

func (p *previewer) object(ctx context.Context, ref kubekit.Ref, o *unstructured.Unstructured) error {
	gk, random := ref.GVK().GroupKind(), p.rendering.random[manifest.KeyOf(o)]
	live := p.live[ref]
	if live == nil {
		if err := p.refused(ctx, ref, o); err != nil {
			return err
		}
		fields := p.mask.Fields(gk, kubefields.Flatten(o.Object), random)
		if len(fields) == 0 {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.want[ref.String()] = "exists" // a ServiceAccount has nothing but its name
			return nil
		}
		p.put(p.want, ref, fields)
		return nil
	}
	c := &release.Change{Ref: ref, Live: live}
	c.Aim = func(ctx context.Context, live *unstructured.Unstructured) (original, target *unstructured.Unstructured, err error) {
		target = manifest.WithIgnored(o, live, random).DeepCopy()
		if ref.Namespace != "" {
			target.SetNamespace(ref.Namespace)
		}
		release.Own(target, p.op.Name, p.op.Namespace)
		if before, ok := p.previous[manifest.KeyOfRef(ref)]; ok && !p.op.installs() {
			alone, err := release.KeptFields(ctx, p.cluster, before.object, o, live)
			return manifest.WithIgnored(manifest.WithIgnored(before.object, live, random), live, alone), manifest.WithIgnored(target, live, alone), err
		}
		return target, target, p.foreign(ref, live) // an adopted object loses nothing
	}
	if err := c.Ask(ctx, p.cluster); err != nil {
		return err
	}
	if c.Denied != nil {
		kubekit.Unasked(ctx, p.env, *c.Denied)
	}
	have, want := p.mask.Difference(gk, c.Have, c.Want)
	p.put(p.have, ref, have)
	p.put(p.want, ref, want)
	if p.op.Restarts && kubestatus.StaysUntilDeleted(live) && changesTemplate(have, want) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.restarts[ref.String()] = "its pods, one after another"
	}
	return nil
}

// refused returns why the API server would not take a new object, as far as the
// object itself is the reason. Another obstacle, such as a namespace or a kind that is
// still to come, is no error of a preview.
func (p *previewer) refused(ctx context.Context, ref kubekit.Ref, o *unstructured.Unstructured) error {
	resource, err := p.cluster.Resource(ref.GVK(), ref.Namespace)
	if err != nil {
		return p.neverServed(ref, err)
	}
	target := o.DeepCopy()
	if ref.Namespace != "" {
		target.SetNamespace(ref.Namespace)
	}
	_, err = resource.Create(ctx, target, metav1.CreateOptions{FieldManager: "ztplan", DryRun: []string{metav1.DryRunAll}})
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) && strings.Contains(err.Error(), "cannot be handled as a") {
		return release.Explain(fmt.Errorf("%s: %w", ref, err))
	}
	return nil
}

// neverServed returns an error if err is that a kind is not served, and no step brings it.
func (p *previewer) neverServed(ref kubekit.Ref, err error) error {
	if _, pending := p.catalogue.Kind(ref.GVK().GroupKind()); pending || !kubekit.IsNoKind(err) {
		return nil
	}
	if err := kubekit.NoKind(p.env, ref.GVK()); err != nil {
		return fmt.Errorf("%s: %w", ref, err)
	}
	return nil
}

// changesTemplate reports whether fields of a workload's pod template are among
// those that change.
func changesTemplate(sides ...map[string]any) bool {
	for _, side := range sides {
		for path := range side {
			if strings.HasPrefix(path, "spec/template/") {
				return true
			}
		}
	}
	return false
}

func (p *previewer) put(side map[string]any, ref kubekit.Ref, v map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	put(side, ref.String(), v)
}

// foreign refuses an object that the release may not adopt, as Helm does.
func (p *previewer) foreign(ref kubekit.Ref, live *unstructured.Unstructured) error {
	annotations := live.GetAnnotations()
	name, namespace := annotations["meta.helm.sh/release-name"], annotations["meta.helm.sh/release-namespace"]
	if p.op.TakeOwnership || live.GetLabels()["app.kubernetes.io/managed-by"] == "Helm" && name == p.op.Name && namespace == p.op.Namespace {
		return nil
	}
	owner := "belongs to no release"
	if name != "" {
		owner = fmt.Sprintf("belongs to release %s/%s", namespace, name)
	}
	return release.Explain(fmt.Errorf("release %s/%s: %s exists, %s and cannot be imported into the current release", p.op.Namespace, p.op.Name, ref, owner))
}

// removed notes the objects that the release has and the chart no longer makes.
func (p *previewer) removed() {
	if p.op.installs() {
		return
	}
	for key, before := range p.previous {
		made := slices.ContainsFunc(p.refs, func(ref kubekit.Ref) bool { return manifest.KeyOfRef(ref) == key })
		live := p.live[before.ref]
		if made || live == nil || release.Kept(live) { // Helm goes by the annotation in the cluster
			continue
		}
		p.have[before.ref.String()] = "exists"
	}
}

func (p *previewer) hooks() map[string]any {
	hooks := make(map[string]any)
	for _, h := range p.rendering.Hooks {
		ref := manifest.RefIn(p.cluster.Mapper(), h.Object, p.op.Namespace)
		hooks[h.Event+" "+ref.String()] = p.mask.Fields(ref.GVK().GroupKind(), kubefields.Flatten(h.Object.Object), p.rendering.random[manifest.KeyOf(h.Object)])
	}
	return hooks
}

// imagesOf lists the images that containers in the objects run, sorted.
func imagesOf(objects []*unstructured.Unstructured) []any {
	var names []string
	for _, o := range objects {
		for path, v := range kubefields.Flatten(o.Object) {
			if strings.HasSuffix(path, "/image") && strings.Contains(strings.ToLower(path), "containers[") && kubefields.Text(v) != "" {
				names = append(names, kubefields.Text(v))
			}
		}
	}
	slices.Sort(names)
	var images []any
	for _, n := range slices.Compact(names) {
		images = append(images, n)
	}
	return images
}
