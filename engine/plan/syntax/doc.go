// Package syntax parses the references in the texts of a plan, ${…}, and the conditions of
// steps. It knows the form of a reference, not its value: package spec resolves it.
package syntax
