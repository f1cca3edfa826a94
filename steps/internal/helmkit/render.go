package helmkit

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/action"
	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	helmengine "helm.sh/helm/v3/pkg/engine"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/release"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

// A Rendering holds the objects that a chart makes of values, on the cluster as it is.
type Rendering struct {
	Objects []*unstructured.Unstructured // in the order in which Helm installs them
	Hooks   []RenderedHook               // those that the operation runs, in a stable order

	manifest string // as Helm stores it, more or less

	// random holds the paths of the fields, by object, that are another with
	// each rendering: generated passwords, keys and certificates.
	random map[manifest.Key]map[string]bool
}

// A RenderedHook is an object that Helm makes at a certain moment only.
type RenderedHook struct {
	Object  *unstructured.Unstructured
	Event   string // "pre-install", "post-upgrade", …
	Deletes bool   // Helm deletes it, or the one before
}

// Render renders the chart as Apply is going to, with lookups in the cluster. A
// chart that calls a function whose answer differs from time to time is rendered
// twice, to find random values.
func (o *Operation) Render(ctx context.Context, cluster *kubekit.Cluster) (*Rendering, error) {
	caps, err := o.capabilities(cluster)
	if err != nil {
		return nil, err
	}
	templates := helmengine.New(release.ConfigFor(ctx, cluster))
	first, err := o.renderOnce(templates, caps)
	if err != nil {
		return nil, err
	}
	if !o.calls(random) {
		return first, nil
	}
	if o.calls(clock) {
		if err := nextSecond(ctx); err != nil {
			return nil, err
		}
	}
	second, err := o.renderOnce(templates, caps)
	if err != nil {
		return nil, err
	}
	first.compareWith(second)
	return first, nil
}

// installs reports whether Apply installs; otherwise it upgrades.
func (o *Operation) installs() bool {
	return o.Previous == nil || !o.Previous.EverDeployed || o.Previous.Status == helmrelease.StatusUninstalled.String()
}

// capabilities describe the cluster to templates. The kinds of the
// chart's crds folder are there before the chart is rendered.
func (o *Operation) capabilities(cluster *kubekit.Cluster) (*chartutil.Capabilities, error) {
	discovery := cluster.Client().Discovery()
	version, err := discovery.ServerVersion()
	if err != nil {
		return nil, kubekit.Classify(err)
	}
	apis, err := action.GetVersionSet(discovery)
	if err != nil {
		return nil, kubekit.Classify(err)
	}
	return &chartutil.Capabilities{
		APIVersions: append(apis, o.ownAPIs()...),
		KubeVersion: chartutil.KubeVersion{Version: version.GitVersion, Major: version.Major, Minor: version.Minor},
		HelmVersion: chartutil.DefaultCapabilities.HelmVersion,
	}, nil
}

// ownAPIs are the kinds of the chart's crds folder.
func (o *Operation) ownAPIs() chartutil.VersionSet {
	var apis chartutil.VersionSet
	for _, crd := range o.CRDs {
		gk := kubefields.CRDKindOf(crd)
		for _, v := range versionsOf(crd) {
			apis = append(apis, gk.Group+"/"+v, gk.Group+"/"+v+"/"+gk.Kind)
		}
	}
	return apis
}

func (o *Operation) renderOnce(templates helmengine.Engine, caps *chartutil.Capabilities) (*Rendering, error) {
	c, err := o.Chart.Load()
	if err != nil {
		return nil, err
	}
	files, err := o.files(templates, c, caps)
	if err != nil {
		return nil, release.Explain(fmt.Errorf("chart %s %s: %w", o.Chart.Name, o.Chart.Version, err))
	}
	for name := range files {
		if path.Base(name) == "NOTES.txt" {
			delete(files, name)
		}
	}
	hooks, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("chart %s %s: %w", o.Chart.Name, o.Chart.Version, err))
	}
	r := &Rendering{}
	for _, m := range manifests {
		r.manifest += "---\n" + m.Content + "\n"
		objects, err := o.objects(m.Content + "\n") // as Helm joins them
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		for _, object := range objects {
			if err := named(object); err != nil {
				return nil, fmt.Errorf("%s: %w", m.Name, err)
			}
		}
		r.Objects = append(r.Objects, objects...)
	}
	for _, h := range hooks {
		if err := o.addHook(r, h); err != nil {
			return nil, fmt.Errorf("%s: %w", h.Path, err)
		}
	}
	slices.SortFunc(r.Hooks, func(a, b RenderedHook) int {
		return strings.Compare(a.Event+" "+kubekit.RefOf(a.Object).String(), b.Event+" "+kubekit.RefOf(b.Object).String())
	})
	return r, nil
}

func (o *Operation) files(templates helmengine.Engine, c *helmchart.Chart, caps *chartutil.Capabilities) (map[string]string, error) {
	values := o.Values.Copied()
	if err := chartutil.ProcessDependenciesWithMerge(c, values); err != nil {
		return nil, err
	}
	options := chartutil.ReleaseOptions{Name: o.Name, Namespace: o.Namespace, Revision: 1, IsInstall: o.installs(), IsUpgrade: !o.installs()}
	if o.Previous != nil {
		options.Revision = o.Previous.Revision + 1
	}
	all, err := chartutil.ToRenderValuesWithSchemaValidation(c, values, options, caps, false)
	if err != nil {
		return nil, err
	}
	return templates.Render(c, all)
}

func (o *Operation) addHook(r *Rendering, h *helmrelease.Hook) error {
	for _, event := range h.Events {
		if event.String() != "pre-install" && event.String() != "post-install" &&
			event.String() != "pre-upgrade" && event.String() != "post-upgrade" {
			continue
		}
		if strings.HasSuffix(event.String(), "install") != o.installs() {
			continue
		}
		objects, err := o.objects(h.Manifest)
		if err != nil {
			return err
		}
		for _, object := range objects {
			if deletes(h) {
				if err := named(object); err != nil {
					return err
				}
			}
			r.Hooks = append(r.Hooks, RenderedHook{object, event.String(), deletes(h)})
		}
	}
	return nil
}

func (o *Operation) objects(text string) ([]*unstructured.Unstructured, error) {
	objects, err := manifest.Objects(text)
	if err != nil {
		return nil, engine.Permanent(err)
	}
	for _, object := range objects {
		manifest.Normalise(object)
	}
	return objects, nil
}

// named refuses an object that Helm would not find again, because the API server
// makes up its name.
func named(o *unstructured.Unstructured) error {
	if o.GetName() != "" {
		return nil
	}
	if o.GetGenerateName() == "" {
		return engine.Permanent(fmt.Errorf("%s: metadata.name is missing", o.GetKind()))
	}
	return engine.WithHint(
		engine.Permanent(fmt.Errorf("%s: metadata.generateName: %s: Helm finds objects by their names, and this one has none", o.GetKind(), o.GetGenerateName())),
		"the chart has to give it a metadata.name, such as one with {{ .Release.Revision }}; only a hook whose one delete policy is hook-failed may go without")
}

// deletes reports whether Helm deletes a hook that has succeeded, or the one
// before; it does without a policy, too.
func deletes(h *helmrelease.Hook) bool {
	return len(h.DeletePolicies) == 0 || slices.Contains(h.DeletePolicies, helmrelease.HookBeforeHookCreation) ||
		slices.Contains(h.DeletePolicies, helmrelease.HookSucceeded)
}

// compareWith finds the random fields: those that differ in another rendering.
func (r *Rendering) compareWith(other *Rendering) {
	r.random = make(map[manifest.Key]map[string]bool)
	second := make(map[manifest.Key]map[string]any)
	for _, o := range other.all() {
		second[manifest.KeyOf(o)] = kubefields.Flatten(o.Object)
	}
	for _, o := range r.all() {
		have, want := kubefields.Differing(second[manifest.KeyOf(o)], kubefields.Flatten(o.Object))
		paths := make(map[string]bool)
		for _, side := range []map[string]any{have, want} {
			for path := range side {
				paths[path] = true
			}
		}
		r.random[manifest.KeyOf(o)] = paths
	}
}

func (r *Rendering) all() []*unstructured.Unstructured {
	all := slices.Clone(r.Objects)
	for _, h := range r.Hooks {
		all = append(all, h.Object)
	}
	return all
}

// Functions of templates whose answer is another each time. Source: the lists of
// Sprig (https://masterminds.github.io/sprig/) and of Helm.
var (
	clock  = regexp.MustCompile(`\{\{[^}]*\b(now|ago)\b`)
	random = regexp.MustCompile(`\{\{[^}]*\b(now|ago|rand[A-Z]\w*|gen[A-Z]\w*|uuidv4|shuffle|htpasswd|bcrypt|encryptAES|getHostByName)\b`)
)

// calls reports whether a template of the chart or of its subcharts calls one of
// the functions, or a value that tpl may make a template, as far as its text shows.
func (o *Operation) calls(functions *regexp.Regexp) bool {
	values, err := json.Marshal(o.Values)
	return err != nil || functions.Match(values) || calls(o.Chart.Parsed(), functions)
}

func calls(c *helmchart.Chart, functions *regexp.Regexp) bool {
	return slices.ContainsFunc(c.Raw, func(f *helmchart.File) bool {
		return (strings.HasPrefix(f.Name, "templates/") || f.Name == chartutil.ValuesfileName) && functions.Match(f.Data)
	}) || slices.ContainsFunc(c.Dependencies(), func(sub *helmchart.Chart) bool { return calls(sub, functions) })
}

// nextSecond waits for the next second: texts made from the time differ then.
func nextSecond(ctx context.Context) error {
	return engine.Pause(ctx, time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
}
