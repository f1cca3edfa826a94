package vaultunseal

import (
	"context"
	"fmt"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// Checks implements engine.Checker.
func (s *Spec) Checks(unknown []string) []engine.Check {
	checks := s.Vault.Checks("vault", unknown)
	if len(checks) == 0 || s.Vault.InCluster() == "" {
		return checks
	}
	return append(checks, engine.Check{Name: "pods of vault, " + s.Vault.Where(), Target: true, Run: s.checkPods})
}

// checkPods reports which of several pods are missing, sealed or empty; for one pod
// the other checks do.
func (s *Spec) checkPods(ctx context.Context, env *engine.Env) engine.Verdict {
	nodes, err := s.Vault.Nodes(ctx, env)
	if err != nil || !nodes.Several() {
		return engine.Verdict{}
	}
	states, err := nodes.States(ctx)
	if err != nil {
		return engine.Failed(err)
	}
	if vaultkit.Initialised(states) == nil {
		return engine.Verdict{}
	}
	var wrong []string
	for _, m := range nodes.Missing {
		wrong = append(wrong, m.Pod+" "+m.Why)
	}
	for _, st := range states {
		switch {
		case !st.Initialized:
			wrong = append(wrong, st.Pod+" has not joined")
		case st.Sealed:
			wrong = append(wrong, st.Pod+" is sealed")
		}
	}
	if len(wrong) > 0 {
		return engine.Verdict{Level: engine.LevelWarn, Detail: strings.Join(wrong, "; "), Next: "a vaultUnseal step joins and unseals them: run the plan"}
	}
	return s.checkVoters(ctx, env, states)
}

func (s *Spec) checkVoters(ctx context.Context, env *engine.Env, states []vaultkit.State) engine.Verdict {
	detail := fmt.Sprintf("%d pods answer and are unsealed", len(states))
	q, err := s.quorum(ctx, env, states)
	switch {
	case err != nil:
		q.unknown = err.Error()
		fallthrough
	case q.unknown != "":
		return engine.Verdict{Level: engine.LevelWarn, Detail: detail + "; not checked whether all are voters: " + q.unknown, Next: "let connections.vault.login ask for it"}
	case !q.all(states):
		return engine.Verdict{Level: engine.LevelWarn, Detail: detail + "; the raft cluster has " + q.String(), Next: "a new member becomes a voter when it was stable for a while; until then fewer pods may fail"}
	case states[0].StorageType == vaultkit.StorageRaft:
		detail += ", all are voters"
	}
	return engine.Verdict{Level: engine.LevelOK, Detail: detail}
}
