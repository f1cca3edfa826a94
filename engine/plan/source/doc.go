// Package source reads the text of plans: YAML in, a tree of nodes out, or problems,
// each with its place, an excerpt and a suggestion.
//
// It knows no keys and no types of a plan. A [Collector] puts problems in order and
// adds the excerpts, in which secrets and values that look like one are hidden.
//
// The parser is gopkg.in/yaml.v3, whose nodes have lines and columns. A node is one
// scalar, so the place of a reference inside a scalar is found here: see [Finder].
package source
