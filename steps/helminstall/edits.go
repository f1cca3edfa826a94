package helminstall

import (
	"context"
	"fmt"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// lastResort is the time limit of an operation whose step has none.
const lastResort = time.Hour

// edits lists the differences in the order in which they are to be removed.
func (w *installation) edits(ctx context.Context, env *engine.Env) ([]engine.Edit, error) {
	before, err := w.beforeRelease()
	if err != nil || len(before) == 1 && before[0].Apply == nil {
		return before, err
	}
	if w.release != nil {
		if until, busy := w.release.Busy(env); busy {
			return append(before, w.busy(env, until)), nil
		}
	}
	helmkit.Conceal(env, w.chart, w.values)
	d, err := helmkit.Compare(w.release, w.chart, w.values)
	if err != nil {
		return nil, err
	}
	if d != nil {
		if err := helmkit.Check(ctx, w.cluster, w.chart, w.values); err != nil {
			return nil, err
		}
		e, err := w.operate(ctx, env, d)
		if err != nil {
			return nil, err
		}
		return append(before, e), nil
	}
	w.agrees = true
	state, err := w.release.Look(ctx, env, w.cluster)
	if err != nil {
		return nil, err
	}
	if err := env.Claim(state.Claims()); err != nil {
		return nil, err
	}
	edits := append(before, state.Missing()...)
	changed, err := state.Changed(ctx, env)
	if err != nil {
		return nil, err
	}
	edits = append(edits, changed...)
	outdated, err := w.outdated(ctx, env, state, len(edits) == 0)
	if err != nil {
		return nil, err
	}
	edits = append(edits, outdated...)
	if !w.spec.Wait {
		return edits, nil
	}
	waits, err := state.NotReady(ctx)
	return append(edits, waits...), err
}

// beforeRelease lists the needs of the release: the namespace and the CRDs. A
// namespace that can only be waited for comes alone.
func (w *installation) beforeRelease() ([]engine.Edit, error) {
	var edits []engine.Edit
	for _, e := range w.namespace {
		if e.Apply == nil {
			return []engine.Edit{e}, nil
		}
		if !w.spec.CreateNamespace {
			return nil, engine.WithHint(engine.Permanent(fmt.Errorf("namespace %s does not exist", w.spec.Namespace)),
				"set createNamespace: true, or create it in an earlier step")
		}
		edits = append(edits, e)
	}
	if len(w.missing) > 0 {
		edits = append(edits, engine.Edit{
			Path:  "crds",
			Want:  helmkit.NamesOf(w.missing),
			Note:  "from the chart's crds folder",
			Apply: func(ctx context.Context) error { return helmkit.CreateCRDs(ctx, w.cluster, w.missing) },
		})
	}
	return edits, nil
}

func (w *installation) path() string { return releasePath(w.spec.Namespace, w.name) }

// operate is the edit that installs or upgrades, with the changes of objects.
func (w *installation) operate(ctx context.Context, env *engine.Env, d *helmkit.Difference) (engine.Edit, error) {
	until := time.Now().Add(lastResort)
	if deadline, ok := ctx.Deadline(); ok {
		until = deadline
	}
	op := &helmkit.Operation{
		Chart:         w.chart,
		Values:        w.values,
		Name:          w.name,
		Namespace:     w.spec.Namespace,
		Previous:      w.release,
		MaxHistory:    w.spec.MaxHistory,
		TakeOwnership: w.spec.TakeOwnership,
		Restarts:      w.spec.OnDelete == onDeleteRestart,
		CRDs:          w.crds,
		Until:         until,
	}
	if err := op.Preview(ctx, env, w.cluster, d); err != nil {
		return engine.Edit{}, err
	}
	e := engine.Edit{
		Path:  w.path(),
		Want:  d.Want,
		Note:  d.Note,
		Parts: d.Parts(),
		Apply: func(ctx context.Context) error { return op.Apply(ctx, env, w.cluster) },
	}
	if d.Have != nil {
		e.Have = d.Have
	}
	return e, nil
}

// busy returns the edit that waits for the end of another operation.
func (w *installation) busy(env *engine.Env, until time.Time) engine.Edit {
	r := w.release
	return engine.Edit{
		Path: w.path(),
		Have: fmt.Sprintf("%s: another operation is at work, or was cut off", r.Status),
		Want: "deployed",
		Note: fmt.Sprintf("taken over when its owner is gone, at the latest at %s", until.Format(time.TimeOnly)),
		Await: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, min(until.Sub(env.Now()), ownerCheck))
			defer cancel()
			return w.cluster.AwaitChange(ctx, []kubekit.Watch{r.Watch()}...)
		},
	}
}

// ownerCheck is how often the step looks whether the owner of a pending
// release is still alive: the death of a process cannot be watched.
const ownerCheck = 5 * time.Second
