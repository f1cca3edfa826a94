package applymanifest

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubetypes"
)

// explain adds to an error the object and its place in the manifests, whether
// another try can help, and a hint.
func (r *run) explain(o *object, err error) error {
	name := o.ref.String()
	if o.ref.Name == "" { // not resolved yet
		name = kubekit.RefOf(o.obj).String()
	}
	if conflicts := conflictsIn(err); len(conflicts) > 0 {
		return o.conflict(name, conflicts, err)
	}
	status := statusOf(err)
	wrap := func(text string) error {
		return fmt.Errorf("%s (%s): %w", name, o.where(fieldsIn(err)), rephrased{text, err})
	}
	if status != nil {
		if problems := kubetypes.TypedProblems(status.Message); len(problems) > 0 {
			return o.mistyped(name, problems)
		}
	}
	switch {
	case status == nil:
		return wrap(err.Error())
	case beingDeleted(err):
		return engine.WithHint(wrap("namespace "+o.ref.Namespace+" is being deleted"),
			"wait until it is gone, then run again; kubectl describe namespace "+o.ref.Namespace+" says what holds it up")
	case namespaceMissing(err):
		return engine.Permanent(engine.WithHint(wrap("namespace "+o.ref.Namespace+" does not exist"),
			"set createNamespace: true, add a Namespace to the manifests, or let the step need the one that makes it"))
	case unknownField(status.Message):
		return engine.Permanent(engine.WithHint(wrap("unknown field "+strings.Join(fieldsIn(err), ", ")),
			"check the spelling and the place of the field: kubectl explain "+strings.ToLower(o.gvk().Kind)+" --recursive lists them all"))
	case immutable(status):
		return engine.Permanent(engine.WithHint(wrap(plainMessage(status)),
			"the field cannot be changed: delete the object (kubectl delete), or put the old value back"))
	}
	return kubekit.Classify(wrap(plainMessage(status)))
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

func statusOf(err error) *metav1.Status {
	var s apierrors.APIStatus
	if !errors.As(err, &s) {
		return nil
	}
	status := s.Status()
	return &status
}

// plainMessage is the reason without the repeated name of the object.
func plainMessage(status *metav1.Status) string {
	if status.Reason == metav1.StatusReasonInvalid && status.Details != nil && len(status.Details.Causes) > 0 {
		var lines []string
		for _, c := range status.Details.Causes {
			lines = append(lines, strings.TrimPrefix(c.Field+": "+c.Message, ": "))
		}
		return strings.Join(lines, "; ")
	}
	return status.Message
}

// A conflict is a field with another manager.
type conflict struct{ field, owner string }

var ownerPattern = regexp.MustCompile(`conflict with "([^"]+)"`)

func conflictsIn(err error) []conflict {
	status := statusOf(err)
	if status == nil || status.Code != http.StatusConflict || status.Details == nil {
		return nil
	}
	var found []conflict
	for _, c := range status.Details.Causes {
		if c.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		owner := c.Message
		if m := ownerPattern.FindStringSubmatch(c.Message); m != nil {
			owner = m[1]
		}
		found = append(found, conflict{strings.TrimPrefix(c.Field, "."), owner})
	}
	return found
}

func (o *object) conflict(name string, conflicts []conflict, err error) error {
	fields := make([]string, len(conflicts))
	for i, c := range conflicts {
		fields[i] = fmt.Sprintf("%s is managed by %s", c.field, c.owner)
	}
	return engine.Permanent(engine.WithHint(
		fmt.Errorf("%s (%s): %w", name, o.where([]string{conflicts[0].field}), rephrased{strings.Join(fields, "; "), err}),
		"leave these fields out of the manifest, let their manager give them up, or set force: true to take them over"))
}

// namespaceMissing reports whether the API server refuses the object because
// its namespace does not exist.
func namespaceMissing(err error) bool {
	s := statusOf(err)
	return s != nil && s.Reason == metav1.StatusReasonNotFound && s.Details != nil && s.Details.Kind == "namespaces"
}

func beingDeleted(err error) bool {
	return apierrors.HasStatusCause(err, "NamespaceTerminating")
}

// withoutDryRun reports whether a webhook has side effects and is therefore not
// called in dry runs, which then fail.
func withoutDryRun(err error) bool {
	s := statusOf(err)
	return s != nil && s.Code == http.StatusBadRequest && strings.Contains(s.Message, "does not support dry run")
}

// webhookDown reports whether an admission webhook could not be asked: its pod
// is not up yet, or its certificate is not known to the API server yet.
func webhookDown(err error) bool {
	s := statusOf(err)
	return s != nil && s.Code >= 500 && strings.Contains(s.Message, "failed calling webhook")
}

func unknownField(message string) bool {
	return strings.Contains(message, "field not declared in schema") || strings.Contains(message, "strict decoding error")
}

func immutable(status *metav1.Status) bool {
	return status.Reason == metav1.StatusReasonInvalid && kubekit.Unchangeable(status.Message)
}

var unknownPattern = regexp.MustCompile(`unknown field "([^"]+)"|\.([\w.\-\[\]]+): field not declared in schema`)

// fieldsIn returns the fields that the API server complains about.
func fieldsIn(err error) []string {
	status := statusOf(err)
	if status == nil {
		return nil
	}
	var fields []string
	for _, m := range unknownPattern.FindAllStringSubmatch(status.Message, -1) {
		fields = append(fields, m[1]+m[2])
	}
	if status.Details != nil {
		for _, c := range status.Details.Causes {
			if c.Field != "" {
				fields = append(fields, strings.TrimPrefix(c.Field, "."))
			}
		}
	}
	return fields
}

// where returns where the manifest writes the first of the fields, as far as
// it writes it at all.
func (o *object) where(fields []string) source {
	if len(fields) == 0 || o.node == nil {
		return o.source
	}
	return o.source.at(key(o.node, fieldPath(fields[0])))
}
