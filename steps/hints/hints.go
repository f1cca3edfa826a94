// Package hints has remedies for error messages of Kubernetes, Helm,
// Vault, cert-manager, Apache APISIX and the network.
//
// A message is matched as text, because it usually arrives as text: in a
// condition of a resource, in the body of an answer, in a log. A step that
// knows more about its own failure attaches a better hint with
// [engine.WithHint]; this package serves errors without one.
//
// A message arrives from anywhere: a hint holds wherever its message may be printed, on
// every system and for every kind of step, or its pattern is narrower. Every pattern has
// a message in testdata/said.json, which a test provokes.
package hints

import "strings"

// For returns the remedy for message, followed by the public threads where
// the same error was discussed; "" if the message is not known. The first
// entry of the table that matches decides: special cases stand before general
// ones.
func For(message string) string {
	if h, ok := find(message); ok {
		return h.String()
	}
	return ""
}

// Next returns a shell command that shows more of the subject of the hint for message;
// "" if there is none. It only reads.
func Next(message string) string {
	h, _ := find(message)
	return h.next
}

func find(message string) (hint, bool) {
	text := strings.ToLower(message)
	for _, h := range table() {
		if h.matches(text) {
			return h, true
		}
	}
	return hint{}, false
}

// Or is For, and general for a message that is not known. A general hint, such as
// "raise the timeout", is attached by it, so that it never hides one of the table.
func Or(message, general string) string {
	if hint := For(message); hint != "" {
		return hint
	}
	return general
}

// A hint belongs to every message that contains all parts of one of its
// patterns, in any order and in any case.
type hint struct {
	patterns [][]string
	text     string   // one or two sentences without a final full stop
	next     string   // a command that shows more; optional
	threads  []string // owner/repository#number
}

func (h hint) matches(lower string) bool {
	for _, parts := range h.patterns {
		if containsAll(lower, parts) {
			return true
		}
	}
	return false
}

func containsAll(lower string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(lower, strings.ToLower(part)) {
			return false
		}
	}
	return true
}

// String returns the text and the threads in one line.
func (h hint) String() string {
	if len(h.threads) == 0 {
		return h.text
	}
	return h.text + " (see " + strings.Join(h.threads, ", ") + ")"
}
