package applymanifest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certmanager"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// settleTime is how long changes of an object are watched before the step looks
// at all its objects again.
const settleTime = time.Second

// readiness returns an edit for everything that the step waits for and that is
// not there yet. Objects with differences are left out: applying them comes
// first. An object with a named condition that does not hold is waited for by
// that condition alone.
func (r *run) readiness(ctx context.Context, settled []*object) ([]engine.Edit, error) {
	var named []engine.Edit
	var errs []error
	unmet := make(map[kubekit.Ref]bool)
	for _, c := range r.spec.Wait.Conditions {
		ref, edit, met, err := r.condition(ctx, c, settled)
		if err != nil {
			errs = append(errs, err)
		} else if !met {
			named = append(named, edit)
			unmet[ref] = true
		}
	}
	var edits []engine.Edit
	for _, o := range settled {
		if r.spec.Wait.For == waitNone || unmet[o.ref] {
			continue
		}
		st, err := r.cluster.Judge(ctx, o.live)
		if err != nil {
			errs = append(errs, r.explain(o, err))
		} else if err := r.hopeless(ctx, o, st.Result); err != nil {
			errs = append(errs, err)
		} else if !st.Done {
			have, await := r.awaited(ctx, st, st.Message, func(ctx context.Context) error { return r.settled(ctx, st) })
			edits = append(edits, engine.Edit{Path: r.path(o) + "/ready", Have: have, Want: "ready", Hint: st.Hint, Await: await})
		}
	}
	return append(edits, named...), errors.Join(errs...)
}

// awaited returns the message about an object that is waited for, and the function that
// waits: said and await, for a Certificate and for an issuer with the next attempt of
// cert-manager.
func (r *run) awaited(ctx context.Context, st kubekit.Status, said string, await func(context.Context) error) (string, func(context.Context) error) {
	if st.Object == nil {
		return said, await
	}
	i, ok := certmanager.Describe(ctx, r.env, r.cluster, st.Object, said)
	if !ok {
		return said, await
	}
	return i.Text, func(ctx context.Context) error { return r.issued(ctx, st.Watch, i) }
}

// settled returns when the object is ready or will not get ready, or when its
// message has changed and settleTime is over: a Deployment changes a
// dozen times in the second in which it starts, and not every time is worth a
// look at all objects.
func (r *run) settled(ctx context.Context, known kubekit.Status) error {
	limit := time.Now().Add(settleTime)
	for st := known; ; {
		var end time.Time
		if st.Message != known.Message {
			end = limit
		}
		err := r.changed(ctx, st.Watch, end)
		if err != nil || !end.IsZero() && !time.Now().Before(end) {
			return err
		}
		statuses, err := r.cluster.Status(ctx, st.Ref)
		if err != nil {
			return err
		}
		if st = statuses[0]; st.Done || st.Failed || st.Object == nil {
			return nil
		}
		r.env.Statusf("%s: %s", st.Ref, st.Message)
	}
}

// changed awaits a change, only until limit if that is not zero.
func (r *run) changed(ctx context.Context, watches []kubekit.Watch, limit time.Time) error {
	wait, cancel := ctx, context.CancelFunc(func() {})
	if !limit.IsZero() {
		wait, cancel = context.WithDeadline(ctx, limit)
	}
	defer cancel()
	err := r.cluster.AwaitChange(wait, watches...)
	if wait.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// hopeless returns a permanent error if waiting for the object is of no use.
func (r *run) hopeless(ctx context.Context, o *object, st kubestatus.Result) error {
	if st.Done {
		return nil
	}
	if st.Failed {
		return engine.Permanent(engine.WithHint(fmt.Errorf("%s (%s): %s", o.ref, o.source, st.Message),
			cmp.Or(st.Hint, "its controller has given up: see kubectl describe, remove the cause, and run again")))
	}
	return r.failedIssuance(ctx, o)
}

// condition looks at one named condition. An object of this step that is still
// to be applied counts as met: its own edit comes first.
func (r *run) condition(ctx context.Context, c Condition, settled []*object) (ref kubekit.Ref, wait engine.Edit, met bool, err error) {
	o, ref := r.subject(c)
	if o != nil && !slices.Contains(settled, o) {
		return ref, engine.Edit{}, true, nil
	}
	status, err := r.conditionStatus(ctx, o, ref)
	if err != nil {
		return ref, engine.Edit{}, false, err
	}
	have, met := judge(status, c)
	if met {
		return ref, engine.Edit{}, true, nil
	}
	if o != nil {
		if err := r.failedIssuance(ctx, o); err != nil {
			return ref, engine.Edit{}, false, err
		}
	}
	have, await := r.awaited(ctx, status, have, func(ctx context.Context) error { return r.cluster.AwaitChange(ctx, status.Watch...) })
	return ref, engine.Edit{Path: fmt.Sprintf("%s/conditions/%s", ref, c.Type), Have: have, Want: c.want(), Hint: status.Hint, Await: await}, false, nil
}

// judge returns the condition as text and whether it satisfies c.
func judge(status kubekit.Status, c Condition) (have string, met bool) {
	if status.Object == nil {
		return status.Message, false
	}
	is, ok := kubestatus.Condition(status.Object, c.Type)
	switch {
	case !ok:
		return "no such condition yet", false
	case is.ObservedGeneration != 0 && is.ObservedGeneration < status.Object.GetGeneration():
		return "not judged since the last change", false
	}
	return describe(is), string(is.Status) == c.want()
}

func describe(c metav1.Condition) string {
	text := string(c.Status)
	if c.Reason != "" {
		text += ", " + c.Reason
	}
	if c.Message != "" {
		text += ": " + c.Message
	}
	return text
}

// subject returns the object that a condition is about: one of the step's, or
// nil and its name.
func (r *run) subject(c Condition) (*object, kubekit.Ref) {
	for _, o := range r.objects {
		if c.concerns(o.ref) {
			return o, o.ref
		}
	}
	ref := kubekit.Ref{APIVersion: c.APIVersion, Kind: c.Kind, Namespace: c.Namespace, Name: c.Name}
	namespaced := !strings.HasPrefix(c.Kind, "Cluster")
	gvk := ref.GVK()
	if m, err := r.cluster.Mapper().RESTMapping(gvk.GroupKind(), gvk.Version); err == nil {
		namespaced = m.Scope.Name() == meta.RESTScopeNameNamespace
	}
	switch {
	case !namespaced:
		ref.Namespace = ""
	case ref.Namespace == "":
		ref.Namespace = r.namespace()
	}
	return nil, ref
}

func (r *run) conditionStatus(ctx context.Context, o *object, ref kubekit.Ref) (kubekit.Status, error) {
	if o != nil {
		return r.cluster.Judge(ctx, o.live)
	}
	statuses, err := r.cluster.Status(ctx, ref)
	if err != nil {
		return kubekit.Status{}, err
	}
	return statuses[0], nil
}
