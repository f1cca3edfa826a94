// Package lint asks whether the trust set-up of a plan is sound, without
// contacting anything: known-bad versions, lifetimes in the wrong order,
// permissions that the plan forgets, proofs that are missing.
//
// A check is a function from the facts of a plan to findings. Each finding is of a rule,
// and the rule has the reason and the sources: see package rule. Checks see steps of several
// kinds at once; that is why they are here and not in the kinds. A check that cannot decide
// because an input is known only later returns no finding. All that depends on versions is
// in package versions.
package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/rule"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/steps/helminstall"
	"github.com/ztplan/ztplan/steps/session"
)

// The severities of findings: see [rule.Severity].
const (
	Error   = rule.Error
	Warning = rule.Warning
	Note    = rule.Note
)

// A Finding is one fault of the plan.
type Finding struct {
	Severity rule.Severity `json:"severity"`
	Rule     string        `json:"rule"`     // short and stable, for scripts
	Step     string        `json:"step"`     // empty for the plan as a whole
	Position string        `json:"position"` // file:line:col
	Message  string        `json:"message"`
	Why      string        `json:"why"`            // the reason, with its source
	Hint     string        `json:"hint,omitempty"` // the text to write instead

	Place source.Position `json:"-"` // Position in parts
}

// A Report is the result of the checks.
type Report struct {
	Findings []Finding // errors first, then warnings, then notes; by step, as in the plan
	Ignored  []Ignored // findings that a comment takes out
	Budgets  []Budget  // by Certificate
}

// An Ignored is a finding that a comment in the plan takes out, with its reason.
type Ignored struct {
	Finding
	Reason string
}

// Options are the inputs of the checks besides the plan.
type Options struct {
	CacheDir string           // where runs keep charts; empty for none
	Mirrors  []session.Mirror // where charts were fetched from
	Helm     string           // version of the Helm library; empty for the one in this program
}

// Examine applies every check to a plan, which may be a draft: see [plan.Draft].
func Examine(p *plan.Plan, o Options) Report {
	o.Helm = cmp.Or(o.Helm, helminstall.HelmVersion())
	f := gather(p, o)
	var all []Finding
	checks := []func(*facts) []Finding{
		knownBadGateway, eventLoss, gatewayProxy, adminKey, ignoredValues, helmSupport, floatingImages,
		knownBadCertManager, tokenPermission, certificateTimes, oneCertificatePerSecret, rotationPolicy, lifetimeOrder,
		issuers, audience, allowedNames, rolePatterns, storedCertificates, rsaBits, namedIssuers,
		policiesMade, unboundedDate, policyTexts, policyPaths, reviewerToken, apiServerName, tokenLifetime, anyAccount,
		oneCertificatePerHost, plainKeys, oneShare, plaintextListeners, sealedVault, sealedRestart, rootToken, logins, waysIn,
		unknownFields, unexpanded, unusedVariables, emptyCollections, lyingConditions, unverified, proofs, undeniedClients, denials, ungranted, unmade,
		localReviewer, reviewerPermission, reviewerAudience, unchecked,
	}
	if p.Fragment { // the others need the plan around it
		checks = []func(*facts) []Finding{floatingImages, unknownFields, unexpanded, unusedVariables}
	}
	for _, check := range checks {
		all = append(all, check(f)...)
	}
	all = f.once(all)
	for i := range all {
		all[i].complete()
	}
	var r Report
	if !p.Fragment {
		r.Budgets = f.budgets()
	}
	r.Findings, r.Ignored = f.ignore(all)
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Severity.Rank(), b.Severity.Rank()), cmp.Compare(f.order[a.Step], f.order[b.Step]))
	})
	return r
}

// complete fills the fields that the check has left open from the rule.
func (f *Finding) complete() {
	r, ok := rule.Find(f.Rule)
	if !ok {
		panic("lint: there is no rule " + f.Rule)
	}
	f.Position = f.Place.String()
	f.Severity = cmp.Or(f.Severity, r.Severity)
	f.Why = fmt.Sprintf("%s (%s)", r.Why, strings.Join(r.Sources, ", "))
	f.Hint = cmp.Or(f.Hint, r.Fix)
}

// as returns the finding with another severity than its rule has.
func (f Finding) as(s rule.Severity) Finding {
	f.Severity = s
	return f
}

// at makes a finding about an input of a step; hint is empty for that of the rule.
func at(s *plan.Step, field, rule, hint, format string, args ...any) Finding {
	return Finding{Rule: rule, Step: s.ID, Place: s.PositionOf(field), Message: fmt.Sprintf(format, args...), Hint: hint}
}

// Count returns how many findings have a severity.
func (r Report) Count(s rule.Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}
