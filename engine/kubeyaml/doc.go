// Package kubeyaml reads YAML as kubectl and Helm read it, and keeps the places.
//
// Both turn YAML into JSON with sigs.k8s.io/yaml, which follows YAML 1.1: an
// unquoted yes, no, on, off, y or n, in any of the usual cases, is true or
// false; 0400, 0o400 and 0x100 are 256; 1_000 is 1000; a date is text; and 1e3
// is a whole number. Keys follow the same rule: y: is the key "true". Everything
// in quotes is text. Where a merge key << and a key of the mapping itself name
// the same key, the one that stands later wins.
//
// Three things are stricter here. A key that is given twice, a value without a
// form in JSON (.inf, .nan) and a key that is a mapping, a list or nothing are
// errors, with the key and the place.
//
// That library decides the meaning of each scalar: there is no second list of words. Trees
// are those of gopkg.in/yaml.v3, whose parser knows lines and columns; [Resolve] replaces the
// types that it gives them.
package kubeyaml
