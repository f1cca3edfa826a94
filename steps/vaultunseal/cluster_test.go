package vaultunseal

import (
	"testing"

	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

// An empty server joins the others if they have raft storage. With another storage it has
// no part in their data, and is refused.
func TestJoinWantsRaft(t *testing.T) {
	for storage, joins := range map[string]bool{vaultkit.StorageRaft: true, "file": false} {
		server := func(pod string, initialised bool) vaultkit.State {
			return vaultkit.State{
				Node:       vaultkit.Node{Pod: pod},
				SealStatus: &vaultkit.SealStatus{Initialized: initialised, Type: "transit", StorageType: storage},
			}
		}
		empty := server("vault-1", false)
		edits, err := new(Spec).join(t.Context(), nil, []vaultkit.State{server("vault-0", true), empty}, empty)
		if joins {
			if err != nil || len(edits) != 1 || edits[0].Path != "pods/vault-1/storage/raft" {
				t.Errorf("storage %s: edits %v, %v", storage, vaulttest.Show(edits), err)
			}
			continue
		}
		vaulttest.WantPermanent(t, err, `pod vault-1 is empty and pod vault-0 is initialised: with the storage "file" they share nothing`, "use raft storage")
		if len(edits) > 0 {
			t.Errorf("storage %s: edits %v", storage, vaulttest.Show(edits))
		}
	}
}
