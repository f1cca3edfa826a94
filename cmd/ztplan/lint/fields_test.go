package lint_test

import (
	"strings"
	"testing"
)

// A field that a newer cluster may have is a warning.
func TestUnknownFields(t *testing.T) {
	got := findings(t, "unknown-field", `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: x}
steps:
- id: a
  uses: applyManifest
  with:
    manifests:
    - apiVersion: v1
      kind: ConfigMap
      metadata: {name: a}
      invented: {of: tomorrow}
`)
	if len(got) != 1 || got[0].Severity != "warning" || got[0].Position != "plan.yaml:12:17" || !strings.Contains(got[0].Message, "unknown field invented") {
		t.Errorf("%+v", got)
	}
}
