package helminstall

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit"
	"github.com/ztplan/ztplan/steps/internal/helmkit/chart"
	"github.com/ztplan/ztplan/steps/internal/helmkit/values"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// Permissions implements engine.PermissionNeeder: the objects that the chart makes
// decide, rendered without a cluster.
func (s *Spec) Permissions(ctx context.Context, env *engine.Env, unknown []string) (needed []engine.Permission, notKnown []string) {
	if !engine.Known("namespace", unknown) {
		return nil, []string{"everything: the namespace is an output of another step"}
	}
	needed = s.releasePermissions()
	op, subjects, crds, err := s.expect(ctx, env, unknown)
	if err != nil {
		return needed, []string{fmt.Sprintf("the objects of chart %s: %v", cmp.Or(s.Chart, s.Repo), err)}
	}
	if op.LooksUp() {
		notKnown = append(notKnown, op.Chart.Title()+" looks up objects in the cluster: which ones is not known")
	}
	notKnown = append(notKnown, withoutCluster)
	for _, crd := range crds {
		crd.Reason = "looks at the kinds of the chart, and restores them"
		needed = append(append(append(needed, crd.Look()...), crd.Await()...), crd.Create()[0])
	}
	for _, one := range subjects {
		needed = append(append(append(needed, one.Look()...), one.Await()...), one.Create()...)
		if one.deleted {
			needed = append(needed, one.Delete())
		}
		needed = append(needed, s.besides(one.Subject)...)
	}
	plain := make([]kubeaccess.Subject, len(subjects))
	for i, one := range subjects {
		plain[i] = one.Subject
	}
	return append(needed, kubeaccess.Grants(plain)...), notKnown
}

const withoutCluster = "the chart was rendered without a cluster: objects that depend on what the cluster has are not known, " +
	"and neither are objects that an upgrade removes, on which it needs delete"

// releasePermissions are needed for the namespace and for the records of Helm.
func (s *Spec) releasePermissions() []engine.Permission {
	const records = "reads and writes the records of the release"
	list := []engine.Permission{
		{Verbs: []string{"get"}, Resource: "namespaces", Name: s.Namespace, Reason: "looks at the namespace of the release"},
		{Verbs: []string{"list", "get"}, Resource: "secrets", Namespace: s.Namespace, Reason: records},
		{Verbs: []string{"create", "update"}, Resource: "secrets", Namespace: s.Namespace, Reason: records, Write: true},
	}
	if s.MaxHistory > 0 {
		list = append(list, engine.Permission{Verbs: []string{"delete"}, Resource: "secrets", Namespace: s.Namespace, Reason: "removes old records of the release", Write: true})
	}
	if s.CreateNamespace {
		list = append(list, engine.Permission{Verbs: []string{"create"}, Resource: "namespaces", Reason: "makes the namespace of the release", Write: true})
	}
	return list
}

// An expected object, as a subject of permissions.
type expected struct {
	kubeaccess.Subject
	deleted bool
}

// expect renders the chart without a cluster.
func (s *Spec) expect(ctx context.Context, env *engine.Env, unknown []string) (*helmkit.Operation, []expected, []kubeaccess.Subject, error) {
	for _, input := range []string{"repo", "chart", "version", "values", "valuesFiles", "release", "username", "password"} {
		if !engine.Known(input, unknown) {
			return nil, nil, nil, fmt.Errorf("%s is an output of another step", input)
		}
	}
	v, err := values.Read(s.ValuesFiles, s.Values)
	if err != nil {
		return nil, nil, nil, err
	}
	c, err := chart.Fetch(ctx, env, s.source())
	if err != nil {
		return nil, nil, nil, err
	}
	catalogue, err := kubekit.CatalogueOf(ctx, env)
	if err != nil {
		return nil, nil, nil, err
	}
	op := &helmkit.Operation{Chart: c, Values: v, Name: cmp.Or(s.Release, s.source().Name(), c.Name), Namespace: s.Namespace}
	if !s.SkipCRDs {
		if op.CRDs, err = helmkit.CRDs(c, v); err != nil {
			return nil, nil, nil, err
		}
		catalogue.AddCRDs(env.Step, c.Title(), op.CRDs...)
	}
	objects, err := op.Expect()
	if err != nil {
		return nil, nil, nil, err
	}
	for _, o := range objects {
		catalogue.AddCRDs(env.Step, c.Title(), o.Object)
	}
	var crds []kubeaccess.Subject
	for _, crd := range op.CRDs {
		crds = append(crds, kubeaccess.NewSubject(catalogue, crd, s.Namespace, ""))
	}
	subjects := make([]expected, len(objects))
	for i, o := range objects {
		subjects[i] = expected{kubeaccess.NewSubject(catalogue, o.Object, s.Namespace, "compares, makes and restores the objects of the release"), o.Deleted}
		subjects[i].AnyName = subjects[i].AnyName || o.AnyName
	}
	return op, subjects, crds, nil
}

// besides is needed to judge an object of the release by others.
func (s *Spec) besides(one kubeaccess.Subject) []engine.Permission {
	var list []engine.Permission
	if _, has, _ := unstructured.NestedFieldNoCopy(one.Object.Object, "spec", "replicas"); has {
		list = append(list, engine.Permission{Verbs: []string{"list"}, Group: "autoscaling", Resource: "horizontalpodautoscalers", Namespace: one.Ref.Namespace,
			Reason: "leaves the replicas to an autoscaler if there is one"})
	}
	if kubestatus.StaysUntilDeleted(one.Object) {
		if one.Ref.Kind == "DaemonSet" {
			list = append(list, engine.Permission{Verbs: []string{"list"}, Group: "apps", Resource: "controllerrevisions", Namespace: one.Ref.Namespace, Reason: "finds pods that an upgrade has not reached"})
		}
		if s.OnDelete == onDeleteRestart {
			list = append(list, engine.Permission{Verbs: []string{"delete"}, Resource: "pods", Namespace: one.Ref.Namespace, Reason: "deletes pods that an upgrade has not reached", Write: true})
		}
	}
	if strings.HasSuffix(one.Ref.Kind, "WebhookConfiguration") {
		hooks, _, _ := unstructured.NestedSlice(one.Object.Object, "webhooks")
		for _, h := range hooks {
			m, _ := h.(map[string]any)
			namespace, _, _ := unstructured.NestedString(m, "clientConfig", "service", "namespace")
			if policy := kubefields.Text(m["failurePolicy"]); namespace == "" || policy != "" && policy != "Fail" {
				continue
			}
			reason := "waits until the webhooks can answer"
			list = append(list,
				engine.Permission{Verbs: []string{"list"}, Group: "discovery.k8s.io", Resource: "endpointslices", Namespace: namespace, Reason: reason},
				engine.Permission{Verbs: []string{"watch"}, Group: "discovery.k8s.io", Resource: "endpointslices", Namespace: namespace, Reason: reason, Write: true})
		}
	}
	return list
}
