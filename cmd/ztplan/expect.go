package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// A review is the file of --expect: the edits that were looked at before.
type review struct {
	digest string
	steps  map[string]string // digests of single steps; nil if only the digest is known
	seen   map[string]string // of edits seen in steps behind others; see [engine.Summary]
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// readReview reads the argument of --expect: a digest, or a file with the JSON
// lines of a dry run.
func readReview(arg string) (review, error) {
	if digestForm.MatchString(arg) {
		return review{digest: arg}, nil
	}
	invalid := func(format string, args ...any) (review, error) {
		return review{}, &cli.Error{Code: cli.Invalid, Text: "--expect " + arg + ": " + fmt.Sprintf(format, args...),
			Hint: "give the digest that ends a dry run, sha256:…, or a file with what --dry-run --output json printed"}
	}
	data, err := engine.ReadFile(arg, verify.MaxInput)
	if errors.Is(err, fs.ErrNotExist) {
		return invalid("neither a digest nor a file")
	}
	if err != nil {
		return invalid("%v", err)
	}
	var last engine.Event
	for dec := json.NewDecoder(bytes.NewReader(data)); ; {
		var e engine.Event
		if err := dec.Decode(&e); err == io.EOF {
			break
		} else if err != nil {
			return invalid("not the events of a run: %v", err)
		}
		last = e
	}
	if last.Action != engine.ActionEnd || last.Summary == nil || !digestForm.MatchString(last.Summary.Digest) {
		return invalid("its last event has no digest: a dry run that could not look at every step has none")
	}
	return review{digest: last.Summary.Digest, steps: last.Summary.Digests, seen: last.Summary.Seen}, nil
}

// expected looks at the whole plan and refuses to go on if the differences are not
// the reviewed ones. It writes nothing. Each step of the run is compared with the
// returned review before its first edit: until then the world may change.
func (a *app) expected(ctx context.Context, file string, want review, nodes []run.Node, opts run.Options) (*run.Review, error) {
	// With a session of its own: memories and warnings of steps are about the time
	// before any write.
	opts.Mode, opts.Sink, opts.Env.Session = run.DryRun, nil, new(engine.Session)
	defer opts.Env.Session.Close()
	res, err := run.Run(ctx, nodes, opts)
	switch {
	case res == nil:
		return nil, err
	case res.Interrupted:
		return nil, &cli.Error{Code: cli.Interrupted, Text: "interrupted while looking; nothing was written"}
	case err != nil:
		return nil, &cli.Error{Code: cli.Failed, Text: "--expect: the edits are not known, because a step could not be looked at; nothing was written\n" + err.Error(),
			Hint: "see ztplan run " + file + " --dry-run"}
	}
	other := want.otherwise(res.Summary.Seen)
	if res.Summary.Digest == want.digest && len(other) == 0 {
		return res.Review, nil
	}
	var b strings.Builder
	b.WriteString("the edits are no longer those that were reviewed; nothing was written\n")
	if res.Summary.Digest != want.digest {
		fmt.Fprintf(&b, "  expected %s\n  found    %s\n  %s", want.digest, res.Summary.Digest, want.compare(res.Summary.Digests))
	} else {
		b.WriteString("  steps after others that differ, seen with other edits: " + strings.Join(other, ", "))
	}
	return nil, &cli.Error{Code: cli.Failed, Text: b.String(),
		Hint: "review them again: ztplan run " + file + " --dry-run; then give its digest to --expect"}
}

// otherwise returns the blocked steps in which the review found other edits than
// there are now. A step whose look failed, then or now, does not count: its inputs
// are in the digest.
func (r review) otherwise(seen map[string]string) []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(seen)) {
		if was, ok := r.seen[id]; ok && was != seen[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// compare names the steps whose edits are others than the reviewed ones, as far as
// the review has them.
func (r review) compare(have map[string]string) string {
	if r.steps == nil {
		if len(have) == 0 {
			return "nothing is to be changed any more"
		}
		return "steps with edits now: " + strings.Join(slices.Sorted(maps.Keys(have)), ", ")
	}
	ids := make(map[string]string)
	for id, sum := range r.steps {
		switch now, ok := have[id]; {
		case !ok:
			ids[id] = " (nothing to do any more)"
		case now != sum:
			ids[id] = " (other edits)"
		}
	}
	for id := range have {
		if _, ok := r.steps[id]; !ok {
			ids[id] = " (was not to be changed)"
		}
	}
	var parts []string
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		parts = append(parts, id+ids[id])
	}
	return "steps whose edits are others: " + cmp.Or(strings.Join(parts, ", "), "none, by the file: was it changed?")
}
