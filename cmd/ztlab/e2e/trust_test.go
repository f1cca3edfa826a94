package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// A member lab trusts the ServiceAccount tokens of a hub lab that are meant for it.
func TestMemberTrustsTheHubsTokens(t *testing.T) {
	const issuer = "https://hub.example"
	hub := up(t, "--service-account-issuer", issuer)
	_, err := hub.api.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "issuer"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:service-account-issuer-discovery"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:unauthenticated"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "member.yaml")
	ca := strings.ReplaceAll(strings.TrimSpace(string(hub.config.CAData)), "\n", "\n      ")
	text := fmt.Sprintf(`apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer:
    url: %s
    discoveryURL: %s/.well-known/openid-configuration
    certificateAuthority: |
      %s
    audiences: [member]
  claimMappings:
    username: {claim: sub, prefix: "hub:"}
`, issuer, hub.config.Host, ca)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(here, file)
	if err != nil {
		t.Fatal(err)
	}
	member := another(t, "--authentication-config", relative)

	if got := hub.status(t).ServiceAccountIssuer; got != issuer {
		t.Errorf("the hub's status names the issuer %q", got)
	}
	if got := member.status(t).AuthenticationConfig; got != file {
		t.Errorf("the member's status names the configuration %q; want %q", got, file)
	}
	for flag, l := range map[string]*lab{"--service-account-issuer=https://other.example": hub, "--authentication-config=other.yaml": member} {
		if _, err := ztlab(t, "up", flag, "--lab-dir", l.dir); err == nil || !strings.Contains(err.Error(), strings.SplitN(flag, "=", 2)[0]) {
			t.Errorf("a second up %s: %v; want it refused", flag, err)
		}
	}

	// who asks the member who a token of the hub is.
	who := func(audience string) (string, error) {
		t.Helper()
		token, err := hub.api.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "default",
			&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		config := rest.AnonymousClientConfig(member.config)
		config.BearerToken = token.Status.Token
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		review, err := client.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if err != nil {
			return "", err
		}
		return review.Status.UserInfo.Username, nil
	}
	const want = "hub:system:serviceaccount:default:default"
	var user string
	waitFor(t, "the member has the hub's keys", func() bool { // it fetches them in the background
		user, err = who("member")
		return err == nil
	})
	if user != want {
		t.Errorf("the member takes the token for %q; want %q", user, want)
	}
	if user, err := who("other"); !apierrors.IsUnauthorized(err) {
		t.Errorf("a token for another audience: %q, %v; want it refused", user, err)
	}
}

func TestBadTrustFlags(t *testing.T) {
	for flag, says := range map[string]string{
		"--service-account-issuer=http://hub.example": "is not an https URL",
		"--authentication-config=/none.yaml":          "/none.yaml: no such file",
	} {
		if _, err := ztlab(t, "up", flag, "--lab-dir", filepath.Join(t.TempDir(), "lab")); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("up %s: %v; want %q", flag, err, says)
		}
	}
}
