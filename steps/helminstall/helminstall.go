// Package helminstall installs a Helm chart and keeps it at the version and
// values of the plan.
//
// # Reads
//
// The chart, from its repository, registry or path, and the newest revision of
// the release, which is stored as the helm command stores it. Both may come
// from anywhere: a release of another tool is taken over as it is
// if it agrees with the plan.
//
// # Changes
//
//   - The namespace, if it is absent and createNamespace is true.
//   - CustomResourceDefinitions in the chart's crds folder that the cluster
//     lacks. Helm installs them with the first install only; here they are also
//     restored. Those that exist are never changed: like Helm, but with a
//     warning when they lack a version that the chart brings.
//   - The release: one edit that installs or upgrades. It is left out if chart,
//     version, content and the values in effect are those of the deployed
//     release. That matters, because helm upgrade is never idle: it runs hooks
//     again, and charts make new random secrets.
//   - Objects of the release that are missing from the cluster: they are created
//     as the stored manifest has them, without an upgrade.
//   - Objects of the release with fields that were changed or removed by
//     hand: they are set back, without an upgrade. Fields that the manifest does
//     not mention stay, and so do those that controllers keep: replicas under a
//     HorizontalPodAutoscaler, CA bundles that are injected, fields that a
//     controller set last. The API server finds the differences, so that a default
//     or another way to write the same is no difference.
//   - Pods that an upgrade has not reached, because their StatefulSet or DaemonSet
//     has the update strategy OnDelete: with onDelete: restart they are deleted.
//   - Readiness, unless wait is false: edits that can only be waited for.
//     Deployments must be available, Jobs complete, CustomResourceDefinitions
//     established. Of a StatefulSet with the update strategy OnDelete, such as
//     Vault's, the pods must run and need not be ready, because Vault's become
//     ready only when they are unsealed. A webhook with the failure policy Fail
//     needs its CA bundle and a ready pod, or the API server would refuse the
//     objects of the next step. A rolling update whose new pod can be nowhere but
//     where the old one is, by a required anti-affinity, is an error at once.
//
// # The edit of the release
//
// It shows the changed values and versions, and the changes of objects: below objects,
// by "Kind/namespace/name", all fields of those that are made, the fields that
// change of those that exist, and "exists" for those that are removed; below
// restarts, the workloads whose pods onDelete: restart deletes afterwards; below
// hooks, by event and name, the hooks that run; below images, for an install, the images
// of the containers. The chart is rendered as the install or upgrade will, with
// lookups in the cluster. Random values are shown as "(random)" in new
// objects and are no change in others. An object without fields of its own, such
// as a ServiceAccount, is shown as "exists". Secrets are never shown: the data of
// Secrets, values with the name of a secret, arguments of such options (--password x),
// and all of them wherever a template puts them.
//
// So the dry run fails if the upgrade would: a value that a template refuses, a
// field that cannot be changed or has another type, an object that belongs to
// another release or has no name of its own (generateName), a release that is too
// large to be stored.
//
// An upgrade leaves fields that controllers keep as they are (see above), which helm
// upgrade does not, unless the chart or its values change that very field.
//
// Hooks run as part of the release's edit. Nothing is ever rolled back or
// uninstalled: both could take a volume's data or a workload's state with them.
//
// # A release that was cut off
//
// A run that is interrupted records its release as failed. One that is killed
// leaves it pending, which makes Helm refuse everything (helm/helm#8987). When
// its maker is gone, the step goes on: a release that was never deployed
// is installed again over its objects, so that its install hooks run; any
// other is upgraded. While its maker may be alive, the step waits: until the
// process is gone, if it ran on this machine; else until its own time limit is
// over; for other tools until ten minutes have passed in silence.
//
// # Refuses
//
// Versions that are not exact; an archive of another version than the index or the
// tag that it was found by; a release of another chart under the same name; a
// release that another tool brought to a newer version; values that the chart's
// schema forbids; charts that do not support the cluster's version; an object with
// a field that another step of the plan, or a release in it, wants otherwise. Two
// that want the same of a field, or different fields of an object, are no reason,
// and neither is a namespace that createNamespace makes and a manifest labels.
// Values that nothing in the chart reads, which Helm drops in silence, are
// warned about, and refused if strict is true.
package helminstall

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit"
	"github.com/ztplan/ztplan/steps/internal/helmkit/chart"
	"github.com/ztplan/ztplan/steps/internal/helmkit/release"
	"github.com/ztplan/ztplan/steps/internal/helmkit/values"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Kind is helmInstall. Its timeout is that of slow images and of etcd, whose
// first readiness check comes after a minute.
var Kind = engine.NewKind("helmInstall", policy(), func() *Spec {
	return &Spec{Namespace: "default", CreateNamespace: true, Wait: true, MaxHistory: 10, OnDelete: onDeleteKeep}
})

func policy() engine.Policy {
	p := engine.DefaultPolicy()
	p.Timeout = 10 * time.Minute
	return p
}

// Values of onDelete.
const (
	onDeleteKeep    = "keep"
	onDeleteRestart = "restart"
)

// Spec holds the inputs.
type Spec struct {
	// Repo is the address of the chart repository: https://…, or oci://… for a
	// registry, either of the folder that holds the chart or of the chart
	// itself. Leave it out for a chart beside the plan. --mirror gives the
	// address of a mirror.
	Repo string `yaml:"repo"`

	// Chart is the chart's name in repo. Without repo it is an oci:// address or
	// the path of a chart directory or .tgz, relative to the plan. It may be
	// left out if repo is the oci:// address of the chart.
	Chart string `yaml:"chart"`

	// Version is the chart's version, exact, such as 1.2.3 or v1.2.3. Ranges
	// are refused, because two runs of one plan could install different
	// software. It may be left out for a path only.
	Version string `yaml:"version"`

	// Release is the name of the release. Default: the chart's name.
	Release string `yaml:"release"`

	// Namespace is where the release is stored and installed. Default: default.
	Namespace string `yaml:"namespace" check:"nonempty"`

	// CreateNamespace creates the namespace if it is absent. Default: true.
	CreateNamespace bool `yaml:"createNamespace"`

	// Values are the chart's values, inline, on top of those in valuesFiles.
	// null removes a default of the chart. Differences are shown, except those of
	// keys that look like secrets (password, token, adminKey, …). Helm stores
	// values in the Secret of the release.
	Values map[string]any `yaml:"values"`

	// ValuesFiles are YAML files with values; of maps the later file wins key
	// by key, of everything else as a whole.
	ValuesFiles []engine.File `yaml:"valuesFiles" check:"exists"`

	// Strict refuses values that nothing in the chart reads, instead of warning.
	// Default: false.
	Strict bool `yaml:"strict"`

	// SkipCRDs leaves the chart's crds folder alone. It has no influence on
	// CustomResourceDefinitions among the chart's templates. Default: false.
	SkipCRDs bool `yaml:"skipCRDs"`

	// Wait waits until the release is at work: workloads available, Jobs
	// complete, webhooks able to answer. The step's timeout bounds it. Default:
	// true.
	Wait bool `yaml:"wait"`

	// OnDelete decides about pods that an upgrade has not reached, because their StatefulSet or
	// DaemonSet has the update strategy OnDelete, as Vault's has. keep leaves them and warns.
	// restart deletes them, one after another, the last of a StatefulSet first, each when the
	// one before runs again; of several pods, when all others are ready. Vault's come back
	// sealed: a vaultUnseal step after this one unseals the only one. Several that need key
	// shares are restarted by that step's onDelete, and not by this one. Default: keep.
	OnDelete string `yaml:"onDelete" check:"oneof=keep|restart"`

	// MaxHistory is how many revisions of the release are kept; 0 keeps all.
	// Default: 10, as in Helm.
	MaxHistory int `yaml:"maxHistory" check:"min=0"`

	// TakeOwnership lets the release adopt objects that exist and belong to no
	// release, or to another. Without it they are an error. Default: false.
	TakeOwnership bool `yaml:"takeOwnership"`

	// Username is sent to the repository, and nowhere else.
	Username string `yaml:"username"`

	// Password goes with username.
	Password engine.Secret `yaml:"password"`

	// CAFile holds PEM certificates that the repository's certificate may chain
	// to, in addition to the system's.
	CAFile engine.File `yaml:"caFile" check:"exists,nonempty"`
}

// Outputs are the facts about the release.
type Outputs struct {
	// Release is the name of the release.
	Release string `yaml:"release"`
	// Namespace is the namespace of the release.
	Namespace string `yaml:"namespace"`
	// Revision counts installs and upgrades, from 1.
	Revision int `yaml:"revision"`
	// Chart is the chart's name.
	Chart string `yaml:"chart"`
	// Version is the chart's version.
	Version string `yaml:"version"`
	// AppVersion is the version of the software by the chart; values may
	// select another image.
	AppVersion string `yaml:"appVersion"`
	// ManifestDigest is the SHA-256, in hex, of the manifest of the release.
	ManifestDigest string `yaml:"manifestDigest"`
}

func (s *Spec) source() chart.Source {
	return chart.Source{
		Repo: s.Repo, Chart: s.Chart, Version: s.Version,
		Username: s.Username, Password: s.Password, CAFile: s.CAFile,
	}
}

// MergedValues returns the values of valuesFiles with those of values on top; nil if one
// of them cannot be read, which Validate reports.
func (s *Spec) MergedValues() map[string]any {
	merged, err := values.Read(s.ValuesFiles, s.Values)
	if err != nil {
		return nil
	}
	return merged
}

// ResolvePaths implements engine.PathHolder.
func (s *Spec) ResolvePaths(resolve func(path string) string) {
	if s.Chart != "" && s.source().IsPath() {
		s.Chart = resolve(s.Chart)
	}
}

// Folders implements engine.FolderReader.
func (s *Spec) Folders(env *engine.Env) map[string]string {
	if s.Chart == "" || !s.source().IsPath() {
		return nil
	}
	c, err := chart.Local(env, s.source())
	if err != nil {
		return nil
	}
	return map[string]string{s.Chart: c.Digest}
}

// Foresee implements engine.Foreseer: the namespace, and the name of the release if it is
// not only in the metadata of the chart.
func (s *Spec) Foresee(_ string, unknown []string) any {
	out := Outputs{Namespace: s.Namespace}
	if engine.Known("release", unknown) && engine.Known("chart", unknown) && engine.Known("repo", unknown) {
		out.Release = s.releaseName()
	}
	return out
}

// releaseName returns the name of the release; "" if only the metadata of the chart has it.
func (s *Spec) releaseName() string { return cmp.Or(s.Release, s.source().Name()) }

// Inspect implements engine.Step.
func (s *Spec) Inspect(ctx context.Context, env *engine.Env) (Outputs, []engine.Edit, error) {
	w, err := s.gather(ctx, env)
	if err != nil {
		return Outputs{}, nil, err
	}
	if err := helmkit.Refuse(w.release, w.chart); err != nil {
		return Outputs{}, nil, err
	}
	if err := s.remarks(ctx, env, w); err != nil {
		return Outputs{}, nil, err
	}
	if err := s.record(ctx, env, w); err != nil {
		return Outputs{}, nil, err
	}
	edits, err := w.edits(ctx, env)
	return w.outputs(), edits, err
}

// An installation is the plan of a step beside the chart and the release as they are.
type installation struct {
	spec    *Spec
	values  values.Values
	chart   *chart.Chart
	cluster *kubekit.Cluster
	name    string
	release *release.Release // nil if there is none

	agrees    bool // the release is as in the plan and stays at its revision
	namespace []engine.Edit
	crds      []*helmkit.CRD // those of the chart's crds folder
	missing   []*helmkit.CRD // those of them that the cluster lacks
	older     []string       // remarks about CRDs
}

// gather asks the repository and the cluster at the same time, as far as the
// name of the release is known without the chart.
func (s *Spec) gather(ctx context.Context, env *engine.Env) (*installation, error) {
	w := &installation{spec: s, name: s.releaseName()}
	var err error
	if w.values, err = values.Read(s.ValuesFiles, s.Values); err != nil {
		return nil, err
	}
	var (
		wg       engine.Group
		chartErr error
	)
	fetch := func() {
		if w.chart, chartErr = chart.Fetch(ctx, env, s.source()); chartErr == nil && w.name == "" {
			w.name = w.chart.Name
		}
	}
	if w.name == "" {
		fetch()
		if chartErr != nil {
			return nil, chartErr
		}
	} else {
		wg.Go(fetch)
	}
	clusterErr := w.ask(ctx, env)
	wg.Wait()
	if clusterErr != nil {
		return nil, clusterErr
	}
	if chartErr != nil {
		return nil, chartErr
	}
	catalogue, err := kubekit.CatalogueOf(ctx, env)
	if err != nil {
		return nil, err
	}
	if s.CreateNamespace {
		catalogue.AddNamespace(env.Step, s.Namespace)
	}
	if s.SkipCRDs {
		return w, nil
	}
	if w.crds, err = helmkit.CRDs(w.chart, w.values); err != nil {
		return nil, engine.Permanent(err)
	}
	catalogue.AddCRDs(env.Step, w.chart.Title(), w.crds...)
	w.missing, w.older, err = helmkit.MissingCRDs(ctx, w.cluster, w.crds)
	return w, err
}

// ask asks the cluster for the namespace and the release.
func (w *installation) ask(ctx context.Context, env *engine.Env) error {
	var err error
	if w.cluster, err = kubekit.Connect(ctx, env); err != nil {
		return err
	}
	var (
		wg    engine.Group
		nsErr error
	)
	wg.Go(func() { w.namespace, nsErr = helmkit.Namespace(ctx, env, w.cluster, w.spec.Namespace) })
	w.release, err = release.Read(ctx, w.cluster, w.spec.Namespace, w.name)
	wg.Wait()
	if err != nil {
		return err
	}
	return nsErr
}

// outputs are the facts about the release as it is; those that another revision
// will change are left out.
func (w *installation) outputs() Outputs {
	out := Outputs{Release: w.name, Namespace: w.spec.Namespace}
	r := w.release
	if r == nil {
		return out
	}
	out.Chart = r.Chart
	if w.agrees || r.Version == w.chart.Version && r.AppVersion == w.chart.AppVersion {
		out.Version, out.AppVersion = r.Version, r.AppVersion
	}
	if w.agrees {
		out.Revision, out.ManifestDigest = r.Revision, r.ManifestDigest()
	}
	return out
}

// remarks warns, once in a run, about values and charts that are probably a mistake.
func (s *Spec) remarks(ctx context.Context, env *engine.Env, w *installation) error {
	unknown := w.chart.UnknownValues(w.values)
	if s.Strict && len(unknown) > 0 {
		return engine.WithHint(
			engine.InPlan(fmt.Errorf("chart %s %s does not know these values: %s", w.chart.Name, w.chart.Version, join(unknown))),
			"correct or remove them; strict: false only warns")
	}
	key := strings.Join([]string{"helmInstall remarks", env.Step, w.chart.Name, w.chart.Version}, " ")
	_, err := engine.Share(ctx, env.Session, key, func(context.Context) (bool, error) {
		if w.chart.Deprecated() {
			env.Warnf("chart %s %s is deprecated by its authors", w.chart.Name, w.chart.Version)
		}
		for _, u := range unknown {
			advice := ""
			if u.Advice != "" {
				advice = ": " + u.Advice
			}
			env.Warnf("values: chart %s %s does not know %s and ignores it%s", w.chart.Name, w.chart.Version, u.Path, advice)
		}
		for _, r := range w.older {
			env.Warnf("%s", r)
		}
		return true, nil
	})
	return err
}

func join(unknown []values.Unknown) string {
	parts := make([]string, len(unknown))
	for i, u := range unknown {
		parts[i] = u.String()
	}
	return strings.Join(parts, ", ")
}
