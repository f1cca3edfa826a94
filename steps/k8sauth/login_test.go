package k8sauth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/k8sauth"
)

func TestTokenType(t *testing.T) {
	v := vaulttest.Shared(t)
	path, ca := mount(t, v), authority(t)
	s := newSpec(v.Address, v.Token, path, ca)
	s.Roles[0].TokenType = "batch"
	converge(t, s)
	if role := v.Do(t, "GET", "auth/"+path+"/role/cert-manager", ""); role["token_type"] != "batch" {
		t.Errorf("token_type is %v", role["token_type"])
	}
	s.Roles[0].TokenType = ""
	_, edits := inspect(t, s)
	want := []string{"auth/" + path + "/role/cert-manager/token_type: batch -> default"}
	if diff := cmp.Diff(want, vaulttest.Show(edits)); diff != "" {
		t.Error(diff)
	}
}

// The step that makes the login of its own connection does it with the token,
// and looks with the login once there is no token; another one uses the login
// at once. A change that the login may not make has a hint.
func TestMakesTheLogin(t *testing.T) {
	v, env := vaulttest.Shared(t), labtest.Env(t)
	login := v.NewLogin(t, env)
	login.MakeAccount()
	login.MakeMethod()
	of := func(role string) *k8sauth.Spec {
		s := newSpec(v.Address, v.Token, login.Mount, "")
		s.Vault.Login = login.Spec
		s.Policies = []k8sauth.Policy{{Name: login.Mount, Paths: map[string][]string{
			"sys/auth": {"read"}, "auth/" + login.Mount + "/*": {"read"}, "sys/policies/acl/" + login.Mount: {"read"},
			"auth/" + login.Mount + "/role/other": {"create", "read", "update"},
		}}}
		s.Roles = []k8sauth.Role{{
			Name: role, ServiceAccounts: []string{"admin"}, Namespaces: []string{login.ServiceAccount.Namespace},
			Policies: []string{login.Mount}, Audience: login.Audience, TokenType: "batch", TokenTTL: engine.Duration(5 * time.Minute),
		}}
		// The method is configured for a Vault outside the cluster.
		have := v.Do(t, "GET", "auth/"+login.Mount+"/config", "")
		s.Config.KubernetesHost, s.Config.KubernetesCACert = have["kubernetes_host"].(string), have["kubernetes_ca_cert"].(string)
		s.Config.DisableLocalCAJWT = true
		return s
	}
	// apply leaves out the configuration: the reviewer's token is needed here.
	apply := func(s *k8sauth.Spec) error {
		t.Helper()
		_, edits, err := s.Inspect(t.Context(), env)
		if err != nil {
			t.Fatal(err)
		}
		kept := edits[:0]
		for _, e := range edits {
			if !strings.HasPrefix(e.Path, "auth/"+login.Mount+"/config") {
				kept = append(kept, e)
			}
		}
		return vaulttest.ApplyAll(t, kept)
	}
	if err := apply(of("admin")); err != nil {
		t.Fatal(err)
	}
	other := of("other")
	other.Vault.Token = engine.Secret{}
	if err := apply(other); err != nil {
		t.Error(err)
	}
	changed := of("admin")
	changed.Vault.Token = engine.Secret{}
	changed.Roles[0].TokenTTL = engine.Duration(10 * time.Minute)
	err := apply(changed)
	vaulttest.WantPermanent(t, err, "403", "generate-root -init")
	changed.Vault.Token = engine.NewSecret(v.Token)
	if err := apply(changed); err != nil {
		t.Error(err)
	}
}
