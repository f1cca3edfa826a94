package run_test

import (
	"context"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
)

// A change between the review and the first edit of a step is refused; things that
// others did for the step, and edits that could not be known, are not.
func TestReview(t *testing.T) {
	type edits = []engine.Edit
	edit := func(path string, have, want any) engine.Edit { return engine.Edit{Path: path, Have: have, Want: want} }
	for name, tc := range map[string]struct {
		review, now edits
		blockedBy   bool // another step that differs
		want        string
	}{
		"the same":                            {edits{edit("p", 1, 2)}, edits{edit("p", 1, 2)}, false, ""},
		"fewer":                               {edits{edit("n", nil, 1), edit("p", 1, 2)}, edits{edit("p", 1, 2)}, false, ""},
		"another content":                     {edits{edit("p", 1, 2)}, edits{edit("p", 1, 3)}, false, "p (seen otherwise)"},
		"another world":                       {edits{edit("p", 1, 2)}, edits{edit("p", 0, 2)}, false, "p (seen otherwise)"},
		"another object":                      {edits{edit("p", 1, 2)}, edits{edit("p", 1, 2), edit("q", nil, 1)}, false, "q (not seen)"},
		"nothing was to do":                   {nil, edits{edit("q", nil, 1)}, false, "q (not seen)"},
		"a secret made anew":                  {edits{edit("s", engine.NewSecret("old-one"), engine.NewSecret("new-one"))}, edits{edit("s", engine.NewSecret("old-one"), engine.NewSecret("new-two"))}, false, ""},
		"blocked by, the same":                {edits{edit("p", 1, 2)}, edits{edit("p", 1, 2)}, true, ""},
		"blocked by, what could not be known": {edits{edit("p", 1, 2)}, edits{edit("p", 1, 2), edit("q", nil, 1)}, true, ""},
		"blocked by, another world":           {edits{edit("p", 1, 2)}, edits{edit("p", 0, 2)}, true, "p (seen otherwise)"},
		"blocked by, another content":         {edits{edit("p", 1, 2)}, edits{edit("p", 1, 3)}, true, "p (seen otherwise)"},
	} {
		t.Run(name, func(t *testing.T) {
			found, wrote := tc.review, 0
			b := func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
				out := make(edits, len(found))
				for i, e := range found {
					e.Apply = func(context.Context) error { wrote++; found = nil; return nil }
					out[i] = e
				}
				return facts{}, out, nil
			}
			nodes := []run.Node{node("b", nil, b)}
			if tc.blockedBy {
				done := false
				a := func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
					if done {
						return facts{}, nil, nil
					}
					return facts{}, edits{{Path: "a", Apply: func(context.Context) error {
						done = true
						found = tc.now // while the run is at another step
						return nil
					}}}, nil
				}
				nodes = []run.Node{node("a", nil, a), node("b", []string{"a"}, b)}
			}
			dry, err := run.Run(t.Context(), nodes, run.Options{Mode: run.DryRun})
			if err != nil || dry.Review == nil {
				t.Fatalf("review %v: %v", dry.Review, err)
			}
			if !tc.blockedBy {
				found = tc.now
			}
			_, err = run.Run(t.Context(), nodes, run.Options{Review: dry.Review})
			if tc.want == "" {
				if err != nil || wrote == 0 {
					t.Errorf("%d edits: %v", wrote, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), "no longer those that were reviewed: ") || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want %q", err, tc.want)
			}
			if wrote > 0 {
				t.Errorf("%d edits were made", wrote)
			}
		})
	}
}
