package run_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
)

// An edit that was made and is wanted again as it was is not made again, and the
// error names the fields.
func TestAnEditThatDoesNotHelpIsMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		writes := 0
		n := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			return facts{}, []engine.Edit{{
				Path: "Deployment/web/app",
				Have: map[string]any{"spec/env[0]/value": "a"}, Want: map[string]any{"spec/env[0]/value": "b"},
				Apply: func(context.Context) error { writes++; return nil },
			}}, nil
		})
		_, err := run.Run(t.Context(), []run.Node{n}, run.Options{})
		if err == nil || !strings.Contains(err.Error(), "Deployment/web/app: still differs after the change was made: spec/env[0]/value") || engine.HintOf(err) == "" {
			t.Errorf("err = %v, hint %q", err, engine.HintOf(err))
		}
		if writes != 1 {
			t.Errorf("written %d times, want once", writes)
		}
	})
}

// A change that is only seen late is waited for, and one that differs in another way than
// before is written again, beside an edit that is not.
func TestAnEditThatIsSeenLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		writes := map[string]int{}
		var first time.Time
		edit := func(path string, have any) engine.Edit {
			return engine.Edit{Path: path, Have: have, Want: "on", Apply: func(context.Context) error { writes[path]++; return nil }}
		}
		n := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			if writes["late"] == 1 && first.IsZero() {
				first = time.Now()
			}
			var edits []engine.Edit
			if first.IsZero() || time.Since(first) < 2*time.Second {
				edits = append(edits, edit("late", "off"))
			}
			if n := writes["steps"]; n < 3 {
				edits = append(edits, edit("steps", n))
			}
			return facts{}, edits, nil
		})
		n.Policy = engine.Policy{Timeout: time.Hour, Attempts: 10, Delay: time.Second, Backoff: 1}
		if _, err := run.Run(t.Context(), []run.Node{n}, run.Options{}); err != nil {
			t.Fatal(err)
		}
		if writes["late"] != 1 || writes["steps"] != 3 {
			t.Errorf("written %v", writes)
		}
	})
}

// A confirmed edit that is undone before the next look is made again, and the error of one
// that is undone each time names the state, not a change that did not help.
func TestAConfirmedEditThatIsUndone(t *testing.T) {
	for _, tt := range []struct {
		undone, writes int
		err            string
	}{
		{undone: 1, writes: 2},
		{undone: 2, writes: 3},
		{undone: 3, writes: 3, err: "sys/seal was made unsealed 3 times, and is sealed again"},
	} {
		synctest.Test(t, func(t *testing.T) {
			writes := 0
			n := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
				if writes > tt.undone {
					return facts{}, nil, nil
				}
				return facts{}, []engine.Edit{{
					Path: "sys/seal", Have: "sealed", Want: "unsealed", Confirmed: true,
					Apply: func(context.Context) error { writes++; return nil },
				}}, nil
			})
			_, err := run.Run(t.Context(), []run.Node{n}, run.Options{})
			if writes != tt.writes || (err == nil) != (tt.err == "") {
				t.Errorf("undone %d times: written %d times, err %v", tt.undone, writes, err)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.err) || !strings.Contains(engine.HintOf(err), "restarts")) {
				t.Errorf("err = %v, hint %q", err, engine.HintOf(err))
			}
		})
	}
}

// An edit whose difference was gone in between is made again.
func TestAnEditThatHelpedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		writes, looks := 0, 0
		n := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			switch looks++; {
			case looks == 2: // the same step waits for something else
				return facts{}, []engine.Edit{{Path: "ready", Have: "not yet", Want: "ready"}}, nil
			case writes == 2:
				return facts{}, nil, nil
			}
			return facts{}, []engine.Edit{{Path: "sealed", Have: true, Want: false, Apply: func(context.Context) error { writes++; return nil }}}, nil
		})
		if _, err := run.Run(t.Context(), []run.Node{n}, run.Options{}); err != nil || writes != 2 {
			t.Errorf("written %d times, err %v", writes, err)
		}
	})
}
