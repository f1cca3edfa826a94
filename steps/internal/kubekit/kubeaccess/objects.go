package kubeaccess

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// A Subject is an object that a step looks at and writes.
type Subject struct {
	Object *unstructured.Unstructured
	Ref    kubekit.Ref // with the namespace that the object gets

	// AnyName means that the object has another name from time to time.
	AnyName bool
	// Reason is the step's use of it.
	Reason string

	resource string
}

// NewSubject returns the subject that a step puts in a namespace, unless the object
// names one or its kind has none. The kinds that steps bring are in the catalogue.
func NewSubject(kinds *kubekit.Catalogue, o *unstructured.Unstructured, namespace, reason string) Subject {
	s := Subject{Object: o, Ref: kubekit.RefOf(o), Reason: reason, AnyName: o.GetName() == ""}
	resource, namespaced := ResourceOf(kinds, o.GroupVersionKind())
	s.resource = resource
	switch {
	case !namespaced:
		s.Ref.Namespace = ""
	case s.Ref.Namespace == "":
		s.Ref.Namespace = namespace
	}
	return s
}

// ResourceOf returns the resource of a kind, and whether its objects have namespaces:
// by a CustomResourceDefinition that a step brings, else by custom.
func ResourceOf(kinds *kubekit.Catalogue, gvk schema.GroupVersionKind) (resource string, namespaced bool) {
	if pending, ok := kinds.Kind(gvk.GroupKind()); ok {
		if plural, _, _ := unstructured.NestedString(pending.CRD.Object, "spec", "names", "plural"); plural != "" {
			return plural, pending.Namespaced()
		}
	}
	plural, _ := meta.UnsafeGuessKindToResource(gvk)
	return plural.Resource, !kubekit.ClusterScoped(gvk.Kind)
}

func (s Subject) name() string {
	if s.AnyName {
		return ""
	}
	return s.Ref.Name
}

func (s Subject) look(verbs ...string) engine.Permission {
	return look(s.Ref.GVK().Group, s.resource, s.Ref.Namespace, s.name(), s.Reason, verbs...)
}

func (s Subject) write(verbs ...string) engine.Permission {
	return write(s.Ref.GVK().Group, s.resource, s.Ref.Namespace, s.name(), s.Reason, verbs...)
}

// Look is needed to read the object and to judge whether it is ready.
func (s Subject) Look() []engine.Permission {
	list := []engine.Permission{s.look("get")}
	if kubestatus.RunsPods(s.Object) {
		list = append(list,
			look("", "pods", s.Ref.Namespace, "", "judges the pods of workloads", "list"),
			look("", "pods/log", s.Ref.Namespace, "", "quotes the last line of a container that ended", "get"))
	}
	return list
}

// Await is needed to wait for the object.
func (s Subject) Await() []engine.Permission {
	list := []engine.Permission{s.write("watch")}
	if kubestatus.RunsPods(s.Object) {
		list = append(list, write("", "pods", s.Ref.Namespace, "", "judges the pods of workloads", "watch"))
	}
	return list
}

// Apply is needed to write the object by server-side apply. The API server knows the
// name of an object that is created like this.
func (s Subject) Apply() engine.Permission { return s.write("patch", "create") }

// Create is needed to create the object by a POST, for which a permission with a name
// is of no use, and to patch it afterwards.
func (s Subject) Create() []engine.Permission {
	create := s.write("create")
	create.Name = ""
	return []engine.Permission{create, s.write("patch")}
}

// Delete is needed to delete the object.
func (s Subject) Delete() engine.Permission { return s.write("delete") }

// Grants are the permissions that roles and bindings among the subjects give: the API
// server refuses a role with permissions that its maker does not have. Of a role that is
// not among them, bind is enough (kubernetes.io/docs/reference/access-authn-authz/rbac,
// "Privilege escalation prevention and bootstrapping").
func Grants(subjects []Subject) []engine.Permission {
	own := make(map[string]bool)
	var list []engine.Permission
	for _, s := range subjects {
		if s.Ref.GVK().Group != rbacv1.GroupName || s.Ref.Kind != "Role" && s.Ref.Kind != "ClusterRole" {
			continue
		}
		own[kubekit.Ref{Kind: s.Ref.Kind, Namespace: s.Ref.Namespace, Name: s.Ref.Name}.String()] = true
		var role rbacv1.ClusterRole // the fields of a Role are among its fields
		if runtime.DefaultUnstructuredConverter.FromUnstructured(s.Object.Object, &role) != nil {
			continue // the API server refuses the object
		}
		for _, r := range role.Rules {
			list = append(list, Given(r, s.Ref.Namespace, s.Ref.Kind+" "+s.Ref.Name)...)
		}
	}
	for _, s := range subjects {
		if s.Ref.GVK().Group != rbacv1.GroupName || s.Ref.Kind != "RoleBinding" && s.Ref.Kind != "ClusterRoleBinding" {
			continue
		}
		role := kubekit.Ref{Namespace: s.Ref.Namespace}
		role.Kind, _, _ = unstructured.NestedString(s.Object.Object, "roleRef", "kind")
		role.Name, _, _ = unstructured.NestedString(s.Object.Object, "roleRef", "name")
		resource := "roles"
		if role.Kind == "ClusterRole" {
			resource, role.Namespace = "clusterroles", ""
		}
		if !own[role.String()] {
			list = append(list, write(rbacv1.GroupName, resource, s.Ref.Namespace, role.Name, "binds it in "+s.Ref.Kind+" "+s.Ref.Name, "bind"))
		}
	}
	return list
}

// Given returns the permissions that a rule of a role gives, in a namespace or, if that
// is empty, in the cluster.
func Given(r rbacv1.PolicyRule, namespace, role string) []engine.Permission {
	reason := "gives it in " + role
	var list []engine.Permission
	for _, path := range r.NonResourceURLs {
		list = append(list, engine.Permission{Verbs: r.Verbs, Path: path, Reason: reason, Write: true})
	}
	names := r.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	for _, group := range r.APIGroups {
		for _, resource := range r.Resources {
			for _, name := range names {
				list = append(list, write(group, resource, namespace, name, reason, r.Verbs...))
			}
		}
	}
	return list
}
