package k8sauth_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	authv1 "k8s.io/api/authentication/v1"
	authzv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/k8sauth"
)

// A side is the cluster's side of a step, in a namespace of its own.
type side struct {
	env       *engine.Env
	client    kubernetes.Interface
	namespace string
	spec      *k8sauth.Spec
}

func newSide(t *testing.T) *side {
	t.Helper()
	v := vaulttest.Shared(t)
	env := labtest.Env(t)
	cluster, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	w := &side{env: env, client: cluster.Client(), namespace: labtest.Namespace(t, env)}
	w.spec = newSpec(v.Address, v.Token, mount(t, v), authority(t))
	w.spec.ServiceAccount = &k8sauth.ServiceAccount{Namespace: w.namespace, Name: "vault-issuer"}
	w.spec.TokenRequest = &k8sauth.TokenRequest{GrantTo: k8sauth.Grantee{Namespace: w.namespace, ServiceAccount: "controller"}}
	w.spec.Roles[0].ServiceAccounts, w.spec.Roles[0].Namespaces = nil, nil
	return w
}

func (w *side) inspect(t *testing.T) []engine.Edit {
	t.Helper()
	_, edits, err := w.spec.Inspect(t.Context(), w.env)
	if err != nil {
		t.Fatal(err)
	}
	return edits
}

func (w *side) converge(t *testing.T) {
	t.Helper()
	if err := vaulttest.ApplyAll(t, w.inspect(t)); err != nil {
		t.Fatal(err)
	}
	if edits := w.inspect(t); len(edits) > 0 {
		t.Fatalf("still differs: %v", vaulttest.Show(edits))
	}
}

func TestClusterContract(t *testing.T) {
	w := newSide(t)
	enginetest.Run(t, enginetest.Case{
		Kind: k8sauth.Kind,
		Env:  w.env,
		Spec: func() any { return w.spec },
		Reset: func(ctx context.Context) error {
			reset(t, vaulttest.Shared(t), w.spec.Mount)
			all := metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=ztplan"}
			if err := w.client.RbacV1().RoleBindings(w.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, all); err != nil {
				return err
			}
			if err := w.client.RbacV1().Roles(w.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, all); err != nil {
				return err
			}
			return w.client.CoreV1().ServiceAccounts(w.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, all)
		},
	})
}

// The purpose: the controller, and no other account, may request a token for the
// ServiceAccount, and for no other one.
func TestGrantsTokenRequests(t *testing.T) {
	w := newSide(t)
	w.converge(t)
	ctx := engine.AllowWrites(t.Context())
	tokens := func(account string) authzv1.ResourceAttributes {
		return authzv1.ResourceAttributes{Namespace: w.namespace, Verb: "create", Resource: "serviceaccounts", Subresource: "token", Name: account}
	}
	labtest.Allowed(t, w.client, w.namespace, "controller", tokens("vault-issuer"))
	for who, account := range map[string]string{"controller": "default", "default": "vault-issuer"} {
		what := tokens(account)
		review, err := w.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authzv1.SubjectAccessReview{Spec: authzv1.SubjectAccessReviewSpec{
			User: "system:serviceaccount:" + w.namespace + ":" + who, ResourceAttributes: &what,
		}}, metav1.CreateOptions{})
		if err != nil || review.Status.Allowed {
			t.Errorf("%s may request tokens for %s: %v, %v", who, account, review.Status, err)
		}
	}
	token, err := w.client.CoreV1().ServiceAccounts(w.namespace).CreateToken(ctx, "vault-issuer",
		&authv1.TokenRequest{Spec: authv1.TokenRequestSpec{Audiences: []string{"vault://vault-issuer"}}}, metav1.CreateOptions{})
	if err != nil || token.Status.Token == "" {
		t.Errorf("no token: %v", err)
	}
}

func TestClusterDrift(t *testing.T) {
	w := newSide(t)
	w.converge(t)
	ctx := engine.AllowWrites(t.Context())
	roles, bindings := w.client.RbacV1().Roles(w.namespace), w.client.RbacV1().RoleBindings(w.namespace)
	const name = "vault-issuer-tokenrequest"

	t.Run("role", func(t *testing.T) {
		role, err := roles.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		role.Rules[0].ResourceNames = nil
		if _, err := roles.Update(ctx, role, metav1.UpdateOptions{FieldManager: "somebody"}); err != nil {
			t.Fatal(err)
		}
		if edits := w.inspect(t); len(edits) != 1 || edits[0].Path != "Role/"+w.namespace+"/"+name+"/rules" {
			t.Errorf("edits: %v", vaulttest.Show(edits))
		}
		w.converge(t)
	})
	t.Run("binding", func(t *testing.T) {
		binding, err := bindings.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		binding.Subjects = append(binding.Subjects, rbacv1.Subject{Kind: "ServiceAccount", Name: "intruder", Namespace: w.namespace})
		if _, err := bindings.Update(ctx, binding, metav1.UpdateOptions{FieldManager: "somebody"}); err != nil {
			t.Fatal(err)
		}
		want := []string{"RoleBinding/" + w.namespace + "/" + name + "/subjects: [ServiceAccount " + w.namespace + "/controller ServiceAccount " + w.namespace + "/intruder] -> [ServiceAccount " + w.namespace + "/controller]"}
		if diff := cmp.Diff(want, vaulttest.Show(w.inspect(t))); diff != "" {
			t.Error(diff)
		}
		w.converge(t)
	})
	t.Run("account", func(t *testing.T) {
		if err := w.client.CoreV1().ServiceAccounts(w.namespace).Delete(ctx, "vault-issuer", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if edits := w.inspect(t); len(edits) != 1 || edits[0].Path != "ServiceAccount/"+w.namespace+"/vault-issuer" {
			t.Errorf("edits: %v", vaulttest.Show(edits))
		}
		w.converge(t)
	})
}

func TestRefusesForeignObjects(t *testing.T) {
	w := newSide(t)
	ctx := engine.AllowWrites(t.Context())
	const name = "vault-issuer-tokenrequest"
	_, err := w.client.RbacV1().Roles(w.namespace).Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get"}}},
	}, metav1.CreateOptions{FieldManager: "somebody"})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = w.spec.Inspect(t.Context(), w.env)
	vaulttest.WantPermanent(t, err, "Role/"+w.namespace+"/"+name+": is there, differs, and was made by [somebody]", "another serviceAccount")
}

func TestNoNamespace(t *testing.T) {
	w := newSide(t)
	w.spec.ServiceAccount.Namespace = "no-such-namespace"
	err := vaulttest.ApplyAll(t, w.inspect(t))
	vaulttest.WantPermanent(t, err, `namespaces "no-such-namespace" not found`, "the namespace no-such-namespace must exist")
}

// With create: false the step waits for another owner.
func TestWaitsForTheAccount(t *testing.T) {
	w := newSide(t)
	no := false
	w.spec.ServiceAccount.Create = &no
	if err := vaulttest.ApplyAll(t, w.inspect(t)); err != nil {
		t.Fatal(err)
	}
	if edits := w.inspect(t); len(edits) != 1 || edits[0].Apply != nil {
		t.Errorf("edits: %v", vaulttest.Show(edits))
	}
}
