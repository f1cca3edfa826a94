package lint

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/ignore"
	"github.com/ztplan/ztplan/cmd/ztplan/lint/rule"
)

// A comment takes findings out.
type comment struct {
	ignore.Directive
	used bool
}

// ignore takes out the findings that a comment names, and adds the faults of the
// comments.
func (f *facts) ignore(all []Finding) (kept []Finding, ignored []Ignored) {
	var comments []*comment
	for name, text := range f.texts {
		for _, d := range ignore.Read(name, text) {
			comments = append(comments, &comment{Directive: d})
		}
	}
	for _, found := range all {
		i := slices.IndexFunc(comments, func(d *comment) bool {
			return d.Rule == found.Rule && d.Reason != "" && d.Line == found.Place.Line && d.Place.File == found.Place.File
		})
		if i < 0 {
			kept = append(kept, found)
			continue
		}
		comments[i].used = true
		ignored = append(ignored, Ignored{found, comments[i].Reason})
	}
	slices.SortFunc(comments, func(a, b *comment) int {
		return cmp.Or(strings.Compare(a.Place.File, b.Place.File), a.Place.Line-b.Place.Line)
	})
	for _, d := range comments {
		if problem := d.problem(); problem.Rule != "" {
			problem.complete()
			kept = append(kept, problem)
		}
	}
	return kept, ignored
}

// problem returns the finding about the comment itself; without a rule if there is none.
func (d *comment) problem() Finding {
	f := Finding{Place: d.Place}
	_, known := rule.Find(d.Rule)
	switch {
	case !known:
		f.Rule, f.Message = "ignore-unknown", "there is no rule "+d.Rule
		if d.Rule == "" {
			f.Message = "no rule is named"
		}
		f.Hint = rule.Suggest(d.Rule)
	case d.Reason == "":
		f.Rule, f.Message = "ignore-reason", "rule "+d.Rule+" is ignored without a reason"
	case !d.used:
		f.Rule, f.Message = "ignore-unused", "rule "+d.Rule+" finds nothing here"
	}
	return f
}
