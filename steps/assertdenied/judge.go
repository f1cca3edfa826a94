package assertdenied

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// A verdict is the result of one attempt.
type verdict struct {
	rule   string
	record evidence.Denial
	want   string // the refusal, for the reader
	have   string // the answer, for the reader
	advice string // hint if it was not refused
}

func (v *verdict) finding() engine.Finding {
	f := engine.Finding{Rule: v.rule, Holds: v.record.Refused, Have: v.have, Want: v.want}
	if !f.Holds {
		f.Detail = v.advice
	}
	return f
}

// An answer is Vault's answer to an attempt.
type answer struct {
	status  int
	text    string // its messages, or its grant
	granted bool
}

func (a answer) String() string {
	if a.granted {
		return "granted: " + a.text
	}
	return fmt.Sprintf("%d: %s", a.status, a.text)
}

// refusal reads Vault's answer from an error. Any other error (a sealed Vault, no
// connection, a server error, an unknown path) is returned: it proves nothing about
// the attempt.
func refusal(err error) (answer, error) {
	var e *vaultkit.Error
	if errors.As(err, &e) && (e.Status == http.StatusBadRequest || e.Status == http.StatusForbidden) {
		return answer{status: e.Status, text: strings.Join(e.Messages, "; ")}, nil
	}
	return answer{}, err
}

// judge decides whether an answer is one of the expected refusals, and fills in
// the record of the evidence.
func (v *verdict) judge(a answer, expected []evidence.Refusal) {
	v.record.Status, v.record.Answer, v.record.Expected = a.status, a.text, expected
	v.record.Refused = !a.granted && slices.ContainsFunc(expected, func(r evidence.Refusal) bool { return r.Matches(a.status, a.text) })
	v.have, v.want = a.String(), wanted(expected)
	if !v.record.Refused && !a.granted {
		v.advice = "it was refused, but for another reason, which may go away; if these are the words of another version of Vault for it, give them as the attempt's answer"
	}
}

func wanted(expected []evidence.Refusal) string {
	texts := make([]string, len(expected))
	for i, r := range expected {
		texts[i] = fmt.Sprintf("%d: %s", r.Status, r.Text)
	}
	return strings.Join(texts, ", or ")
}

// expect returns the refusals that an attempt must meet: those of the plan, or
// the known ones.
func (a Attempt) expect(known ...evidence.Refusal) []evidence.Refusal {
	if a.Answer == "" {
		return known
	}
	return []evidence.Refusal{{Status: http.StatusForbidden, Text: a.Answer}, {Status: http.StatusBadRequest, Text: a.Answer}}
}

// The refusals of Vault. Those of a login are in the order in which it checks
// (hashicorp/vault-plugin-auth-kubernetes:path_login.go); a failed TokenReview is
// a bare "permission denied" and none of them.
var (
	wrongAudience  = evidence.Refusal{Status: http.StatusForbidden, Text: "invalid audience (aud) claim"}
	wrongAccount   = evidence.Refusal{Status: http.StatusForbidden, Text: "service account name not authorized"}
	wrongNamespace = evidence.Refusal{Status: http.StatusForbidden, Text: "namespace not authorized"}
	wrongName      = evidence.Refusal{Status: http.StatusBadRequest, Text: "not allowed by this role"}
	noPermission   = evidence.Refusal{Status: http.StatusForbidden, Text: "permission denied"}
)
