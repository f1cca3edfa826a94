package hints

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// A said is a recorded message of a component. A test provokes it: the one of the embedded
// lab makes the component named by ProvokedBy send it again, and where the real component
// cannot be made to, a server sends it over the protocol named by Over.
type said struct {
	ProvokedBy string `json:"provokedBy"`
	Over       string `json:"over"`
	Message    string `json:"message"`
}

func readSaid(t *testing.T) []said {
	t.Helper()
	b, err := os.ReadFile("testdata/said.json")
	var list []said
	if err == nil {
		err = json.Unmarshal(b, &list)
	}
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Each pattern of each hint has a message that is provoked, and gets that hint for it: not
// that of another entry, which stands before it and hides it.
func TestEveryHintIsProvoked(t *testing.T) {
	list := readSaid(t)
	for _, s := range list {
		if (s.ProvokedBy == "") == (s.Over == "") {
			t.Errorf("%q: exactly one of provokedBy and over has to be there", s.Message)
		}
		if For(s.Message) == "" {
			t.Errorf("no hint for %q", s.Message)
		}
	}
	for _, h := range table() {
		for _, parts := range h.patterns {
			if !slices.ContainsFunc(list, func(s said) bool {
				got, _ := find(s.Message)
				return containsAll(strings.ToLower(s.Message), parts) && got.text == h.text
			}) {
				t.Errorf("nothing provokes %q of the hint %q", parts, h.text)
			}
		}
		if h.next == "" {
			continue
		}
		if verb := strings.Fields(h.next); len(verb) < 2 || !slices.Contains([]string{"kubectl get", "kubectl logs", "vault status", "vault list", "vault read", "vault secrets", "vault policy", "helm list"}, verb[0]+" "+verb[1]) {
			t.Errorf("the command %q of the hint %q does more than read", h.next, h.text)
		}
	}
}
