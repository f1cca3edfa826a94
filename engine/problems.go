package engine

import "fmt"

// A Problem is something wrong with a step's inputs, found before anything is
// contacted.
type Problem struct {
	// Field is the path of the input inside with: "expect.status",
	// "roles[0].name". Empty means the step as a whole.
	Field string
	// File, Line and Column are set when the problem is inside another file
	// that the step names; otherwise the position of Field counts.
	File         string
	Line, Column int
	// After are other inputs that the problem follows from: it is not reported if one of
	// them has a problem of its own, or is not known yet.
	After   []string
	Message string // the mistake and its reason, without a full stop
	Hint    string // the text to write instead; optional
}

// Problems collects every problem of a spec.
type Problems struct {
	// Dir is the absolute directory of the plan.
	Dir string

	list []Problem
}

// Add records a problem with the input field.
func (p *Problems) Add(field, format string, args ...any) {
	p.list = append(p.list, Problem{Field: field, Message: fmt.Sprintf(format, args...)})
}

// AddProblem records a problem with all its details.
func (p *Problems) AddProblem(pr Problem) { p.list = append(p.list, pr) }

// List returns the problems in the order in which they were found.
func (p *Problems) List() []Problem { return p.list }
