package kubeyaml

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
	kyaml "sigs.k8s.io/yaml"
)

// Resolve sets the tag of every scalar of a tree to the type that it has for
// kubectl and Helm: !!null, !!bool, !!int, !!float or !!str. A whole number
// of 64 bits is !!int, also 1e3. Values stay as they are written, and so do tags
// that a document gives itself and that are none of these. The target of an alias
// is resolved where its anchor is.
func Resolve(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		n.Tag = tagOf(n)
		return
	}
	for _, c := range n.Content {
		Resolve(c)
	}
}

func tagOf(n *yaml.Node) string {
	tagged := n.Style&yaml.TaggedStyle != 0
	switch {
	case tagged && !strings.HasPrefix(n.Tag, "!!"), n.Tag == "!!merge":
		return n.Tag
	case !tagged && n.Style != 0, !tagged && !maybeTyped(n.Value):
		return "!!str"
	}
	token, err := token(n)
	switch {
	case err != nil:
		// A tag that does not fit stays, to be reported by Scalar.
		if tagged {
			return n.Tag
		}
		return "!!float" // .inf or .nan
	case token == "null":
		return "!!null"
	case token == "true", token == "false":
		return "!!bool"
	case token[0] == '"':
		if tagged && n.Tag == "!!binary" {
			return n.Tag
		}
		return "!!str"
	}
	if v, _ := fromJSON(token); reflect.ValueOf(v).CanFloat() {
		return "!!float"
	}
	return "!!int"
}

// maybeTyped reports whether a plain scalar may be something other than text. It
// is generous: the library decides.
func maybeTyped(s string) bool {
	if s == "" || s == "~" {
		return true
	}
	digit := false
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			digit = true
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', strings.IndexByte("+-._", c) >= 0:
		default:
			return false
		}
	}
	if digit {
		return strings.IndexByte("+-.0123456789", s[0]) >= 0
	}
	// Words: from y to false, and -.inf.
	return len(s) <= len("false") && strings.IndexByte("+-.yYnNtTfFoO", s[0]) >= 0 && strings.Trim(s, "+-._") != ""
}

// token returns a scalar as the JSON that kubectl and Helm make of it.
func token(n *yaml.Node) (string, error) {
	text := n.Value
	if n.Style&yaml.TaggedStyle != 0 {
		quoted, err := json.Marshal(n.Value)
		if err != nil {
			return "", err
		}
		text = n.Tag + " " + string(quoted)
	} else if plainNumber(text) {
		return text, nil
	}
	b, err := kyaml.YAMLToJSON([]byte(text))
	return string(bytes.TrimSpace(b)), err
}

// plainNumber reports whether s is a whole number that needs no library.
func plainNumber(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || len(digits) > 18 || digits[0] == '0' {
		return s == "0"
	}
	return strings.Trim(digits, "0123456789") == ""
}

// Scalar returns the value of a resolved scalar as kubectl and Helm read it: nil, a bool,
// an int, a uint64, a float64 or a string. Values without a form in JSON, .inf and .nan,
// is an error: it cannot be sent to Kubernetes, Helm or Vault.
func Scalar(n *yaml.Node) (any, error) {
	switch n.Tag {
	case "!!str":
		return n.Value, nil
	case "!!null", "!!bool", "!!int", "!!float", "!!binary", "!!timestamp":
	default:
		return nil, errors.New("a tag, which is a word that begins with !, has no meaning here") // unnamed: it may be a secret without quotes
	}
	text, err := token(n)
	if err != nil {
		if n.Style&yaml.TaggedStyle != 0 {
			return nil, fmt.Errorf("%q is no %s", n.Value, strings.TrimPrefix(n.Tag, "!!"))
		}
		return nil, fmt.Errorf("%s has no form in JSON: write a number, or the text in quotes", n.Value)
	}
	return fromJSON(text)
}

func fromJSON(text string) (any, error) {
	if i, err := strconv.Atoi(text); err == nil && text != "-0" {
		return i, nil
	}
	if u, err := strconv.ParseUint(text, 10, 64); err == nil {
		return u, nil
	}
	var v any
	err := json.Unmarshal([]byte(text), &v)
	return v, err
}

// Key returns the text that kubectl and Helm make of the key of a mapping: an
// unquoted y is "true", 0400 is "256". A key without a value is an error.
func Key(n *yaml.Node) (string, error) {
	switch {
	case n.Kind != yaml.ScalarNode:
		return "", fmt.Errorf("a key is a mapping or a list: keys are plain text")
	case n.Tag == "!!null":
		return "", fmt.Errorf("a key has no name: write it in quotes")
	case n.Tag == "!!str" || n.Style&yaml.TaggedStyle != 0:
		return n.Value, nil
	}
	b, err := kyaml.YAMLToJSON([]byte(n.Value + ": 0"))
	if err != nil {
		return "", err
	}
	var m map[string]int
	if err := json.Unmarshal(b, &m); err != nil {
		return "", err
	}
	for key := range m {
		return key, nil
	}
	return n.Value, nil
}

// Reading returns the value of a resolved scalar whose text looks like another one:
// "false" for an unquoted no, "256" for 0400. It is "" where the two agree.
func Reading(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" && n.Tag != "!!int" && n.Tag != "!!float" {
		return ""
	}
	text, err := token(n)
	if err != nil || strings.EqualFold(text, n.Value) {
		return ""
	}
	if have, err := strconv.ParseFloat(n.Value, 64); err == nil {
		want, err := strconv.ParseFloat(text, 64)
		if err == nil && have == want {
			return "" // 1.10 and +5 are read as written
		}
	}
	return text
}
