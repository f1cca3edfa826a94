package kubekit

import (
	"context"
	"fmt"
	"net/http"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
)

// MinTokenLife is the shortest life that the API server gives a token
// (TokenRequestSpec.expirationSeconds).
const MinTokenLife = 10 * time.Minute

// RequestToken returns a token of a ServiceAccount, which is accepted only by the
// audiences, for [MinTokenLife]. The user in the kubeconfig must be allowed to
// create serviceaccounts/token.
//
// It is a POST and works while looking as well, the only one besides reviews of
// access: the API server signs the token and keeps nothing of it.
//
// The error satisfies apierrors.IsNotFound when there is no such ServiceAccount.
func (c *Cluster) RequestToken(ctx context.Context, namespace, name string, audiences ...string) (engine.Secret, error) {
	seconds := int64(MinTokenLife / time.Second)
	ctx = context.WithValue(ctx, tokenRequest{}, fmt.Sprintf("/api/v1/namespaces/%s/serviceaccounts/%s/token", namespace, name))
	answer, err := c.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: &seconds},
	}, metav1.CreateOptions{})
	if err != nil {
		return engine.Secret{}, fmt.Errorf("a token for ServiceAccount %s/%s: %w", namespace, name, Classify(err))
	}
	return engine.NewSecret(answer.Status.Token), nil
}

// tokenRequest is the key of the path that a context lets pass the guard.
type tokenRequest struct{}

func isTokenRequest(req *http.Request) bool {
	path, ok := req.Context().Value(tokenRequest{}).(string)
	return ok && req.Method == http.MethodPost && req.URL.Path == path
}
