package helminstall

import (
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/chart"
	"github.com/ztplan/ztplan/steps/internal/helmkit/values"
)

// HelmVersion is the version of the Helm library that installs charts, "v3.21".
func HelmVersion() string { return chartutil.DefaultCapabilities.HelmVersion.Version }

// An IgnoredValue is a value of the plan that has no effect.
type IgnoredValue struct {
	Path   string // dotted: "gateway.type"
	Advice string // the replacement, or why there is none; may be empty
	Unread bool   // the chart has a default for it, which is not used either
}

// IgnoredValues returns the values of the plan that the chart ignores. Nothing is
// contacted: without the chart, which is beside the plan or in the cache of env, they
// are those that are known for its name and version.
func (s *Spec) IgnoredValues(env *engine.Env) []IgnoredValue {
	merged := values.Values(s.MergedValues())
	if len(merged) == 0 {
		return nil
	}
	var ignored []values.Unknown
	if c := chart.Cached(env, s.source()); c != nil {
		ignored = append(c.UnknownValues(merged), c.UnreadValues(merged)...)
	} else {
		ignored = values.Replaced(s.source().Name(), s.Version, merged)
	}
	out := make([]IgnoredValue, len(ignored))
	for i, u := range ignored {
		out[i] = IgnoredValue(u)
	}
	return out
}
