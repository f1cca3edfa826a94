package helminstall

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit"
	"github.com/ztplan/ztplan/steps/internal/helmkit/chart"
	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/release"
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
	e, err := s.expect(ctx, env, unknown)
	if err != nil {
		return needed, []string{fmt.Sprintf("the objects of chart %s: %v", cmp.Or(s.Chart, s.Repo), err)}
	}
	if e.op.LooksUp() {
		notKnown = append(notKnown, e.op.Chart.Title()+" looks up objects in the cluster: which ones is not known")
	}
	notKnown = append(notKnown, withoutCluster)
	for _, crd := range e.crds {
		needed = append(append(append(needed, crd.Look()...), crd.Await()...), crd.Create()[0])
	}
	for _, one := range e.objects {
		needed = append(append(append(needed, one.Look()...), one.Await()...), one.Create()...)
		if one.deleted {
			needed = append(needed, one.Delete())
		}
		needed = append(needed, s.besides(one.Subject)...)
	}
	return append(needed, kubeaccess.Grants(e.subjects())...), notKnown
}

const withoutCluster = "the chart was rendered without a cluster: objects that depend on what the cluster has are not known"

// Removals implements engine.Remover: an upgrade deletes the objects that the release has
// and the chart does not make any more, unless they are to be kept.
func (s *Spec) Removals(ctx context.Context, env *engine.Env, unknown []string) ([]engine.Permission, error) {
	if !engine.Known("namespace", unknown) {
		return nil, errors.New("the namespace is an output of another step")
	}
	e, err := s.expect(ctx, env, unknown)
	if err != nil {
		return nil, err
	}
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return nil, err
	}
	installed, err := release.Read(ctx, cluster, s.Namespace, e.op.Name)
	if err != nil || installed == nil {
		return nil, err
	}
	objects, err := installed.Removed(e.has)
	if err != nil {
		return nil, err
	}
	catalogue, err := kubekit.CatalogueOf(ctx, env)
	if err != nil {
		return nil, err
	}
	var needed []engine.Permission
	for _, o := range objects {
		needed = append(needed, kubeaccess.NewSubject(catalogue, o, s.Namespace, "removes what the chart does not make any more").Delete())
	}
	return needed, nil
}

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

// An expectation has the objects that the chart makes, as far as they are known without a
// cluster.
type expectation struct {
	op      *helmkit.Operation
	objects []expected
	crds    []kubeaccess.Subject // of the chart's crds folder
}

// An expected object, as a subject of permissions.
type expected struct {
	kubeaccess.Subject
	deleted bool // by Helm, as a hook
}

// has reports whether the chart makes an object.
func (e *expectation) has(key manifest.Key) bool {
	return slices.ContainsFunc(e.objects, func(one expected) bool { return manifest.KeyOf(one.Object) == key })
}

func (e *expectation) subjects() []kubeaccess.Subject {
	list := make([]kubeaccess.Subject, len(e.objects))
	for i, one := range e.objects {
		list[i] = one.Subject
	}
	return list
}

// expect renders the chart without a cluster, once for all that ask in a session.
func (s *Spec) expect(ctx context.Context, env *engine.Env, unknown []string) (*expectation, error) {
	for _, input := range []string{"repo", "chart", "version", "values", "valuesFiles", "release", "username", "password"} {
		if !engine.Known(input, unknown) {
			return nil, fmt.Errorf("%s is an output of another step", input)
		}
	}
	return engine.Share(ctx, env.Session, "helmInstall expectation "+env.Step, func(ctx context.Context) (*expectation, error) {
		c, err := chart.Fetch(ctx, env, s.source())
		if err != nil {
			return nil, err
		}
		return s.render(ctx, env, c)
	})
}

func (s *Spec) render(ctx context.Context, env *engine.Env, c *chart.Chart) (*expectation, error) {
	v, err := values.Read(s.ValuesFiles, s.Values)
	if err != nil {
		return nil, err
	}
	catalogue, err := kubekit.CatalogueOf(ctx, env)
	if err != nil {
		return nil, err
	}
	e := &expectation{op: &helmkit.Operation{Chart: c, Values: v, Name: cmp.Or(s.releaseName(), c.Name), Namespace: s.Namespace}}
	if !s.SkipCRDs {
		if e.op.CRDs, err = helmkit.CRDs(c, v); err != nil {
			return nil, err
		}
		catalogue.AddCRDs(env.Step, c.Title(), e.op.CRDs...)
	}
	for _, crd := range e.op.CRDs {
		e.crds = append(e.crds, kubeaccess.NewSubject(catalogue, crd, "", "looks at the kinds of the chart, and restores them"))
	}
	found, err := e.op.Expect()
	if err != nil {
		return nil, err
	}
	refs, objects := make([]kubekit.Ref, len(found)), make([]*unstructured.Unstructured, len(found))
	for i, o := range found {
		objects[i] = o.Object
	}
	catalogue.AddCRDs(env.Step, c.Title(), objects...)
	for i, o := range found {
		one := expected{kubeaccess.NewSubject(catalogue, o.Object, s.Namespace, "compares, makes and restores the objects of the release"), o.Deleted}
		one.AnyName = one.AnyName || o.AnyName
		e.objects, refs[i] = append(e.objects, one), one.Ref
	}
	catalogue.AddObjects(env.Step, refs, objects)
	return e, nil
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
