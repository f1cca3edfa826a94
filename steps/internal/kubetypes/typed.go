package kubetypes

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/ztplan/ztplan/engine/sensitive"
)

// neverTyped are parts of answers with status 500 that another try gets again:
// the object does not fit the schema of its kind. The API server answers so when
// it merges a server-side apply (apimachinery, managedfields/internal).
var neverTyped = []string{
	"failed to create typed patch object",
	"failed to create manager for existing fields",
	"field not declared in schema",
	"strict decoding error",
	"unable to decode",
	"cannot unmarshal",
}

// Mistyped reports whether the answer of the API server is about the object
// itself although its status is that of a server in trouble.
func Mistyped(code int, message string) bool {
	if code != http.StatusInternalServerError {
		return false
	}
	for _, part := range neverTyped {
		if strings.Contains(message, part) {
			return true
		}
	}
	return false
}

var (
	typedLine  = regexp.MustCompile(`(?m)((?:\.[\w\-/]+|\[[^\]\n]*\])+): ((?:expected|duplicate entries|unexpected|element|associative list|field not declared)[^\n]*)`)
	goValue    = regexp.MustCompile(`&value\.valueUnstructured\{Value:(.*)\}$`)
	dupKey     = regexp.MustCompile(`^duplicate entries for key (\[.*\])$`)
	namedEntry = regexp.MustCompile(`\[name="([^"]*)"[^\]]*\]`)
	plainText  = regexp.MustCompile(`^(true|false|-?[0-9][0-9.e+]*)$`)
)

// TypedProblems returns the problems of fields in an answer to a server-side apply,
// nothing if it is about something else. A field may lead
// through a list by the keys of its entries: spec.containers[name="app"].image.
// Values are shown only if they are numbers or truth values, and no secrets by their
// names.
func TypedProblems(message string) []FieldProblem {
	if !strings.Contains(message, "failed to create typed patch object") {
		return nil
	}
	var problems []FieldProblem
	for _, m := range typedLine.FindAllStringSubmatch(message, -1) {
		p := FieldProblem{Field: strings.TrimPrefix(m[1], "."), Message: m[2]}
		if dup := dupKey.FindStringSubmatch(p.Message); dup != nil {
			p.Field += dup[1]
			p.Message = "is there twice"
		}
		p.Unknown = p.Message == "field not declared in schema"
		p.Message = goValue.ReplaceAllStringFunc(p.Message, func(text string) string {
			value := goValue.FindStringSubmatch(text)[1]
			switch {
			case plainText.MatchString(value) && sensitive.Name(namedEntry.ReplaceAllString(p.Field, "[$1]")):
				return "a number or a truth value"
			case plainText.MatchString(value):
				return value
			case strings.HasPrefix(value, "map["):
				return "a mapping"
			case strings.HasPrefix(value, "[]"):
				return "a list"
			}
			return "another type"
		})
		if value, ok := strings.CutPrefix(p.Message, "expected string, got "); ok && plainText.MatchString(value) {
			p.Near = `"` + value + `"`
		}
		problems = append(problems, p)
	}
	return problems
}
