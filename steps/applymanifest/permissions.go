package applymanifest

import (
	"cmp"
	"context"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/applymanifest/completion"
	"github.com/ztplan/ztplan/steps/internal/certmanager"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// Permissions implements engine.PermissionNeeder: the manifests decide. An object counts
// once its apiVersion, kind, namespace and name are known, whatever else is not.
func (s *Spec) Permissions(ctx context.Context, env *engine.Env, unknown []string) (needed []engine.Permission, notKnown []string) {
	manifests, notKnown := s.identified(unknown)
	catalogue, err := kubekit.CatalogueOf(ctx, env)
	if err != nil {
		return nil, append(notKnown, err.Error())
	}
	r := &run{spec: s, env: env, catalogue: catalogue}
	for _, m := range r.withNamespace(manifests) {
		r.objects = append(r.objects, &object{manifest: m})
	}
	r.announce()
	subjects := make([]kubeaccess.Subject, len(r.objects))
	for i, o := range r.objects {
		one := kubeaccess.NewSubject(catalogue, o.obj, r.namespace(), "compares and applies the objects of the manifests")
		subjects[i], o.ref = one, one.Ref
		needed = append(append(append(needed, one.Look()...), one.Await()...), one.Apply())
		needed = append(needed, besides(one)...)
	}
	for _, c := range s.Wait.Conditions {
		needed = append(needed, r.conditionPermissions(c)...)
	}
	return append(needed, kubeaccess.Grants(subjects)...), notKnown
}

// besides is needed to judge an object by others, and for the record of work that
// vanishes.
func besides(one kubeaccess.Subject) []engine.Permission {
	switch one.Ref.GVK().GroupKind() {
	case certmanager.CertificateKind:
		reason := "says why a Certificate is not issued"
		requests := engine.Permission{Verbs: []string{"get"}, Group: certmanager.CertificateKind.Group, Resource: "certificaterequests", Namespace: one.Ref.Namespace, Reason: reason}
		watched := requests
		watched.Verbs, watched.Write = []string{"watch"}, true
		issuer, ok := certmanager.IssuerRef(one.Object)
		if !ok {
			return []engine.Permission{requests, watched}
		}
		read := requests
		read.Resource, read.Namespace, read.Name = strings.ToLower(issuer.Kind)+"s", issuer.Namespace, issuer.Name
		return []engine.Permission{requests, watched, read}
	}
	if !kubestatus.Vanishes(one.Object) {
		return nil
	}
	record := engine.Permission{Resource: "configmaps", Namespace: one.Ref.Namespace, Name: completion.Record, Reason: "records work that has run to its end"}
	read, merge, create := record, record, record
	read.Verbs = []string{"get"}
	merge.Verbs, merge.Write = []string{"patch"}, true
	create.Verbs, create.Write, create.Name = []string{"create"}, true, ""
	return []engine.Permission{read, merge, create}
}

// conditionPermissions are needed to wait for a condition of an object that is not
// among the manifests.
func (r *run) conditionPermissions(c Condition) []engine.Permission {
	for _, o := range r.objects {
		if c.concerns(o.ref) {
			return nil
		}
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.FromAPIVersionAndKind(c.APIVersion, c.Kind))
	u.SetName(c.Name)
	u.SetNamespace(cmp.Or(c.Namespace, r.spec.Namespace, metav1.NamespaceDefault))
	one := kubeaccess.NewSubject(r.catalogue, u, "", "waits for a condition of "+c.Kind+" "+c.Name)
	return append(one.Look(), one.Await()...)
}
