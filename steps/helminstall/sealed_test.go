package helminstall_test

import (
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/helminstall"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/vaultinit"
	"github.com/ztplan/ztplan/steps/vaultunseal"
)

// An upgrade of a Vault in several pods that needs key shares: the first pod that is
// replaced comes back sealed, and is never ready. The others stay until it is. With the
// input of vaultUnseal instead each is unsealed before the next one goes.
func TestUpgradeOfSealedPods(t *testing.T) {
	w := newFixture(t)
	s := helminstall.Kind.New().(*helminstall.Spec)
	s.Repo, s.Chart, s.Version = "https://helm.releases.hashicorp.com", "vault", "0.31.0"
	s.Namespace = w.namespace
	server := map[string]any{
		"authDelegator": map[string]any{"enabled": false}, "affinity": "",
		"preStopSleepSeconds": 0, "readinessProbe": map[string]any{"initialDelaySeconds": 0, "periodSeconds": 1},
		"ha": map[string]any{"enabled": true, "replicas": 2, "raft": map[string]any{"enabled": true, "setNodeId": true}},
	}
	s.Values = map[string]any{"injector": map[string]any{"enabled": false}, "server": server}
	w.converge(s)

	at := vaultkit.Server{Service: vaultkit.Service{Namespace: w.namespace, Name: "vault", Port: 8200}}
	keys := engine.File{Name: "keys.json", Path: filepath.Join(t.TempDir(), "keys.json")}
	init := vaultinit.Kind.New().(*vaultinit.Spec)
	init.Vault.Server, init.Keys.File = at, keys
	unseal := vaultunseal.Kind.New().(*vaultunseal.Spec)
	unseal.Vault.Server, unseal.Keys.File = at, keys
	// Between looks the servers, which share the processors, have to get on.
	pause := func() bool { return engine.Pause(t.Context(), 50*time.Millisecond) == nil }
	settle := func(inspect func() ([]engine.Edit, error)) (paths []string) {
		t.Helper()
		for {
			edits, err := inspect()
			if err != nil && !errors.Is(err, engine.ErrPermanent) && pause() {
				continue // a run asks again as well: the cluster may have no active server
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(edits) == 0 {
				return paths
			}
			for _, e := range edits {
				if e.Apply == nil {
					continue
				}
				paths = append(paths, e.Path)
				if err := e.Apply(engine.AllowWrites(t.Context())); err != nil {
					t.Fatal(err)
				}
			}
			if !pause() {
				t.Fatal(t.Context().Err())
			}
		}
	}
	opened := func() ([]engine.Edit, error) {
		_, edits, err := unseal.Inspect(t.Context(), w.env)
		return edits, err
	}
	var root *vaultkit.Client
	settle(func() ([]engine.Edit, error) {
		out, edits, err := init.Inspect(t.Context(), w.env)
		if err == nil && root == nil && !out.RootToken.IsZero() {
			if root, err = vaultkit.ConnectServer(t.Context(), w.env, at); err == nil {
				root = root.WithToken(out.RootToken)
			}
		}
		return edits, err
	})
	quick := false // a new member is a voter after ten seconds, unless Vault is configured otherwise
	settle(func() ([]engine.Edit, error) {
		if !quick {
			quick = root.Put(engine.AllowWrites(t.Context()), "sys/storage/raft/autopilot/configuration", map[string]any{"server_stabilization_time": "1s"}) == nil
		}
		return opened()
	})

	server["annotations"], s.OnDelete = map[string]any{"upgraded": "yes"}, "restart"
	w.again()
	if err := w.apply(only(t, w.edits(s))); err != nil {
		t.Fatal(err)
	}
	// One for each pod, when the controller of the StatefulSet has seen that it has changed.
	edits := w.awaitEdits(s, func(edits []engine.Edit) bool { return len(edits) == 2 && edits[0].Apply != nil })
	standby, active := edits[0], edits[1]

	// The wait for the standby ends with the time of the step, in whichever request of it.
	notReady := regexp.MustCompile("runs and is not ready|was replaced and is not ready yet|^StatefulSet/")
	ctx, cancel := context.WithCancel(engine.AllowWrites(t.Context()))
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- standby.Apply(ctx) }()
	for !w.sealed(at, strings.TrimPrefix(standby.Path, "Pod/"+w.namespace+"/")) {
		if !pause() {
			t.Fatal(t.Context().Err())
		}
	}
	cancel()
	if err := <-ended; err == nil || !notReady.MatchString(err.Error()) || !strings.Contains(engine.HintOf(err), "give that step onDelete: restart instead") {
		t.Errorf("the standby: %v, hint %q", err, engine.HintOf(err))
	}
	if err := w.apply(active); err == nil || !strings.Contains(err.Error(), "is not deleted while pod ") || !strings.Contains(err.Error(), "too few might be left") {
		t.Errorf("the active pod: %v", err)
	}

	s.OnDelete, unseal.OnDelete = "keep", "restart"
	applied := settle(opened)
	if want := []string{strings.TrimPrefix(standby.Path, "Pod/"+w.namespace+"/"), strings.TrimPrefix(active.Path, "Pod/"+w.namespace+"/")}; !slices.Equal(applied, []string{"pods/" + want[0] + "/sys/seal", "pods/" + want[1] + "/revision"}) {
		t.Errorf("applied %v to %v", applied, want)
	}
	w.again()
	if edits := w.edits(s); len(edits) > 0 || strings.Contains(w.warnings.String(), "still runs what it ran") {
		t.Errorf("edits %v, warnings %s", paths(edits), w.warnings)
	}
}

// sealed reports whether a pod of Vault has come back sealed after its release was changed.
func (w *fixture) sealed(at vaultkit.Server, pod string) bool {
	w.t.Helper()
	nodes, err := at.Nodes(w.t.Context(), w.env)
	if err != nil {
		w.t.Fatal(err)
	}
	states, err := nodes.States(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.ContainsFunc(states, func(s vaultkit.State) bool { return s.Pod == pod && s.Sealed })
}
