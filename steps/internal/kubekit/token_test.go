package kubekit_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
)

// A token is for one audience and a short while, and can be had while looking;
// the same request in other hands cannot.
func TestRequestToken(t *testing.T) {
	env := labtest.Env(t)
	c, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	namespace := labtest.Namespace(t, env)
	accounts := c.Client().CoreV1().ServiceAccounts(namespace)
	if _, err := c.RequestToken(t.Context(), namespace, "admin", "vault://admin"); !apierrors.IsNotFound(err) {
		t.Errorf("error is %v, want not found", err)
	}
	if _, err := accounts.Create(engine.AllowWrites(t.Context()), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "admin"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := c.RequestToken(t.Context(), namespace, "admin", "vault://admin", "https://api.invalid")
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Audience []string `json:"aud"`
		Subject  string   `json:"sub"`
		Issued   int64    `json:"iat"`
		Expires  int64    `json:"exp"`
	}
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token.Reveal(), ".")[1])
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	life := time.Duration(claims.Expires-claims.Issued) * time.Second
	if !slices.Equal(claims.Audience, []string{"vault://admin", "https://api.invalid"}) || claims.Subject != "system:serviceaccount:"+namespace+":admin" || life != kubekit.MinTokenLife {
		t.Errorf("the token says %+v, and lives %v", claims, life)
	}
	_, err = accounts.CreateToken(t.Context(), "admin", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if !errors.Is(err, kubekit.ErrReadOnly) {
		t.Errorf("asked for by a step that looks: %v", err)
	}
}
