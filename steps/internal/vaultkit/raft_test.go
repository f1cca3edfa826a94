package vaultkit_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

// Members that are no voters yet, in the answers of a cluster in which one has just joined:
// there they are gone a moment later.
func TestPeers(t *testing.T) {
	const (
		configuration = `{"data": {"config": {"index": 0, "servers": [
			{"address": "vault-1.vault-internal:8201", "leader": false, "node_id": "vault-1", "protocol_version": "3", "voter": false},
			{"address": "vault-0.vault-internal:8201", "leader": true, "node_id": "vault-0", "protocol_version": "3", "voter": true}]}}}`
		autopilot = `{"data": {"healthy": false, "leader": "vault-0", "voters": ["vault-0"], "servers": {
			"vault-0": {"id": "vault-0", "healthy": true, "node_status": "alive", "node_type": "voter", "status": "leader"},
			"vault-1": {"id": "vault-1", "healthy": false, "node_status": "alive", "node_type": "voter", "status": "non-voter"},
			"vault-2": {"id": "vault-2", "healthy": true, "node_status": "alive", "node_type": "voter", "status": "voter"}}}}`
		denied = `{"errors": ["permission denied"]}`
	)
	proxy := vaulttest.NewProxy(t, vaulttest.Shared(t).Address)
	answer := func(status int, body, path string) {
		proxy.Answer(status, body, func(r vaulttest.Request) bool { return r.Path == path })
	}
	c, err := vaultkit.ConnectServer(t.Context(), vaulttest.Env(t), vaultkit.Server{Address: proxy.Address})
	if err != nil {
		t.Fatal(err)
	}
	c = c.WithToken(engine.NewSecret("any"))
	check := func(want ...vaultkit.Peer) {
		t.Helper()
		peers, err := c.Peers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, peers); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
	answer(http.StatusOK, configuration, "sys/storage/raft/configuration")
	check(vaultkit.Peer{ID: "vault-0", Voter: true}, vaultkit.Peer{ID: "vault-1"})
	answer(http.StatusForbidden, denied, "sys/storage/raft/configuration")
	answer(http.StatusOK, autopilot, "sys/storage/raft/autopilot/state")
	check(vaultkit.Peer{ID: "vault-0", Voter: true}, vaultkit.Peer{ID: "vault-1"}, vaultkit.Peer{ID: "vault-2", Voter: true})
	for _, path := range []string{"sys/storage/raft/configuration", "sys/storage/raft/autopilot/state"} {
		answer(http.StatusForbidden, denied, path)
	}
	if _, err := c.Peers(t.Context()); vaultkit.StatusOf(err) != http.StatusForbidden {
		t.Errorf("error is %v, want the refusal", err)
	}
	if err := proxy.Unused(); err != nil {
		t.Error(err)
	}
}
