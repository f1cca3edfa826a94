package vaultunseal

import (
	"testing"

	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// A member that is no voter yet is waited for: without its vote fewer pods may fail than
// the cluster has. A storage other than raft has no voters.
func TestAllVote(t *testing.T) {
	for _, c := range []struct {
		storage string
		voters  int
		want    bool
	}{{vaultkit.StorageRaft, 3, true}, {vaultkit.StorageRaft, 2, false}, {vaultkit.StorageRaft, 0, false}, {"file", 0, true}} {
		states := make([]vaultkit.State, 3)
		for i := range states {
			states[i].SealStatus = &vaultkit.SealStatus{StorageType: c.storage}
		}
		if got := (quorum{voters: c.voters}).all(states); got != c.want {
			t.Errorf("%d voters of 3 servers with storage %s: all %t", c.voters, c.storage, got)
		}
	}
}

// A standby may not be able to pass requests on: the active server is asked.
func TestActiveServerIsAsked(t *testing.T) {
	states := make([]vaultkit.State, 3)
	for i, pod := range []string{"vault-0", "vault-1", "vault-2"} {
		states[i].Pod = pod
	}
	if got := activeOf(states).Pod; got != "vault-0" {
		t.Errorf("%s is asked, and no label names an active one", got)
	}
	states[2].Active = true
	if got := activeOf(states).Pod; got != "vault-2" {
		t.Errorf("%s is asked, and vault-2 is active", got)
	}
}
