package evidence_test

import (
	"encoding/json"
	"testing"

	"github.com/ztplan/ztplan/steps/evidence"
)

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name       string
		limit, saw any
		want, err  bool
	}{
		{"maxFailures", 0, 0, true, false},
		{"maxFailures", 0, 1, false, false},
		{"maxSwitch", "30s", "1.4s", true, false},
		{"maxSwitch", "30s", "1m", false, false},
		{"maxGap", 1.5, json.Number("1.6"), false, false},
		{"minAttempts", 10, 9, false, false},
		{"consecutiveNew", 12, 12, true, false},
		{"newKey", true, true, true, false},
		{"newKey", true, "true", false, false},
		{"status", 200, json.Number("200"), true, false},
		{"dnsNames", []string{"a", "b"}, []any{"b", "a"}, true, false},
		{"dnsNames", []string{"a", "b"}, []any{"a"}, false, false},
		{"notSerial", "01", "02", true, false},
		{"notSerial", "01", "01", false, false},
		{"containsBody", "nginx", "Welcome to nginx!", true, false},
		{"containsNames", "a", []any{"b"}, false, false},
		{"maxGap", 1, "soon", false, true},
		{"status", nil, 200, false, true},
	} {
		got, err := evidence.Rule{Name: c.name, Limit: c.limit, Saw: c.saw}.Verdict()
		if got != c.want || (err != nil) != c.err {
			t.Errorf("%s, limit %v, saw %v: %t, %v", c.name, c.limit, c.saw, got, err)
		}
	}
}

func TestRefusalMatches(t *testing.T) {
	for _, c := range []struct {
		text, answer string
		status       int
		want         bool
	}{
		{"permission denied", "permission denied", 403, true},
		{"permission denied", "permission denied; invalid token", 403, false},
		{"permission denied", "permission denied", 400, false},
		{"namespace not authorized", "namespace not authorized", 403, true},
		{"namespace not authorized", "namespace not authorized err=no API server", 403, false},
		{"not allowed by this role", "common name x not allowed by this role", 403, true},
		{"invalid audience (aud) claim", "invalid audience (aud) claim: no match", 403, true},
		{"invalid audience (aud) claim", "Vault is sealed", 403, false},
		{"", "anything", 403, false},
	} {
		if got := (evidence.Refusal{Status: 403, Text: c.text}).Matches(c.status, c.answer); got != c.want {
			t.Errorf("%q matches %d %q: %t", c.text, c.status, c.answer, got)
		}
	}
}
