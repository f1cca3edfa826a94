package run

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/redact"
)

// A Review holds the findings of a dry run, step by step, to compare a run with that
// follows it in the same process. Unlike a digest it is not meant to be kept: it
// does not depend on which secrets are known at the moment.
type Review struct {
	steps map[string]reviewed
}

type reviewed struct {
	edits     map[string]string // line in the form of a digest, by path
	blockedBy []string          // steps whose edits may change this one's findings
}

// review returns the findings of a dry run.
func (r *runner) review() *Review {
	out := &Review{steps: make(map[string]reviewed, len(r.nodes))}
	for i := range r.nodes {
		f := &r.found[i]
		out.steps[r.nodes[i].ID] = reviewed{edits: linesByPath(f.edits), blockedBy: f.blockedBy}
	}
	return out
}

// allows returns nil if the edits that a step is about to begin with are among
// those that the review saw. Fewer are no reason to refuse: another step may
// have made one, such as a directory that both need.
//
// Of a blocked step the review could not know every edit. One that it did
// see must still be the same, from the same state; others are allowed, because
// the steps before may be the reason.
func (v *Review) allows(id string, edits []engine.Edit) error {
	if v == nil {
		return nil
	}
	was := v.steps[id]
	var other []string
	now := linesByPath(edits)
	for _, path := range slices.Sorted(maps.Keys(now)) {
		line, seen := was.edits[path]
		switch {
		case seen && line != now[path]:
			other = append(other, path+" (seen otherwise)")
		case !seen && len(was.blockedBy) == 0:
			other = append(other, path+" (not seen)")
		}
	}
	if len(other) == 0 {
		return nil
	}
	return engine.WithHint(
		engine.Permanent(fmt.Errorf("%w: %s; the step wrote nothing", errReviewed, join(other))),
		"something changed after the review: look at the edits again with --dry-run, then give its digest to --expect")
}

var errReviewed = errors.New("its edits are no longer those that were reviewed")

// linesByPath returns the edits that can be applied. Several at one path are
// taken together.
func linesByPath(edits []engine.Edit) map[string]string {
	out := make(map[string]string, len(edits))
	for _, e := range edits {
		if e.Apply != nil {
			plain := new(redact.Redactor) // secrets are marked, and nothing else
			out[e.Path] += string(lineOf(digestEntry{Have: plain.Value(e.Have), Want: plain.Value(marked(e.Have, e.Want))})) + "\n"
		}
	}
	return out
}
