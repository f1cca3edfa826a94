// Package versions is all that the rules of lint know of versions. State: November 2026. A
// version has the form "v1.2.3".
package versions

import (
	"slices"

	"golang.org/x/mod/semver"
)

// A Span is a range of versions: from its first, to before another. An empty end is open.
type Span struct{ from, before string }

// Has reports whether a version is in the span. One that cannot be read is in none.
func (s Span) Has(version string) bool {
	return semver.IsValid(version) && (s.from == "" || semver.Compare(version, s.from) >= 0) &&
		(s.before == "" || semver.Compare(version, s.before) < 0)
}

// AnyOf reports whether a version is in one of the spans.
func AnyOf(spans []Span, version string) bool {
	return slices.ContainsFunc(spans, func(s Span) bool { return s.Has(version) })
}

// A release is a version of a chart and that of the program in it; an empty program is
// not known.
type release struct{ chart, program string }

// programs are the programs in charts, by the chart's name. A version of a chart has the
// program of the last entry that is not newer (Chart.yaml of apache/apisix-helm-chart and
// hashicorp/vault-helm).
var programs = map[string][]release{
	"apisix": {
		{"v2.11.1", "v3.13.0"}, {"v2.12.0", "v3.14.0"}, {"v2.12.1", "v3.14.1"}, {"v2.13.0", "v3.15.0"},
		{"v2.14.0", "v3.16.0"}, {"v2.15.0", "v3.17.0"}, {"v2.16.0", ""},
	},
	"vault": {
		{"v0.0.0", "v1.0.0"}, {"v0.30.1", "v1.20.1"}, {"v0.31.0", "v1.20.4"}, {"v0.32.0", "v1.21.2"},
		{"v0.33.0", "v2.0.2"}, {"v0.34.0", "v2.0.3"}, {"v0.34.1", "v2.0.4"},
	},
}

// ProgramOf returns the version of the program in a version of a chart, or "".
func ProgramOf(chart, version string) string {
	program := ""
	for _, r := range programs[chart] {
		if semver.IsValid(version) && semver.Compare(version, r.chart) >= 0 {
			program = r.program
		}
	}
	return program
}

// Facts about versions of charts.
var (
	// The ingress controllers 2.0.0-rc1 to rc5 never push a changed Secret
	// (apache/apisix-ingress-controller#2673).
	NeverPushes = map[string]Span{"apisix": {"v2.11.1", "v2.12.5"}, "apisix-ingress-controller": {"v1.0.0", "v1.1.0"}}
	// The ingress controller 2.x finds the gateway through a GatewayProxy.
	WantsGatewayProxy = map[string]Span{"apisix": {from: "v2.11.1"}, "apisix-ingress-controller": {from: "v1.0.0"}}
	// The chart's etcd is bitnamilegacy/etcd:latest (apache/apisix-helm-chart#868).
	FloatingEtcd = Span{from: "v2.11.6"}
	// The chart of cert-manager lets its own ServiceAccount request tokens
	// (cert-manager/cert-manager#7213, and its revert in v1.21.0).
	GrantsTokens = Span{"v1.16.0", "v1.21.0"}
)

// Facts about versions of programs.
var (
	// APISIX can lose events of etcd for good (apache/apisix#13067, fixed by #13721).
	LosesEvents = Span{"v3.14.0", "v3.18.0"}

	// cert-manager takes a login that fails for a failed request (#7097).
	LoginFails = Span{before: "v1.16.0"}
	// cert-manager knows renewBeforePercentage (release notes 1.16).
	KnowsPercentage = Span{from: "v1.16.0"}
	// cert-manager makes a new key unless it is configured otherwise (release notes 1.18).
	ChangesKeys = Span{from: "v1.18.0"}
	// cert-manager has certificateRequestMinimumBackoffDuration (release notes 1.20).
	BacksOffAsTold = Span{from: "v1.20.0"}

	// Vault does not hold not_after against max_ttl (hashicorp/vault#29928).
	UnboundedDates = []Span{{before: "v1.19.19"}, {"v1.20.0", "v1.20.13"}, {"v1.21.0", "v1.21.8"}, {"v2.0.0", "v2.0.3"}}
	// Vault refuses a policy with an attribute twice: unless its environment allows that
	// since 1.21 (hashicorp/vault#31215), always since 2.1.
	RefusesDuplicates = Span{from: "v1.21.0"}

	// Helm gets no fixes, not even of security since 2026-11-11 (helm/helm:README.md).
	HelmWithoutFixes = Span{before: "v4.0.0"}
)

// NewestCertManager is the assumed version where the plan does not install cert-manager.
const NewestCertManager = "v1.21.2"
