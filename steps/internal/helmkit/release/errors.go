package release

import (
	"errors"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

const claimHint = "of a volume claim only the requested storage may change, upwards, and where its StorageClass has allowVolumeExpansion: put the value back; deleting the claim deletes its data"

// Explain makes errors of Helm permanent that another try cannot cure, and adds hints
// to the known ones. Helm has no types for them.
func Explain(err error) error {
	said := err.Error()
	permanent := []struct{ part, hint string }{
		{"cannot be imported into the current release", "the object was made by something else: remove it, or set takeOwnership: true to let this release have it"},
		{"values don't meet the specifications of the schema", "correct the values; helm show values prints what the chart knows"},
		{"chart requires kubeVersion", "choose a version of the chart that supports the cluster"},
		{"execution error at", "the chart refuses these values: correct them"},
		{"parse error at", "the chart cannot be rendered with these values"},
		{"error calling include", "the chart cannot be rendered with these values"},
		{"updates to statefulset spec", "a field that cannot be changed differs, such as the size of a volume claim: put it back, or delete the StatefulSet with --cascade=orphan first"},
		{"spec is immutable after creation except resources.requests", claimHint},
		{"field can not be less than", claimHint},
		{"json: cannot unmarshal", "the chart, or a value that it takes, writes the field as another type: text needs quotes, such as \"true\" or \"1\""},
		{"Too long: may not be more than", "Helm stores a release, its chart included, in one Secret: take large files out of the chart, or split it"},
	}
	for _, p := range permanent {
		if strings.Contains(said, p.part) {
			return engine.WithHint(engine.Permanent(err), p.hint)
		}
	}
	if kubekit.Unchangeable(said) {
		return engine.WithHint(engine.Permanent(err), "a field that cannot be changed differs: put it back, or delete the object first")
	}
	if strings.Contains(said, "no matches for kind") {
		return engine.WithHint(err, "a CustomResourceDefinition is missing: the chart has none for it (look for a value that installs them), or an earlier step must install it")
	}
	if errors.Is(err, kubekit.ErrReadOnly) {
		return engine.Permanent(err)
	}
	return kubekit.Classify(err)
}
