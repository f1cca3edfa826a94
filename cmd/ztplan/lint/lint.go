// Package lint asks whether the trust set-up of a plan is sound, without
// contacting anything: known-bad versions, lifetimes in the wrong order,
// permissions that the plan forgets, proofs that are missing.
//
// A rule is a function from the facts of a plan to findings, and says where the
// fact behind it is documented. Rules see steps of several kinds at once; that
// is why they are here and not in the kinds. A rule that cannot be decided
// because an input is known only later returns no finding.
package lint

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ztplan/ztplan/engine/plan"
)

// A Severity is the weight of a finding.
type Severity string

// The severities. An error is something that will fail or is unsafe as it
// stands; a warning is something to decide knowingly.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// A Finding is one thing that is not sound.
type Finding struct {
	Severity Severity `json:"severity"`
	Rule     string   `json:"rule"` // short and stable, for scripts
	Step     string   `json:"step"`
	Position string   `json:"position"` // file:line:col
	Message  string   `json:"message"`
	Why      string   `json:"why"`            // the reason, with its source
	Hint     string   `json:"hint,omitempty"` // the text to write instead
}

// Check applies every rule. Errors come first, then by place in the plan.
func Check(p *plan.Plan) []Finding {
	f := gather(p)
	var out []Finding
	for _, rule := range []func(*facts) []Finding{
		knownBadGateway, eventLoss, knownBadCertManager, tokenPermission,
		certificateTimes, oneCertificatePerSecret, rotationPolicy, lifetimeOrder, issuerMatches, allowedNames, policiesMade,
		audience, unboundedDate, adminKey, oneCertificatePerHost, plainKeys,
		rootToken, logins, unknownFields, proofs,
	} {
		out = append(out, rule(f)...)
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), cmp.Compare(f.order[a.Step], f.order[b.Step]))
	})
	return out
}

// at makes a finding about an input of a step.
func at(s *plan.Step, field string, severity Severity, rule, hint, why, format string, args ...any) Finding {
	return Finding{
		Severity: severity, Rule: rule, Step: s.ID, Position: s.PositionOf(field).String(),
		Message: fmt.Sprintf(format, args...), Why: why, Hint: hint,
	}
}
