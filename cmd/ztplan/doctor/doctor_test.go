package doctor_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/cmd/ztplan/doctor"
	"github.com/ztplan/ztplan/engine"
)

func check(name string, target bool, run func(context.Context) engine.Verdict, steps ...string) doctor.Check {
	return doctor.Check{Steps: steps, Check: engine.Check{Name: name, Target: target, Run: func(ctx context.Context, _ *engine.Env) engine.Verdict { return run(ctx) }}}
}

func says(level engine.Level, detail string) func(context.Context) engine.Verdict {
	return func(context.Context) engine.Verdict {
		return engine.Verdict{Level: level, Detail: detail, Next: "do it"}
	}
}

func hangs(ctx context.Context) engine.Verdict {
	<-ctx.Done()
	return engine.NotChecked(context.Cause(ctx))
}

// All checks are made at once, none for longer than the limit, and those that ask a
// cluster which does not answer are not made.
func TestRun(t *testing.T) {
	checks := []doctor.Check{
		check("a", true, says(engine.LevelOK, "fine")),
		check("b", false, hangs, "one", "two"),
		check("c", false, hangs),
		check("d", false, func(context.Context) engine.Verdict { panic("oops") }),
		check("e", true, func(context.Context) engine.Verdict { return engine.Verdict{} }),
	}
	for name, c := range map[string]struct {
		reached func(context.Context) engine.Verdict
		want    string
	}{
		"reached": {says(engine.LevelOK, "v1"), `
ok    cluster  v1
ok    a        fine
warn  b        not checked: no answer within 20s
      for step one, two
warn  c        not checked: no answer within 20s
warn  d        not checked: `},
		"not reached": {says(engine.LevelFail, "refused"), `
fail  cluster  refused
      next: do it
warn  a        not checked: the cluster is not reached
warn  b        not checked: no answer within 20s
      for step one, two
warn  c        not checked: no answer within 20s
warn  d        not checked: `},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				r := doctor.Run(t.Context(), new(engine.Env), "p", check("cluster", true, c.reached), checks, 20*time.Second)
				if took := time.Since(began); took != 20*time.Second {
					t.Errorf("it took %v", took)
				}
				var b strings.Builder
				if err := r.Text(&b); err != nil {
					t.Fatal(err)
				}
				got, _, _ := strings.Cut("\n"+b.String(), "d        not checked: ")
				if d := cmp.Diff(c.want, got+"d        not checked: "); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
			})
		})
	}
}
