package hub_test

import (
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/hub"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

func TestCause(t *testing.T) {
	for want, pod := range map[string]hub.Pod{
		"refused":            {Name: "a", Exit: 1, Verdict: &record.Verdict{Cause: "refused"}},
		"crashed: exit 2 ":   {Name: "a", Exit: 2},
		"crashed: exit 134 ": {Name: "a", Exit: 134},
		"Evicted":            {Name: "a", Exit: -1, Reason: "Evicted"},
		"exit 137 without":   {Name: "a", Exit: 137},
	} {
		if got := pod.Cause(); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, pod := range []hub.Pod{{}, {Name: "a", Exit: -1}} {
		if got := pod.Cause(); got != "" {
			t.Errorf("%+v: %q", pod, got)
		}
	}
}
