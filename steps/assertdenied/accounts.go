package assertdenied

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

// temporary marks a ServiceAccount that was made for an attempt. One that a
// killed run left behind is used and removed by the next.
const temporary = "ztplan.dev/made-for-an-attempt"

// cleanupTime bounds the clean-up after the end of the step's time.
const cleanupTime = 15 * time.Second

// token requests a token of a ServiceAccount for an audience, and for the further ones of
// the login.
func (v *attacker) token(ctx context.Context, who login.Account, audience string) (engine.Secret, error) {
	jwt, err := v.cluster.RequestToken(ctx, who.Namespace, who.Name, slices.Concat([]string{audience}, v.spec.Login.Audiences)...)
	v.env.Conceal(jwt)
	return jwt, err
}

// borrow makes sure that a ServiceAccount exists. remove deletes one that
// borrow made.
func (v *attacker) borrow(ctx context.Context, who login.Account) (remove func(), err error) {
	accounts := v.cluster.Client().CoreV1().ServiceAccounts(who.Namespace)
	have, err := accounts.Get(ctx, who.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		e := borrowed(who)
		e.Apply = func(ctx context.Context) (err error) {
			no := false
			have, err = accounts.Create(ctx, &corev1.ServiceAccount{
				ObjectMeta: metav1.ObjectMeta{
					Name:   who.Name,
					Labels: map[string]string{"app.kubernetes.io/managed-by": "ztplan", temporary: "true"},
				},
				AutomountServiceAccountToken: &no,
			}, metav1.CreateOptions{FieldManager: "ztplan"})
			return err
		}
		err = v.env.Apply(ctx, e)
		if apierrors.IsNotFound(err) {
			return nil, engine.WithHint(engine.Permanent(fmt.Errorf("ServiceAccount %s: %w", who, err)), "name a namespace that exists in the attempt")
		}
	case err == nil && have.Labels[temporary] == "":
		return func() {}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ServiceAccount %s: %w", who, kubekit.Classify(err))
	}
	uid := have.UID
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
		e := borrowed(who)
		e.Have, e.Want, e.Note = "made for an attempt", nil, "removed again"
		e.Apply = func(ctx context.Context) error {
			return accounts.Delete(ctx, who.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
		}
		err := v.env.Apply(ctx, e)
		if err != nil && !apierrors.IsNotFound(err) {
			v.env.Warnf("ServiceAccount %s was made for an attempt and could not be removed: %v", who, err)
		}
	}, nil
}
