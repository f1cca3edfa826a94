package applymanifest

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubetypes"
	"github.com/ztplan/ztplan/steps/internal/nearest"
)

// announce registers the kinds and namespaces that this step brings for the others.
func (r *run) announce() {
	for _, o := range r.objects {
		switch o.gvk().GroupKind() {
		case schema.GroupKind{Kind: "Namespace"}:
			r.catalogue.AddNamespace(r.env.Step, o.obj.GetName())
		case crdKind:
			r.catalogue.AddCRDs(r.env.Step, "step "+r.env.Step, o.obj)
		}
	}
}

// pending returns the CustomResourceDefinition of a kind that the cluster does
// not serve yet: the step's own, or that of a step that was looked at before.
func (r *run) pending(gvk schema.GroupVersionKind) (kubekit.PendingCRD, bool) {
	if crd := r.crdOf(gvk); crd != nil {
		return kubekit.PendingCRD{CRD: crd.obj, Step: r.env.Step, From: "this step"}, true
	}
	return r.catalogue.Kind(gvk.GroupKind())
}

// unknownKind returns an error if another step brings the API group, and with it a
// kind that is probably meant.
func (r *run) unknownKind(gvk schema.GroupVersionKind) error {
	near := nearest.Name(gvk.Kind, r.catalogue.Kinds(gvk.Group))
	if near == "" {
		return nil
	}
	pending, _ := r.catalogue.Kind(schema.GroupKind{Group: gvk.Group, Kind: near})
	return engine.InPlan(engine.WithHint(fmt.Errorf("%s has no kind %s in %s", pending.From, gvk.Kind, gvk.Group),
		fmt.Sprintf("did you mean %s?", near)))
}

// checkAgainst checks an object whose kind is not served yet against the schema
// that its CustomResourceDefinition is going to bring. The defaults of the
// server are not filled in: the edit shows the manifest.
func (r *run) checkAgainst(o *object, pending kubekit.PendingCRD) error {
	problems, err := pending.Check(o.obj)
	if err != nil {
		o.note = fmt.Sprintf("%s; the CRD of %s cannot be read: %v", noKind, pending.From, err)
		return nil
	}
	o.note = fmt.Sprintf("checked against the CRD of %s; %s", pending.From, r.laterLook(pending.Step))
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = o.refused(p, pending)
	}
	return engine.InPlan(errors.Join(errs...))
}

// laterLook returns when the API server itself can be asked.
func (r *run) laterLook(step string) string {
	if step == r.env.Step {
		return "the server's own look comes when that is Established"
	}
	return "the server's own look is known after " + step
}

func (o *object) refused(p kubetypes.FieldProblem, pending kubekit.PendingCRD) error {
	text, hint := refusedByCRD(p, pending)
	return engine.WithHint(fmt.Errorf("%s (%s): %s", o.ref, o.where([]string{p.Field}), text), hint)
}

// refusedByCRD returns the problem of a field with the schema of a CustomResourceDefinition,
// and a hint.
func refusedByCRD(p kubetypes.FieldProblem, pending kubekit.PendingCRD) (text, hint string) {
	text = p.Field + ": " + p.Message
	if p.Field == "" {
		text = p.Message
	}
	hint = "correct the manifest"
	if p.Unknown {
		text = "unknown field " + p.Field
		hint = "check the spelling and the place of the field"
		if p.Near != "" {
			hint = fmt.Sprintf("did you mean %s? %s", p.Near, hint)
		}
	}
	if !strings.HasPrefix(text, "apiVersion: ") {
		text += fmt.Sprintf(" (by the CRD of %s)", pending.From)
	}
	return text, hint
}

// withoutNamespace is the note of an object whose namespace does not exist yet.
func (r *run) withoutNamespace(o *object) string {
	note := fmt.Sprintf("namespace %s does not exist yet", o.ref.Namespace)
	if step := r.catalogue.Namespace(o.ref.Namespace); step != "" {
		note = fmt.Sprintf("namespace %s comes with step %s; %s", o.ref.Namespace, step, r.laterLook(step))
		if step == r.env.Step {
			note = fmt.Sprintf("namespace %s comes with this step", o.ref.Namespace)
		}
	}
	return note
}
