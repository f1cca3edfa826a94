package run_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
)

// telling is a step that differs and knows some of its outputs all the same.
func telling(out facts, edits ...engine.Edit) inspecting {
	found := differing(edits...)
	return func(ctx context.Context, env *engine.Env) (facts, []engine.Edit, error) {
		_, e, err := found(ctx, env)
		return out, e, err
	}
}

func failing(err error) inspecting {
	return func(context.Context, *engine.Env) (facts, []engine.Edit, error) { return facts{}, nil, err }
}

// user refers to the output name of another step.
func user(id, of string, in inspecting) run.Node {
	n := node(id, []string{of}, in)
	n.Refs = []string{of}
	n.Known = func(_ string, outputs any) bool { return outputs.(facts).Name != "" }
	n.Literal = func() any { return map[string]any{"name": "(known after " + of + ")"} }
	spec := n.Spec
	n.Spec = func(o run.Outputs) (any, error) {
		if _, ok := o(of); !ok {
			return nil, engine.Permanent(errors.New(of + " has no outputs"))
		}
		return spec(o)
	}
	return n
}

// dry returns the end of each step, "id state", with "blocked by ids" if its
// last event names any.
func dry(t *testing.T, nodes ...run.Node) ([]string, engine.Summary, *recorder) {
	t.Helper()
	var rec recorder
	res, err := run.Run(t.Context(), nodes, run.Options{Mode: run.DryRun, Sink: rec.sink})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range res.Steps {
		line := s.ID + " " + string(s.State)
		for _, e := range rec.events {
			if e.Step == s.ID && string(e.Action) == string(s.State) && len(e.Needs) > 0 {
				line += " blocked by " + strings.Join(e.Needs, " ")
			}
		}
		out = append(out, line)
	}
	return out, res.Summary, &rec
}

var (
	editA = engine.Edit{Path: "a", Have: 1, Want: 2}
	editB = engine.Edit{Path: "b", Have: 1, Want: 2}
)

func TestLooksBehindADifference(t *testing.T) {
	permanent := engine.WithHint(engine.Permanent(errors.New("no such mount")), "mount it")
	whenIs := func(n run.Node, yes bool) run.Node {
		n.When = func(run.Outputs) (bool, error) { return yes, nil }
		return n
	}
	skipped := func(n run.Node) run.Node { n.Skip = "--skip"; return n }
	needing := func(n run.Node, needs ...string) run.Node { n.Needs = needs; return n }
	differs := node("a", nil, differing(editA))
	for _, tc := range []struct {
		name  string
		nodes []run.Node
		want  []string
	}{
		{"nothing differs", []run.Node{node("a", nil, same), node("b", []string{"a"}, same)},
			[]string{"a unchanged", "b unchanged"}},
		{"drift blocked by drift", []run.Node{differs, node("b", []string{"a"}, differing(editB))},
			[]string{"a pending", "b pending blocked by a"}},
		{"what is blocked by hands it on", []run.Node{differs, node("b", []string{"a"}, same), node("c", []string{"b"}, differing(editB))},
			[]string{"a pending", "b unchanged blocked by a", "c pending blocked by b"}},
		{"the look fails", []run.Node{differs, node("b", []string{"a"}, failing(errors.New("refused")))},
			[]string{"a pending", "b after blocked by a"}},
		{"it fails for good, as far as it knows", []run.Node{differs, node("b", []string{"a"}, failing(permanent))},
			[]string{"a pending", "b after blocked by a"}},
		{"order after what is known later", []run.Node{differs, node("b", []string{"a"}, failing(permanent)), node("c", []string{"b"}, differing(editB))},
			[]string{"a pending", "b after blocked by a", "c pending blocked by b"}},
		{"an output is not known", []run.Node{differs, user("b", "a", differing(editB))},
			[]string{"a pending", "b after blocked by a"}},
		{"an output is known", []run.Node{node("a", nil, telling(facts{Name: "pki"}, editA)), user("b", "a", differing(editB))},
			[]string{"a pending", "b pending blocked by a"}},
		{"outputs of what is known later", []run.Node{differs, node("b", []string{"a"}, failing(permanent)), user("c", "b", same)},
			[]string{"a pending", "b after blocked by a", "c after blocked by b"}},
		{"an output of what is blocked by", []run.Node{differs, node("b", []string{"a"}, same), user("c", "b", same)},
			[]string{"a pending", "b unchanged blocked by a", "c unchanged blocked by b"}},
		{"outputs of a settled step may be empty", []run.Node{node("a", nil, telling(facts{})), user("b", "a", same)},
			[]string{"a unchanged", "b unchanged"}},
		{"only others can remove it", []run.Node{node("a", nil, differing(engine.Edit{Path: "pods", Have: "0 of 1", Note: "wait"})), node("b", []string{"a"}, same)},
			[]string{"a pending", "b unchanged blocked by a"}},
		{"when is true", []run.Node{differs, whenIs(node("b", []string{"a"}, differing(editB)), true)},
			[]string{"a pending", "b pending blocked by a"}},
		{"when is false for now", []run.Node{differs, whenIs(node("b", []string{"a"}, same), false), user("c", "b", same)},
			[]string{"a pending", "b after blocked by a", "c after blocked by b"}},
		{"when is false for good", []run.Node{node("a", nil, same), whenIs(node("b", []string{"a"}, same), false)},
			[]string{"a unchanged", "b skipped"}},
		{"a skipped step hands it on", []run.Node{differs, skipped(node("b", []string{"a"}, same)), node("c", []string{"b"}, failing(permanent))},
			[]string{"a pending", "b skipped", "c after blocked by a"}},
		{"so does a proof", []run.Node{differs, needing(proving("p", nil), "a"), node("c", []string{"p"}, failing(permanent))},
			[]string{"a pending", "p would", "c after blocked by a"}},
		{"what a proof finds is known later", []run.Node{proving("p", nil), user("c", "p", same)},
			[]string{"p would", "c after blocked by p"}},
		{"a skipped step is used", []run.Node{differs, skipped(node("b", []string{"a"}, same)), user("c", "b", same)},
			[]string{"a pending", "b skipped", "c skipped"}},
		{"a defect", []run.Node{differs, node("b", []string{"a"}, func(context.Context, *engine.Env) (facts, []engine.Edit, error) { panic("boom") })},
			[]string{"a pending", "b after blocked by a"}},
		{"two reasons", []run.Node{differs, node("b", nil, differing(editB)), node("c", []string{"a", "b"}, same)},
			[]string{"a pending", "b pending", "c unchanged blocked by a b"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, _, _ := dry(t, tc.nodes...)
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// A mistake in the plan itself does not depend on the steps before.
func TestPlanErrorsBehind(t *testing.T) {
	wrong := engine.InPlan(errors.New("unknown field spec.replica"))
	var rec recorder
	res, err := run.Run(t.Context(), []run.Node{node("a", nil, differing(editA)), node("b", []string{"a"}, failing(wrong)), node("c", []string{"b"}, same)},
		run.Options{Mode: run.DryRun, Sink: rec.sink})
	if !errors.Is(err, engine.ErrPlan) {
		t.Errorf("error is %v", err)
	}
	if got := []run.State{res.Steps[0].State, res.Steps[1].State, res.Steps[2].State}; !slices.Equal(got, []run.State{run.Pending, run.Failed, run.Skipped}) {
		t.Errorf("states are %v", got)
	}
	if res.Summary.Digest != "" {
		t.Error("there is a digest of what could not be looked at")
	}
}

// One look, without retries or pauses, and its error is detail.
func TestLooksBehindOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks, began := 0, time.Now()
		b := node("b", []string{"a"}, func(_ context.Context, env *engine.Env) (facts, []engine.Edit, error) {
			looks++
			env.Warnf("sealed")
			env.Record("chart", map[string]any{"name": "x"})
			return facts{}, nil, errors.New("503 for now")
		})
		_, sum, rec := dry(t, node("a", nil, differing(editA)), b)
		if looks != 1 || time.Since(began) != 0 || sum.Retries != 0 || sum.Failed != 0 {
			t.Errorf("%d looks in %s; %+v", looks, time.Since(began), sum)
		}
		log := strings.Join(rec.log(), "\n")
		if strings.Contains(log, "warn b") || strings.Contains(log, "evidence b") || strings.Contains(log, "retry b") {
			t.Errorf("more than detail is said:\n%s", log)
		}
		if e, ok := rec.find(engine.ActionLog); !ok || e.Message != "sealed" {
			t.Errorf("log: %+v", e)
		}
		if !strings.Contains(fmt.Sprintf("%+v", rec.events), "cannot be told yet: 503 for now") {
			t.Error("the reason is lost")
		}
	})
}

func TestWarningsOfALookBehindAreKept(t *testing.T) {
	b := node("b", []string{"a"}, func(_ context.Context, env *engine.Env) (facts, []engine.Edit, error) {
		env.Warnf("another root")
		env.Record("chart", map[string]any{"name": "x"})
		return facts{}, nil, nil
	})
	_, _, rec := dry(t, node("a", nil, differing(editA)), b)
	if e, ok := rec.find(engine.ActionWarn); !ok || e.Message != "another root" {
		t.Errorf("warn: %+v", e)
	}
	if e, ok := rec.find(engine.ActionEvidence); !ok || e.Name != "chart" {
		t.Errorf("evidence: %+v", e)
	}
}

// A server that does not answer, because of a difference, does not hold up the
// dry run for the step's whole timeout; an interrupt is one as everywhere.
func TestLookBehindThatHangs(t *testing.T) {
	hangs := node("b", []string{"a"}, func(ctx context.Context, _ *engine.Env) (facts, []engine.Edit, error) {
		<-ctx.Done()
		return facts{}, nil, context.Cause(ctx)
	})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		got, _, _ := dry(t, node("a", nil, differing(editA)), hangs)
		if took := time.Since(began); got[1] != "b after blocked by a" || took != 15*time.Second {
			t.Errorf("%v after %s", got, took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		res, err := run.Run(ctx, []run.Node{node("a", nil, differing(editA)), hangs}, run.Options{Mode: run.DryRun})
		if err == nil || !res.Interrupted || res.Summary.Digest != "" {
			t.Errorf("err %v, interrupted %v, digest %q", err, res.Interrupted, res.Summary.Digest)
		}
	})
}

// A run that writes has no blocked looks: it settles each step before the next.
func TestARunThatWritesIsNeverBlocked(t *testing.T) {
	var rec recorder
	a := node("a", nil, differing(engine.Edit{Path: "pods", Note: "wait"}))
	a.Policy.Timeout = time.Millisecond
	res, err := run.Run(t.Context(), []run.Node{a, node("b", []string{"a"}, same)}, run.Options{Sink: rec.sink})
	if err == nil || res.Steps[1].State != run.Skipped {
		t.Errorf("err %v, b %s", err, res.Steps[1].State)
	}
}

// Whether a blocked step can be looked at depends on the moment. The
// digest does not: it takes the step's inputs either way.
func TestDigestDoesNotFlap(t *testing.T) {
	a := node("a", nil, telling(facts{Name: "pki"}, editA))
	chain := func(b, c inspecting) []run.Node { return []run.Node{a, user("b", "a", b), node("c", []string{"b"}, c)} }
	refused := failing(errors.New("connection refused"))
	base := digestOf(t, chain(differing(editB), same)...)
	if len(base.Digests) != 3 || len(base.Seen) != 2 {
		t.Errorf("%+v", base)
	}
	for _, tc := range []struct {
		name  string
		nodes []run.Node
		seen  string // which steps were seen, and whether with the same edits
	}{
		{"again", chain(differing(editB), same), "b same, c same"},
		{"b cannot be looked at", chain(refused, same), "c same"},
		{"c cannot be looked at", chain(differing(editB), refused), "b same"},
		{"nothing can be looked at", chain(refused, refused), ""},
		{"nothing differs any more", chain(same, same), "b other, c same"},
		{"they differ in another way", chain(same, differing(editB)), "b other, c other"},
		{"a name is not known", []run.Node{node("a", nil, differing(editA)), user("b", "a", same), node("c", []string{"b"}, same)}, "c same"},
	} {
		got := digestOf(t, tc.nodes...)
		if got.Digest != base.Digest || !cmp.Equal(got.Digests, base.Digests) {
			t.Errorf("%s: %s, want %s", tc.name, got.Digest, base.Digest)
		}
		var seen []string
		for _, id := range slices.Sorted(maps.Keys(got.Seen)) {
			how := " other"
			if got.Seen[id] == base.Seen[id] {
				how = " same"
			}
			seen = append(seen, id+how)
		}
		if strings.Join(seen, ", ") != tc.seen {
			t.Errorf("%s: seen %q, want %q", tc.name, seen, tc.seen)
		}
	}
	settled := digestOf(t, a, node("b", nil, differing(editB)), node("c", nil, same))
	if settled.Digest == base.Digest || len(settled.Seen) != 0 {
		t.Errorf("without anything before them: %+v", settled)
	}
}

// Nor does it depend on the secrets that a blocked look could learn.
func TestDigestDoesNotFlapWithSecrets(t *testing.T) {
	const canary = "hvs.CANARY-0123456789"
	knows := func(_ context.Context, env *engine.Env) (facts, []engine.Edit, error) {
		env.Conceal(engine.NewSecret(canary))
		return facts{Token: engine.NewSecret(canary)}, nil, nil
	}
	a := node("a", nil, differing(engine.Edit{Path: "a", Have: "token " + canary}))
	with := digestOf(t, a, node("b", []string{"a"}, knows))
	without := digestOf(t, a, node("b", []string{"a"}, failing(errors.New("connection refused"))))
	if with.Digest != without.Digest {
		t.Errorf("digests %s and %s", with.Digest, without.Digest)
	}
}
