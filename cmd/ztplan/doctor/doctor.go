// Package doctor makes the checks that come before a run, all at once, and prints their
// verdicts.
package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
)

// A Check is one of a plan, with the steps that it is for; none if it is for all.
type Check struct {
	engine.Check
	Steps []string
}

// A Result is the outcome of a check.
type Result struct {
	Check  string       `json:"check"`
	Level  engine.Level `json:"level"`
	Detail string       `json:"detail"`
	Next   string       `json:"next,omitempty"`
	Steps  []string     `json:"steps,omitempty"`
}

// A Report is the outcome of all checks, in their order.
type Report struct {
	Plan   string       `json:"plan"`
	Result engine.Level `json:"result"` // the worst
	Checks []Result     `json:"checks"`
}

// Run makes the checks at once, each for as long as limit. reached is the check of the
// target: those that ask the target are not made if it fails. Checks without anything to
// check are left out.
func Run(ctx context.Context, env *engine.Env, plan string, reached Check, checks []Check, limit time.Duration) Report {
	var (
		wg      engine.Group
		results = make([]Result, len(checks)+1)
		ready   = sync.OnceValue(func() Result { return reached.result(ctx, env, limit) })
	)
	wg.Go(func() { results[0] = ready() })
	for i, c := range checks {
		wg.Go(func() {
			if c.Target && ready().Level == engine.LevelFail {
				results[i+1] = Result{Check: c.Name, Level: engine.LevelWarn, Detail: "not checked: the cluster is not reached", Steps: c.Steps}
				return
			}
			results[i+1] = c.result(ctx, env, limit)
		})
	}
	wg.Wait()
	r := Report{Plan: plan, Result: engine.LevelOK}
	r.Checks = slices.DeleteFunc(results, func(one Result) bool { return one.Level == "" })
	for _, level := range []engine.Level{engine.LevelWarn, engine.LevelFail} {
		if r.count(level) > 0 {
			r.Result = level
		}
	}
	return r
}

func (c Check) result(ctx context.Context, env *engine.Env, limit time.Duration) Result {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %v", limit))
	defer cancel()
	own := *env
	if len(c.Steps) > 0 {
		own.Step = c.Steps[0]
	}
	var v engine.Verdict
	if err := engine.Try(func() error { v = c.Run(ctx, &own); return nil }); err != nil {
		v = engine.NotChecked(err)
	}
	return Result{Check: c.Name, Level: v.Level, Detail: display.OneLine(v.Detail), Next: v.Next, Steps: c.Steps}
}

// Redact replaces the texts of the report by those that hide returns.
func (r Report) Redact(hide func(string) string) {
	for i := range r.Checks {
		r.Checks[i].Detail, r.Checks[i].Next = hide(r.Checks[i].Detail), hide(r.Checks[i].Next)
	}
}

func (r Report) count(level engine.Level) int {
	n := 0
	for _, c := range r.Checks {
		if c.Level == level {
			n++
		}
	}
	return n
}

// Text prints a table for people.
func (r Report) Text(w io.Writer) error {
	width := 0
	for _, c := range r.Checks {
		width = max(width, len([]rune(c.Check)))
	}
	var b strings.Builder
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "%-4s  %-*s  %s\n", c.Level, width, c.Check, c.Detail)
		if c.Level == engine.LevelOK {
			continue
		}
		if len(c.Steps) > 0 {
			fmt.Fprintf(&b, "      for step %s\n", strings.Join(c.Steps, ", "))
		}
		if c.Next != "" {
			fmt.Fprintf(&b, "      next: %s\n", c.Next)
		}
	}
	fmt.Fprintf(&b, "%s: %d ok, %s, %s\n", r.Plan, r.count(engine.LevelOK),
		display.Count(r.count(engine.LevelWarn), "warning"), display.Count(r.count(engine.LevelFail), "failure"))
	_, err := io.WriteString(w, b.String())
	return err
}

// JSON prints the report for programs.
func (r Report) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }
