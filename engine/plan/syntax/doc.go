// Package syntax parses the references in the texts of a plan, ${…}, and the conditions of
// steps. It knows what is written, not what it stands for: package spec resolves it.
package syntax
