// Package kubetypes checks Kubernetes objects against the types of their kinds,
// without a cluster: built-in kinds by the Go types and the schema of server-side
// apply, custom ones by their CustomResourceDefinition. It also reads the same
// problems from the API server's answers.
package kubetypes

import (
	"strings"

	"github.com/ztplan/ztplan/steps/internal/nearest"
)

// A FieldProblem is a field of an object that does not fit the schema of its kind.
type FieldProblem struct {
	Field   string // "spec.issuerRef.name", "spec.http[0].match"
	Message string
	Unknown bool   // the schema has no such field
	Near    string // the text to write instead, such as the field that is probably meant; "" if that is not known
}

// Misspelt reports whether an unknown field is plainly a slip of the pen: another
// case, one letter, or in a long name two. A plural does not count: Kubernetes gave
// clusterIP the sibling clusterIPs, and a newer server may know more of them.
func (p FieldProblem) Misspelt() bool {
	name := p.Field[strings.LastIndexByte(p.Field, '.')+1:]
	if !p.Unknown || p.Near == "" || name+"s" == p.Near || name == p.Near+"s" {
		return false
	}
	d := nearest.Distance(strings.ToLower(name), strings.ToLower(p.Near))
	return d == 0 || d == 1 && len(name) >= 4 || d == 2 && len(name) >= 7
}
