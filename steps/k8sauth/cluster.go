package k8sauth

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applyrbacv1 "k8s.io/client-go/applyconfigurations/rbac/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// manager is the name under which the API server records the fields of ztplan.
const manager = "ztplan"

// managedBy marks the objects of the step, for people.
var managedBy = map[string]string{"app.kubernetes.io/managed-by": "ztplan"}

// grantName is the name of the Role and of the RoleBinding.
func (a ServiceAccount) grantName() string { return a.Name + "-tokenrequest" }

// Where the edits are.
func (a ServiceAccount) path() string     { return "ServiceAccount/" + a.Namespace + "/" + a.Name }
func (a ServiceAccount) rolePath() string { return "Role/" + a.Namespace + "/" + a.grantName() }
func (a ServiceAccount) bindingPath() string {
	return "RoleBinding/" + a.Namespace + "/" + a.grantName()
}

// seen holds the objects in the cluster; nil for a missing one.
type seen struct {
	account *corev1.ServiceAccount
	role    *rbacv1.Role
	binding *rbacv1.RoleBinding
}

func (s *Spec) inspectCluster(ctx context.Context, env *engine.Env) ([]engine.Edit, error) {
	if s.ServiceAccount == nil {
		return nil, nil
	}
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return nil, err
	}
	client := cluster.Client()
	have, err := s.see(ctx, client)
	if err != nil {
		return nil, err
	}
	var edits []engine.Edit
	if have.account == nil {
		edits = append(edits, s.makeAccount(client))
	}
	if s.TokenRequest == nil {
		return edits, nil
	}
	role, err := s.compareRole(client, have.role)
	if err != nil {
		return nil, err
	}
	binding, err := s.compareBinding(client, have.binding)
	if err != nil {
		return nil, err
	}
	return slices.Concat(edits, role, binding), nil
}

// see reads the three objects at once.
func (s *Spec) see(ctx context.Context, client kubernetes.Interface) (seen, error) {
	var (
		have seen
		errs [3]error
		wg   engine.Group
		a    = *s.ServiceAccount
	)
	wg.Go(func() {
		have.account, errs[0] = found(client.CoreV1().ServiceAccounts(a.Namespace).Get(ctx, a.Name, metav1.GetOptions{}))
	})
	if s.TokenRequest != nil {
		wg.Go(func() {
			have.role, errs[1] = found(client.RbacV1().Roles(a.Namespace).Get(ctx, a.grantName(), metav1.GetOptions{}))
		})
		wg.Go(func() {
			have.binding, errs[2] = found(client.RbacV1().RoleBindings(a.Namespace).Get(ctx, a.grantName(), metav1.GetOptions{}))
		})
	}
	wg.Wait()
	for i, object := range []string{"ServiceAccount " + a.Name, "Role " + a.grantName(), "RoleBinding " + a.grantName()} {
		if errs[i] != nil {
			return seen{}, fmt.Errorf("%s in %s: %w", object, a.Namespace, kubekit.Classify(errs[i]))
		}
	}
	return have, nil
}

// found turns the error of a missing object into nil.
func found[T any](object *T, err error) (*T, error) {
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return object, nil
}

func (s *Spec) makeAccount(client kubernetes.Interface) engine.Edit {
	a := *s.ServiceAccount
	edit := engine.Edit{
		Path: a.path(),
		Want: map[string]any{"name": a.Name, "namespace": a.Namespace},
	}
	if a.Create != nil && !*a.Create {
		edit.Note = "another owner makes it: serviceAccount.create is false"
		return edit
	}
	edit.Apply = func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts(a.Namespace).Apply(ctx,
			applycorev1.ServiceAccount(a.Name, a.Namespace).WithLabels(managedBy), apply)
		return explain(edit.Path, a.Namespace, err)
	}
	return edit
}

// apply takes over fields that others changed: compareRole and compareBinding refuse
// objects that ztplan never set.
var apply = metav1.ApplyOptions{FieldManager: manager, Force: true}

// rules are those of the Role: it may request tokens of the ServiceAccount.
func (s *Spec) rules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{s.ServiceAccount.Name}, Verbs: []string{"create"},
	}}
}

// subjects are the subjects of the RoleBinding.
func (s *Spec) subjects() []rbacv1.Subject {
	to := s.TokenRequest.GrantTo
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: to.ServiceAccount, Namespace: to.Namespace}}
}

func (a ServiceAccount) roleRef() rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: a.grantName()}
}

func (s *Spec) compareRole(client kubernetes.Interface, have *rbacv1.Role) ([]engine.Edit, error) {
	a, want := *s.ServiceAccount, s.rules()
	path := a.rolePath()
	edit := engine.Edit{Path: path, Want: map[string]any{"rules": showRules(want)}}
	if have != nil {
		if reflect.DeepEqual(have.Rules, want) {
			return nil, nil
		}
		if err := ours(path, have.ManagedFields); err != nil {
			return nil, err
		}
		edit.Path, edit.Have, edit.Want = path+"/rules", showRules(have.Rules), showRules(want)
	}
	edit.Apply = func(ctx context.Context) error {
		rule := applyrbacv1.PolicyRule().WithAPIGroups("").WithResources("serviceaccounts/token").WithResourceNames(a.Name).WithVerbs("create")
		_, err := client.RbacV1().Roles(a.Namespace).Apply(ctx,
			applyrbacv1.Role(a.grantName(), a.Namespace).WithLabels(managedBy).WithRules(rule), apply)
		return explain(path, a.Namespace, err)
	}
	return []engine.Edit{edit}, nil
}

func (s *Spec) compareBinding(client kubernetes.Interface, have *rbacv1.RoleBinding) ([]engine.Edit, error) {
	a, to, want := *s.ServiceAccount, s.TokenRequest.GrantTo, s.subjects()
	path := a.bindingPath()
	edit := engine.Edit{Path: path, Want: map[string]any{"role": a.grantName(), "subjects": showSubjects(want)}}
	if have != nil {
		if have.RoleRef.Kind != "Role" || have.RoleRef.Name != a.grantName() {
			return nil, vaultkit.Refusal(fmt.Sprintf("if it is not needed: kubectl -n %s delete rolebinding %s", a.Namespace, a.grantName()),
				"%s: binds %s %s, and that cannot be changed", path, have.RoleRef.Kind, have.RoleRef.Name)
		}
		if reflect.DeepEqual(have.Subjects, want) {
			return nil, nil
		}
		if err := ours(path, have.ManagedFields); err != nil {
			return nil, err
		}
		edit.Path, edit.Have, edit.Want = path+"/subjects", showSubjects(have.Subjects), showSubjects(want)
	}
	edit.Apply = func(ctx context.Context) error {
		_, err := client.RbacV1().RoleBindings(a.Namespace).Apply(ctx,
			applyrbacv1.RoleBinding(a.grantName(), a.Namespace).WithLabels(managedBy).
				WithRoleRef(applyrbacv1.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("Role").WithName(a.grantName())).
				WithSubjects(applyrbacv1.Subject().WithKind(rbacv1.ServiceAccountKind).WithName(to.ServiceAccount).WithNamespace(to.Namespace)), apply)
		return explain(path, a.Namespace, err)
	}
	return []engine.Edit{edit}, nil
}

// ours refuses an object that ztplan has never set anything of.
func ours(path string, fields []metav1.ManagedFieldsEntry) error {
	if slices.ContainsFunc(fields, func(f metav1.ManagedFieldsEntry) bool { return f.Manager == manager }) {
		return nil
	}
	var others []string
	for _, f := range fields {
		if !slices.Contains(others, f.Manager) {
			others = append(others, f.Manager)
		}
	}
	return vaultkit.Refusal("rename or delete it if it is not needed, or name another serviceAccount",
		"%s: is there, differs, and was made by %v", path, others)
}

func explain(path, namespace string, err error) error {
	if err == nil {
		return nil
	}
	if apierrors.IsNotFound(err) {
		return vaultkit.Refusal("the namespace "+namespace+" must exist: let this step come after the one that makes it",
			"%s: %w", path, err)
	}
	return fmt.Errorf("%s: %w", path, kubekit.Classify(err))
}

func showRules(rules []rbacv1.PolicyRule) []any {
	out := []any{}
	for _, r := range rules {
		out = append(out, map[string]any{
			"apiGroups": r.APIGroups, "resources": r.Resources, "resourceNames": r.ResourceNames, "verbs": r.Verbs,
		})
	}
	return out
}

func showSubjects(subjects []rbacv1.Subject) []string {
	out := []string{}
	for _, s := range subjects {
		out = append(out, fmt.Sprintf("%s %s/%s", s.Kind, s.Namespace, s.Name))
	}
	return out
}
