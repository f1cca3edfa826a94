package applymanifest

import (
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/refusal"
	"github.com/ztplan/ztplan/steps/internal/kubetypes"
)

// explain adds to an error the object and its place in the manifests, whether
// another try can help, and a hint.
func (r *run) explain(o *object, err error) error {
	name := o.ref.String()
	if o.ref.Name == "" { // not resolved yet
		name = kubekit.RefOf(o.obj).String()
	}
	if conflicts := refusal.Conflicts(err); len(conflicts) > 0 {
		return o.conflict(name, conflicts, err)
	}
	status := refusal.StatusOf(err)
	wrap := func(text string) error {
		return fmt.Errorf("%s (%s): %w", name, o.where(refusal.Fields(err)), rephrased{text, err})
	}
	if status != nil {
		if problems := kubetypes.TypedProblems(status.Message); len(problems) > 0 {
			return o.mistyped(name, problems)
		}
	}
	switch {
	case status == nil:
		return wrap(err.Error())
	case refusal.NamespaceEnding(err):
		return engine.WithHint(wrap("namespace "+o.ref.Namespace+" is being deleted"),
			"wait until it is gone, then run again; kubectl describe namespace "+o.ref.Namespace+" says what holds it up")
	case refusal.NamespaceMissing(err):
		return engine.Permanent(engine.WithHint(wrap("namespace "+o.ref.Namespace+" does not exist"),
			"set createNamespace: true, add a Namespace to the manifests, or let the step need the one that makes it"))
	case refusal.UnknownField(status.Message):
		return engine.Permanent(engine.WithHint(wrap("unknown field "+strings.Join(refusal.Fields(err), ", ")),
			"check the spelling and the place of the field: kubectl explain "+strings.ToLower(o.gvk().Kind)+" --recursive lists them all"))
	case immutable(status):
		return engine.Permanent(engine.WithHint(wrap(refusal.Message(status)),
			"the field cannot be changed: delete the object (kubectl delete), or put the old value back"))
	}
	return kubekit.Classify(wrap(refusal.Message(status)))
}

// mistyped returns the fields that do not fit the schema of the kind, each with its
// place in the manifest.
func (o *object) mistyped(name string, problems []kubetypes.FieldProblem) error {
	errs := make([]error, len(problems))
	for i, p := range problems {
		text, hint := mismatch(p, o.gvk().Kind)
		errs[i] = engine.WithHint(fmt.Errorf("%s (%s): %s", name, o.where([]string{p.Field}), text), hint)
	}
	return engine.InPlan(errors.Join(errs...))
}

// mismatch returns the problem of a field with the type that its kind gives it, and a
// hint.
func mismatch(p kubetypes.FieldProblem, kind string) (text, hint string) {
	hint = "correct the manifest: kubectl explain " + strings.ToLower(kind) + " --recursive lists all fields with their types"
	switch {
	case p.Unknown && p.Near != "":
		return "unknown field " + p.Field, "did you mean " + p.Near + "? Check the spelling and the place of the field"
	case p.Unknown:
		return "unknown field " + p.Field, hint
	case strings.HasPrefix(p.Near, `"`):
		hint = "write " + p.Near + ", in quotes"
	case p.Near != "":
		hint = "write " + p.Near + ", without quotes"
	}
	return p.Field + ": " + p.Message, hint
}

// rephrased is an error with a better text.
type rephrased struct {
	text string
	err  error
}

func (e rephrased) Error() string { return e.text }
func (e rephrased) Unwrap() error { return e.err }

func (o *object) conflict(name string, conflicts []refusal.Conflict, err error) error {
	fields := make([]string, len(conflicts))
	for i, c := range conflicts {
		fields[i] = fmt.Sprintf("%s is managed by %s", c.Field, c.Owner)
	}
	return engine.Permanent(engine.WithHint(
		fmt.Errorf("%s (%s): %w", name, o.where([]string{conflicts[0].Field}), rephrased{strings.Join(fields, "; "), err}),
		"leave these fields out of the manifest, let their manager give them up, or set force: true to take them over"))
}

func immutable(status *metav1.Status) bool {
	return status.Reason == metav1.StatusReasonInvalid && kubekit.Unchangeable(status.Message)
}

// where returns where the manifest writes the first of the fields, as far as
// it writes it at all.
func (o *object) where(fields []string) source {
	if len(fields) == 0 || o.node == nil {
		return o.source
	}
	return o.source.at(key(o.node, fieldPath(fields[0])))
}
