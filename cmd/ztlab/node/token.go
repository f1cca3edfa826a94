package node

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// tokens are the ServiceAccount tokens of one pod. They are bound to the pod:
// the API server refuses them once the pod is gone.
type tokens struct {
	request func(ctx context.Context, spec authenticationv1.TokenRequestSpec) (*authenticationv1.TokenRequestStatus, error)
	now     func() time.Time
	held    map[string]heldToken // volume name and path
}

type heldToken struct {
	value   string
	renewAt time.Time
}

// requestFor returns the request function for a pod's ServiceAccount.
func (a *Agent) requestFor(pod *corev1.Pod) func(context.Context, authenticationv1.TokenRequestSpec) (*authenticationv1.TokenRequestStatus, error) {
	return func(ctx context.Context, spec authenticationv1.TokenRequestSpec) (*authenticationv1.TokenRequestStatus, error) {
		spec.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}
		account := pod.Spec.ServiceAccountName
		answer, err := a.client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, account,
			&authenticationv1.TokenRequest{Spec: spec}, metav1.CreateOptions{})
		if err != nil {
			return nil, fmt.Errorf("token of serviceaccount %q: %w", account, err)
		}
		return &answer.Status, nil
	}
}

// The kubelet renews a token at 80 % of its life, and after a day at the latest
// (kubelet/token: requiresRefresh).
const (
	renewFraction = 0.8
	longestUse    = 24 * time.Hour
)

// get returns a token for one projection, a new one when it is due.
func (t *tokens) get(ctx context.Context, volume string, p *corev1.ServiceAccountTokenProjection) (string, error) {
	key := volume + "/" + p.Path
	if held, ok := t.held[key]; ok && t.now().Before(held.renewAt) {
		return held.value, nil
	}
	spec := authenticationv1.TokenRequestSpec{ExpirationSeconds: p.ExpirationSeconds}
	if p.Audience != "" {
		spec.Audiences = []string{p.Audience}
	}
	status, err := t.request(ctx, spec)
	if err != nil {
		return "", err
	}
	now := t.now()
	life := time.Duration(float64(status.ExpirationTimestamp.Sub(now)) * renewFraction)
	if t.held == nil {
		t.held = map[string]heldToken{}
	}
	t.held[key] = heldToken{status.Token, now.Add(min(life, longestUse))}
	return status.Token, nil
}

// due is the time of the next renewal; zero when there is no token.
func (t *tokens) due() time.Time {
	var first time.Time
	for _, held := range t.held {
		if first.IsZero() || held.renewAt.Before(first) {
			first = held.renewAt
		}
	}
	return first
}
