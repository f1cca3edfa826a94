package vaultunseal

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// outdated returns the edits that replace the pods which an upgrade has not reached, the
// active one last. Each is over when its successor answers.
func (s *Spec) outdated(env *engine.Env, states []vaultkit.State) []engine.Edit {
	old := slices.DeleteFunc(slices.Clone(states), func(st vaultkit.State) bool { return !st.Outdated })
	slices.SortStableFunc(old, func(a, b vaultkit.State) int {
		return cmp.Or(rank(a.Active)-rank(b.Active), cmp.Compare(len(b.Pod), len(a.Pod)), cmp.Compare(b.Pod, a.Pod))
	})
	edits := make([]engine.Edit, len(old))
	for i, st := range old {
		note := "deleted, and unsealed when it is there again"
		if st.Active {
			note = "the active one: a standby takes over; " + note
		}
		edits[i] = engine.Edit{
			Path: st.At("revision"), Have: "as before the upgrade, Vault " + st.Version, Want: "as its StatefulSet wants it", Note: note,
			Apply: func(ctx context.Context) error { return s.replace(ctx, env, st) },
		}
	}
	return edits
}

func rank(last bool) int {
	if last {
		return 1
	}
	return 0
}

// replace deletes a pod and opens its successor.
func (s *Spec) replace(ctx context.Context, env *engine.Env, old vaultkit.State) error {
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return err
	}
	if old.Active {
		s.stepDown(ctx, env, old)
	}
	uid := types.UID(old.UID)
	err = cluster.Client().CoreV1().Pods(s.Vault.Service.Namespace).Delete(ctx, old.Pod, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &uid},
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) { // it is another already
		return kubekit.Classify(err)
	}
	return s.opened(ctx, env, old)
}

// stepDown has the active server hand over before its pod goes, if the sinks have a token
// for that. Without one, Vault hands over as it ends.
func (s *Spec) stepDown(ctx context.Context, env *engine.Env, active vaultkit.State) {
	answer, _, err := s.Keys.Look(ctx, env)
	if err != nil || answer == nil || answer.RootToken.IsZero() {
		return
	}
	env.Conceal(answer.RootToken)
	if err := active.WithToken(answer.RootToken).StepDown(ctx); err != nil {
		env.Logf("pod %s does not step down, and hands over as it ends: %v", active.Pod, err)
	}
}

// opened waits for the successor of a pod, unseals it, and waits until it answers.
func (s *Spec) opened(ctx context.Context, env *engine.Env, old vaultkit.State) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		done, why, err := s.openSuccessor(ctx, env, old)
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("pod %s %s: %w", old.Pod, why, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

func (s *Spec) openSuccessor(ctx context.Context, env *engine.Env, old vaultkit.State) (done bool, why string, err error) {
	nodes, err := s.Vault.Nodes(ctx, env)
	if err != nil {
		return false, "", err
	}
	at := slices.IndexFunc(nodes.List, func(n vaultkit.Node) bool { return n.Pod == old.Pod && n.UID != old.UID })
	if at < 0 {
		return false, "is not there again", nil
	}
	next := nodes.List[at]
	status, err := next.SealStatus(ctx)
	switch {
	case err != nil:
		return false, "does not answer", nil // it starts; the time of the step bounds it
	case !status.Initialized:
		return false, "", engine.Permanent(fmt.Errorf("pod %s came back without data: no other pod is replaced; run again, and it joins", old.Pod))
	case !status.Sealed:
		done, why, err = next.Serving(ctx)
		return done, why, err
	case status.Type != vaultkit.Shamir:
		return false, "does not unseal itself", nil
	}
	answer, err := s.Keys.Unsealing(ctx, env, status)
	if err != nil {
		return false, "", err
	}
	if shares := answer.Distinct(); len(shares) >= status.T {
		return false, "is sealed", s.Keys.Unseal(ctx, next.Client, shares)
	}
	return false, "waits for its custodians", nil
}
