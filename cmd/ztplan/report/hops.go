package report

import (
	"fmt"
	"strings"

	"github.com/ztplan/ztplan/steps/evidence"
)

// known states the source of a hop's place and how much earlier it can have
// been; "" for records without it.
func known(h evidence.Hop) string {
	var parts []string
	switch h.Source {
	case evidence.SourceRun:
		parts = append(parts, "by the run itself")
	case evidence.SourceObserved:
		parts = append(parts, "observed")
	case evidence.SourceObject:
		parts = append(parts, "by the object's time")
	case evidence.SourceEffect:
		parts = append(parts, "by what followed")
	}
	if early := h.At.Sub(h.Earliest).Seconds(); !h.Earliest.IsZero() && early >= 0.0005 {
		parts = append(parts, fmt.Sprintf("up to %.3f s earlier", early))
	}
	if h.Order == evidence.OrderObserved {
		parts = append(parts, "order as observed")
	}
	return strings.Join(parts, ", ")
}

// switched states how long the switch took and how exact the times of the hops are;
// "" for records without it.
func switched(r evidence.RotationRecord) string {
	var parts []string
	if observed, most, ok := evidence.Switch(r.Hops); ok && most > observed {
		parts = append(parts, fmt.Sprintf("The switch took %.3f s as observed, at most %.3f s.", observed.Seconds(), most.Seconds()))
	}
	if c := r.Clock; c.Resolution > 0 {
		parts = append(parts, fmt.Sprintf("Times in objects count %g s; the API server's clock is %+.2f to %+.2f s ahead.", c.Resolution, c.Least, c.Most))
	}
	return strings.Join(parts, " ")
}
