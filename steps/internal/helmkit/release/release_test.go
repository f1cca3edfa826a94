package release

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	helmkitchart "github.com/ztplan/ztplan/steps/internal/helmkit/chart"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
)

func revision(n int, status helmrelease.Status, labels map[string]string, created time.Time) *Release {
	return &Release{
		Name: "app", Namespace: "ns", Revision: n, Status: status.String(),
		secret: metav1.ObjectMeta{Name: "sh.helm.release.v1.app.v" + strconv.Itoa(n), Labels: labels, CreationTimestamp: metav1.NewTime(created)},
	}
}

const digest = "0123456789012345678901234567890123456789abcdef"

// Two operations on one release at once destroy it; a release of a killed run must
// not wait for ever.
func TestBusy(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	env := &engine.Env{Now: func() time.Time { return now }, CacheDir: t.TempDir()}
	alive := NewClaim(env)
	t.Cleanup(func() { alive.End(true) })
	dead := NewClaim(env)
	dead.End(false) // as the death of the process does
	in := func(d time.Duration) time.Time { return now.Add(d) }
	stamp := func(d time.Duration) string { return strconv.FormatInt(in(d).Unix(), 10) }
	pending := helmrelease.StatusPendingUpgrade
	for name, c := range map[string]struct {
		r    *Release
		want bool
	}{
		"deployed":                            {revision(1, helmrelease.StatusDeployed, nil, now), false},
		"failed":                              {revision(1, helmrelease.StatusFailed, nil, now), false},
		"ours, at work":                       {revision(2, pending, LabelsFor(2, digest, alive.ID, in(time.Minute)), now), true},
		"ours, at work past its end":          {revision(2, pending, LabelsFor(2, digest, alive.ID, in(-time.Minute)), now), false},
		"ours, within the skew of two clocks": {revision(2, pending, LabelsFor(2, digest, alive.ID, in(-10*time.Second)), now), true},
		"ours, killed":                        {revision(2, pending, LabelsFor(2, digest, dead.ID, in(time.Hour)), now), false},
		"ours, on another machine":            {revision(2, pending, LabelsFor(2, digest, "elsewhere", in(time.Minute)), now), true},
		"of another machine, past its end":    {revision(2, pending, LabelsFor(2, digest, "elsewhere", in(-time.Minute)), now), false},
		"labels of an earlier revision":       {revision(3, pending, LabelsFor(2, digest, dead.ID, in(time.Hour)), now), true},
		"of helm, just now":                   {revision(1, pending, nil, in(-time.Minute)), true},
		"of helm, silent for long":            {revision(1, pending, nil, in(-time.Hour)), false},
		"of helm, changed just now":           {revision(1, pending, map[string]string{"modifiedAt": stamp(-time.Minute)}, in(-time.Hour)), true},
		"being uninstalled":                   {revision(1, helmrelease.StatusUninstalling, nil, in(-time.Minute)), true},
	} {
		until, got := c.r.Busy(env)
		if got != c.want {
			t.Errorf("%s: got %v until %v", name, got, until)
		}
		if got && !until.After(now) {
			t.Errorf("%s: busy until %v, which is over", name, until)
		}
	}
}

func TestOurs(t *testing.T) {
	labels := LabelsFor(2, digest, "claim", time.Unix(9, 0))
	if !revision(2, helmrelease.StatusDeployed, labels, time.Time{}).Ours() {
		t.Error("a revision of ztplan's is not ours")
	}
	for name, r := range map[string]*Release{
		"a later revision of helm's, which inherits labels": revision(3, helmrelease.StatusDeployed, labels, time.Time{}),
		"one without labels": revision(2, helmrelease.StatusDeployed, nil, time.Time{}),
	} {
		if r.Ours() {
			t.Errorf("%s is ours", name)
		}
	}
	for key, value := range labels {
		if len(value) > 63 {
			t.Errorf("%s has %d characters, which the API server refuses", key, len(value))
		}
	}
}

// Helm stores a pending release again before each hook; only how an operation begins
// and ends is stored.
func TestOutcomesAreStored(t *testing.T) {
	memory := driver.NewMemory()
	store := &outcomes{Driver: memory}
	rel := &helmrelease.Release{Name: "app", Namespace: "default", Version: 1, Chart: &chart.Chart{}, Info: &helmrelease.Info{Status: helmrelease.StatusPendingInstall}}
	const key = "sh.helm.release.v1.app.v1"
	if err := store.Create(key, rel); err != nil {
		t.Fatal(err)
	}
	stored := func() string {
		t.Helper()
		r, err := memory.Get(key)
		if err != nil {
			t.Fatal(err)
		}
		return r.Info.Description
	}
	update := func(status helmrelease.Status, description string) {
		t.Helper()
		changed := *rel
		changed.Info = &helmrelease.Info{Status: status, Description: description}
		if err := store.Update(key, &changed); err != nil {
			t.Fatal(err)
		}
	}
	if update(helmrelease.StatusPendingInstall, "a hook runs"); stored() != "" {
		t.Errorf("the middle was stored: %s", stored())
	}
	if update(helmrelease.StatusFailed, "cut off"); stored() != "cut off" {
		t.Errorf("the end was not stored: %s", stored())
	}
	if err := store.Update("sh.helm.release.v1.other.v1", &helmrelease.Release{Info: &helmrelease.Info{Status: helmrelease.StatusDeployed}}); !errors.Is(err, driver.ErrReleaseNotFound) {
		t.Errorf("a release that is gone: got %v", err)
	}
}

func TestNewestRevision(t *testing.T) {
	for label, want := range map[string]int{"7": 7, "10": 10, "": 0, "x": 0} {
		if got := revisionOf(metav1.ObjectMeta{Labels: map[string]string{"version": label}}); got != want {
			t.Errorf("%q: got %d", label, got)
		}
	}
}

// The digest that ztplan noted decides whether a chart is another; it counts for its own
// revision only. What others installed is compared as far as Helm stores it.
func TestChartChanged(t *testing.T) {
	archive := func(values, template string) *helmkitchart.Chart {
		t.Helper()
		path := filepath.Join(t.TempDir(), "app.tgz")
		packed := charttest.Chart{Name: "app", Version: "1.0.0", Values: values, Files: map[string]string{"templates/a.yaml": template}}.Pack(t)
		if err := os.WriteFile(path, packed, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := helmkitchart.Local(&engine.Env{}, helmkitchart.Source{Chart: path})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one, values, template := archive("a: 1\n", "x"), archive("a: 2\n", "x"), archive("a: 1\n", "y")
	stored := func(c *helmkitchart.Chart, revision int) *Release {
		t.Helper()
		secret := metav1.ObjectMeta{Name: "s", Namespace: "ns"}
		if revision > 0 {
			secret.Labels = LabelsFor(revision, c.Digest, "claim", time.Unix(9, 0))
		}
		r, err := New(&helmrelease.Release{Name: "app", Version: 2, Chart: c.Parsed(), Info: &helmrelease.Info{}}, secret)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, c := range map[string]struct {
		release *Release
		chart   *helmkitchart.Chart
		want    bool
	}{
		"the same":                          {stored(one, 2), one, false},
		"other defaults":                    {stored(one, 2), values, true},
		"another template":                  {stored(one, 2), template, true},
		"helm's, the same":                  {stored(one, 0), one, false},
		"helm's, another template":          {stored(one, 0), template, true},
		"helm's, other defaults":            {stored(one, 0), values, false}, // Compare sees the values
		"labels that helm inherited":        {stored(template, 1), template, false},
		"labels of another, by inheritance": {stored(one, 1), template, true},
	} {
		if got := c.release.ChartChanged(c.chart); got != c.want {
			t.Errorf("%s: changed %v", name, got)
		}
	}
}

// Each state in which an operation may still be at work blocks the next, and no other.
func TestPending(t *testing.T) {
	for status, want := range map[helmrelease.Status]bool{
		helmrelease.StatusPendingInstall: true, helmrelease.StatusPendingUpgrade: true, helmrelease.StatusPendingRollback: true, helmrelease.StatusUninstalling: true,
		helmrelease.StatusDeployed: false, helmrelease.StatusFailed: false, helmrelease.StatusSuperseded: false, helmrelease.StatusUninstalled: false, helmrelease.StatusUnknown: false,
	} {
		if got := (&Release{Status: status.String()}).Pending(); got != want {
			t.Errorf("%s: pending %v", status, got)
		}
	}
}
