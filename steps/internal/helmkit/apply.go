package helmkit

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/kube"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"k8s.io/client-go/kubernetes"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/chart"
	"github.com/ztplan/ztplan/steps/internal/helmkit/release"
	"github.com/ztplan/ztplan/steps/internal/helmkit/values"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// An Operation installs or upgrades a release.
type Operation struct {
	Chart     *chart.Chart
	Values    values.Values
	Name      string
	Namespace string
	// Previous is the release as it was looked at, nil if there is none.
	Previous *release.Release
	// MaxHistory is how many revisions are kept; 0 means all.
	MaxHistory int
	// TakeOwnership lets the release adopt objects that belong to no release
	// or to another.
	TakeOwnership bool
	// Restarts means that pods which the operation does not reach, because their
	// workload has the update strategy OnDelete, are deleted after it; Preview
	// shows it.
	Restarts bool
	// CRDs are those of the chart's crds folder, which are there before Apply.
	CRDs []*CRD
	// Until is when the operation has ended in any case: other runs use it if this
	// process dies on another machine.
	Until time.Time
}

// maxHookWait is Helm's own time limit. The edit's context ends sooner, and waits end
// with it.
const maxHookWait = 24 * time.Hour

// Apply installs or upgrades. It returns when the hooks have run; it does not
// wait for workloads, and it creates nothing from the chart's crds folder.
//
// An operation that was cut off is completed, and nothing is deleted for it:
//
//   - If no revision was ever deployed, the objects that exist are adopted and
//     brought up to date, and the install hooks run (again), as with helm
//     install --replace. A plain upgrade would skip them.
//   - Otherwise the newest revision is recorded as failed and an upgrade
//     follows, which compares with the last revision that was deployed.
//
// When ctx ends first, the release is recorded as failed.
func (o *Operation) Apply(ctx context.Context, env *engine.Env, cluster *kubekit.Cluster) error {
	claim := release.NewClaim(env)
	err := o.apply(ctx, env, cluster, claim.ID)
	claim.End(err == nil)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("release %s/%s: %w", o.Namespace, o.Name, err)
	if ctx.Err() != nil {
		return engine.WithHint(&cutOff{err, context.Cause(ctx)}, "the release is recorded as failed; the next run goes on from there")
	}
	return release.Explain(err)
}

// cutOff is an error of Helm, which drops causes, with the cause.
type cutOff struct{ err, cause error }

func (c *cutOff) Error() string   { return c.err.Error() }
func (c *cutOff) Unwrap() []error { return []error{c.err, c.cause} }

func (o *Operation) apply(ctx context.Context, env *engine.Env, cluster *kubekit.Cluster, claim string) error {
	cfg, err := configuration(ctx, env, cluster, o.Namespace)
	if err != nil {
		return err
	}
	loaded, err := o.Chart.Load()
	if err != nil {
		return err
	}
	revision := 1
	if o.Previous != nil {
		revision = o.Previous.Revision + 1
		if err := o.settle(cfg, o.Previous); err != nil {
			return err
		}
	}
	labels := release.LabelsFor(revision, o.Chart.Digest, claim, o.Until)
	cfg.Releases.MaxHistory = o.MaxHistory
	// Helm is not told that ctx ended: it would go on in the background. Its
	// requests and waits end, and it records the outcome.
	hctx := context.WithoutCancel(ctx)
	if o.installs() {
		env.Statusf("installing chart %s %s", o.Chart.Name, o.Chart.Version)
		in := action.NewInstall(cfg)
		in.ReleaseName, in.Namespace = o.Name, o.Namespace
		in.Replace = o.Previous != nil
		in.SkipCRDs = true
		in.Timeout = maxHookWait
		in.TakeOwnership = o.TakeOwnership
		in.Labels = labels
		_, err = in.RunWithContext(hctx, loaded, o.Values.Copied())
		return cmp.Or(err, release.Unrecorded(cfg.Releases))
	}
	env.Statusf("upgrading to chart %s %s", o.Chart.Name, o.Chart.Version)
	up := action.NewUpgrade(cfg)
	up.Namespace = o.Namespace
	up.SkipCRDs = true
	up.Timeout = maxHookWait
	up.TakeOwnership = o.TakeOwnership
	up.ResetValues = true // never the values of the revision before
	up.MaxHistory = o.MaxHistory
	up.Labels = labels
	_, err = up.RunWithContext(hctx, o.Name, loaded, o.Values.Copied())
	return cmp.Or(err, release.Unrecorded(cfg.Releases))
}

// settle records a revision that was cut off as failed, which lets Helm go on.
func (o *Operation) settle(cfg *action.Configuration, r *release.Release) error {
	if !r.Pending() {
		return nil
	}
	last, err := cfg.Releases.Get(r.Name, r.Revision)
	if err != nil {
		return err
	}
	if last.Info.Status != helmrelease.Status(r.Status) {
		return fmt.Errorf("revision %d was %s and is now %s: another client works on the release", r.Revision, r.Status, last.Info.Status)
	}
	last.SetStatus(helmrelease.StatusFailed, fmt.Sprintf("cut off while %s; continued by ztplan", r.Status))
	return cfg.Releases.Update(last)
}

func configuration(ctx context.Context, env *engine.Env, cluster *kubekit.Cluster, namespace string) (*action.Configuration, error) {
	g, err := newGetter(ctx, env, cluster, namespace)
	if err != nil {
		return nil, err
	}
	clientset, err := kubernetes.NewForConfig(g.config)
	if err != nil {
		return nil, err
	}
	logf := func(format string, args ...any) {
		env.Logf("helm: %s", strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
	kc := kube.New(g)
	kc.Namespace, kc.Log = namespace, logf
	return &action.Configuration{
		RESTClientGetter: g,
		KubeClient:       &client{Client: kc, ctx: ctx, env: env, cluster: cluster},
		Releases:         release.Store(clientset.CoreV1().Secrets(namespace)),
		Log:              logf,
		HookOutputFunc:   func(_, _, _ string) io.Writer { return io.Discard },
	}, nil
}
