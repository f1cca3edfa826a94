package custody

import (
	"bytes"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	v1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
)

type secretSink struct {
	env *engine.Env
	Secret
}

func (s secretSink) String() string { return "secret " + s.Namespace + "/" + s.Name }

func (s secretSink) secrets(ctx context.Context) (v1.SecretInterface, error) {
	c, err := kubekit.Connect(ctx, s.env)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s, err)
	}
	return c.Client().CoreV1().Secrets(s.Namespace), nil
}

// Load returns nil as well when the namespace does not exist.
func (s secretSink) Load(ctx context.Context) (*unsealkeys.Answer, error) {
	api, err := s.secrets(ctx)
	if err != nil {
		return nil, err
	}
	have, err := api.Get(ctx, s.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s, kubekit.Classify(err))
	}
	text, ok := have.Data[s.Key]
	if !ok {
		return nil, vaultkit.Refusal("name another Secret in keys.secret: another owner uses this one",
			"%s: is there without the key %s", s, s.Key)
	}
	a, err := unsealkeys.Decode(text)
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("%s: %s %w", s, s.Key, err))
	}
	return a, nil
}

// Reserve asks the API server to create the Secret without doing it: that runs its
// access control, its admission and its quotas.
func (s secretSink) Reserve(ctx context.Context, size int) (Reservation, error) {
	api, err := s.secrets(ctx)
	if err != nil {
		return nil, err
	}
	_, err = api.Create(ctx, s.object(bytes.Repeat([]byte{' '}, size)), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if apierrors.IsNotFound(err) {
		return nil, vaultkit.Refusal("create the namespace in a step before this one", "%s: cannot be written: %w", s, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot be written: %w", s, kubekit.Classify(err))
	}
	return s, nil
}

// Release has nothing to give up: the API server keeps no room.
func (s secretSink) Release(context.Context) {}

// Store creates the Secret.
func (s secretSink) Store(ctx context.Context, a *unsealkeys.Answer) error {
	api, err := s.secrets(ctx)
	if err != nil {
		return err
	}
	text := a.Encode()
	_, err = api.Create(ctx, s.object(text), metav1.CreateOptions{FieldManager: "ztplan"})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("%s: %w", s, kubekit.Classify(err))
	}
	// A Secret that exists already is ours if an answer was lost on its way.
	return s.readBack(ctx, text)
}

// readBack returns an error unless the Secret holds text.
func (s secretSink) readBack(ctx context.Context, text []byte) error {
	api, err := s.secrets(ctx)
	if err != nil {
		return err
	}
	back, err := api.Get(ctx, s.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("%s: reading back: %w", s, kubekit.Classify(err))
	}
	if !bytes.Equal(back.Data[s.Key], text) {
		return fmt.Errorf("%s: reading back: is not what was written", s)
	}
	return nil
}

func (s secretSink) object(text []byte) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: s.Name, Namespace: s.Namespace,
			Labels: map[string]string{"app.kubernetes.io/managed-by": "ztplan"},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{s.Key: text},
	}
}
