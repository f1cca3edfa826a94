package helmkit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chartutil"
	helmrelease "helm.sh/helm/v3/pkg/release"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/chart"
	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/release"
	"github.com/ztplan/ztplan/steps/internal/helmkit/values"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// A Difference is that between a release and the plan, as an edit shows it. values.Values
// have dotted paths; those that look like secrets are engine.Secrets.
type Difference struct {
	Have map[string]any // nil if there is no release
	Want map[string]any
	Note string
}

// Parts returns an edit for each object that Preview has found to change, by name.
func (d *Difference) Parts() []engine.Edit {
	have, _ := d.Have["objects"].(map[string]any)
	want, _ := d.Want["objects"].(map[string]any)
	names := slices.Collect(maps.Keys(have))
	for name := range want {
		if _, both := have[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	parts := make([]engine.Edit, len(names))
	for i, name := range names {
		parts[i] = engine.Edit{Path: name, Have: have[name], Want: want[name]}
	}
	return parts
}

// Compare compares a release (nil if there is none) with a chart and values.
// It returns nil if they agree: same chart, same content, same values in
// effect, and the last operation succeeded. values.Values that repeat a default of the
// chart make no difference.
func Compare(r *release.Release, c *chart.Chart, v values.Values) (*Difference, error) {
	if r == nil {
		d := &Difference{Want: map[string]any{"chart": c.Name, "version": c.Version}}
		put(d.Want, "appVersion", c.AppVersion)
		_, given := values.Differing(nil, v)
		put(d.Want, "values", given)
		return d, nil
	}
	d := &Difference{Have: map[string]any{}, Want: map[string]any{}}
	if r.Status != helmrelease.StatusDeployed.String() {
		d.Have["status"], d.Want["status"] = r.Status, helmrelease.StatusDeployed.String()
		d.Note = repairs(r)
	}
	have, want := r.Values, v
	if chart.SameVersion(r.Version, c.Version) {
		if r.ChartChanged(c) {
			d.Have["content"], d.Want["content"] = "another archive of the same version", "sha256 "+c.Digest
		}
		var err error
		if have, err = values.Effective(c.Parsed(), have); err != nil {
			return nil, err
		}
		if want, err = values.Effective(c.Parsed(), want); err != nil {
			return nil, engine.Permanent(fmt.Errorf("chart %s %s: values: %w", c.Name, c.Version, err))
		}
	} else {
		d.Have["version"], d.Want["version"] = r.Version, c.Version
		if r.AppVersion != c.AppVersion {
			d.Have["appVersion"], d.Want["appVersion"] = r.AppVersion, c.AppVersion
		}
		if chart.NewerVersion(r.Version, c.Version) {
			d.Note = "a downgrade"
		}
	}
	haveValues, wantValues := values.Differing(have, want)
	put(d.Have, "values", haveValues)
	put(d.Want, "values", wantValues)
	if len(d.Have) == 0 && len(d.Want) == 0 {
		return nil, nil
	}
	return d, nil
}

func put(m map[string]any, key string, v any) {
	if !manifest.IsEmpty(v) {
		m[key] = v
	}
}

// repairs returns the remark about the repair of a release that is not deployed.
func repairs(r *release.Release) string {
	repair := "an upgrade completes it"
	switch {
	case r.Status == helmrelease.StatusUninstalled.String():
		return "its history was kept when it was uninstalled"
	case !r.EverDeployed:
		repair = "it is installed again over what is there; nothing is deleted"
	}
	if r.Pending() {
		return "an earlier operation was cut off: " + repair
	}
	return strings.TrimPrefix(r.Description+": "+repair, ": ")
}

// Refuse returns why the plan's chart must not be put over a release, or nil.
// The error is permanent and its hint is the way out.
func Refuse(r *release.Release, c *chart.Chart) error {
	if r == nil || r.Status == helmrelease.StatusUninstalled.String() {
		return nil
	}
	if r.Chart != c.Name {
		return engine.WithHint(
			engine.Permanent(fmt.Errorf("release %s/%s is of chart %s %s, and the plan asks for chart %s", r.Namespace, r.Name, r.Chart, r.Version, c.Name)),
			fmt.Sprintf("give this step another release name, or remove the other release: helm uninstall %s -n %s", r.Name, r.Namespace))
	}
	if !r.Ours() && chart.NewerVersion(r.Version, c.Version) {
		return engine.WithHint(
			engine.Permanent(fmt.Errorf("release %s/%s has chart %s %s, which is newer than the plan's %s and was not installed by ztplan", r.Namespace, r.Name, r.Chart, r.Version, c.Version)),
			fmt.Sprintf("set version to %s, or go back first: helm rollback %s -n %s", r.Version, r.Name, r.Namespace))
	}
	return nil
}

// Check returns why the chart does not take the values or the cluster, by its schema
// and metadata. Helm checks the same when it installs; this is for the dry run.
func Check(ctx context.Context, cluster *kubekit.Cluster, c *chart.Chart, v values.Values) error {
	if want := c.Parsed().Metadata.KubeVersion; want != "" {
		have, err := cluster.Client().Discovery().ServerVersion()
		if err != nil {
			return kubekit.Classify(err)
		}
		if !chartutil.IsCompatibleRange(want, have.GitVersion) {
			return engine.WithHint(
				engine.Permanent(fmt.Errorf("chart %s %s supports Kubernetes %s, and the cluster has %s", c.Name, c.Version, want, have.GitVersion)),
				"choose a version of the chart that supports the cluster")
		}
	}
	loaded, err := c.Load()
	if err != nil {
		return err
	}
	given := v.Copied()
	if err := chartutil.ProcessDependenciesWithMerge(loaded, given); err != nil {
		return engine.Permanent(fmt.Errorf("chart %s %s: %w", c.Name, c.Version, err))
	}
	all, err := chartutil.CoalesceValues(loaded, given)
	if err != nil {
		return engine.Permanent(fmt.Errorf("chart %s %s: values: %w", c.Name, c.Version, err))
	}
	if err := chartutil.ValidateAgainstSchema(loaded, all); err != nil {
		return release.Explain(fmt.Errorf("chart %s %s: values don't meet the specifications of the schema: %w", c.Name, c.Version, err))
	}
	return nil
}

// CheckReleaseName returns why Helm would not take the name, or nil.
func CheckReleaseName(name string) error { return chartutil.ValidateReleaseName(name) }
