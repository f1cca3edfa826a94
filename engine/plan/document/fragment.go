package document

import (
	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/source"
)

// ParseFragment reads the text of a fragment and checks its outermost keys. ok is false if
// its steps cannot be read.
func ParseFragment(src *source.File, add func(*source.Problem)) (parts map[string]*yaml.Node, ok bool) {
	r := source.Reporter{File: src, Add: add}
	failed := false
	root := source.Parse(src, "a fragment", func(p *source.Problem) {
		failed = true
		add(p)
	})
	const begins = "a fragment begins with apiVersion: " + APIVersion + " and kind: " + FragmentKind
	switch {
	case root == nil && !failed:
		add(&source.Problem{Position: source.Position{File: src.Name, Line: 1, Column: 1}, Summary: "the fragment is empty", Hint: begins})
		return nil, false
	case root == nil:
		return nil, false
	case root.Kind != yaml.MappingNode:
		r.Problem(root, begins, "want a fragment, have %s", source.KindOf(root))
		return nil, false
	}
	return ReadFragment(root, r)
}

// ReadFragment is [ParseFragment] for a document that was parsed, and is a mapping.
func ReadFragment(root *yaml.Node, r source.Reporter) (parts map[string]*yaml.Node, ok bool) {
	parts, unknown := Split(root, FragmentKeys)
	version := Constant(r, root, parts, "apiVersion", APIVersion)
	kind := Constant(r, root, parts, "kind", FragmentKind)
	if !version && !kind && parts["steps"] == nil {
		return nil, false // some other document
	}
	for _, key := range unknown {
		hint := source.Suggestion(key.Value, FragmentKeys, "a fragment has ")
		switch key.Value {
		case "connections":
			hint = "its steps have the connections of the plan; a step may override them below with"
		case "metadata":
			hint = "it has no name: the id of the entry that includes it is in the ids of its steps"
		}
		r.Problem(key, hint, "unknown key %q", key.Value)
	}
	if n := parts["outputs"]; !source.IsNull(n) && n.Kind != yaml.MappingNode {
		r.Problem(n, "write outputs: {certificate: \"${steps.ID.OUTPUT}\"}", "outputs: want a mapping, have %s", source.Describe(n))
		parts["outputs"] = nil
	}
	return parts, HasSteps(r, root, parts["steps"], "a fragment")
}
