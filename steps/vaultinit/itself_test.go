package vaultinit_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/vaultinit"
)

// A Vault that initialised itself has no shares and no root token: OpenBao's stanza
// initialize. Its keys are not lost. The lab's Vault cannot show that.
func TestInitialisedItself(t *testing.T) {
	v := vaulttest.Shared(t)
	status := func(r vaulttest.Request) bool { return r.Path == "sys/seal-status" }
	const itself = `{"type": "static", "initialized": true, "sealed": false, "t": 0, "n": 0, "version": "2.4.1",
		"storage_type": "raft", "cluster_name": "bao", "cluster_id": "c", "recovery_seal": true}`

	p := vaulttest.NewProxy(t, v.Address)
	p.Answer(200, itself, status)
	out, edits, err := newSpec(p.Address, filepath.Join(t.TempDir(), "keys.json")).Inspect(t.Context(), vaulttest.Env(t))
	if err != nil || len(edits) > 0 {
		t.Errorf("differs: %v, %v", vaulttest.Show(edits), err)
	}
	if d := cmp.Diff(vaultinit.Outputs{}, out); d != "" {
		t.Error(d)
	}

	// Sealed, it does not tell whether there are shares: to wait is right, to call its
	// keys lost, with the hint to delete the data, is not.
	p.Answer(200, strings.Replace(itself, `"sealed": false`, `"sealed": true`, 1), status)
	_, edits, err = newSpec(p.Address, filepath.Join(t.TempDir(), "keys.json")).Inspect(t.Context(), vaulttest.Env(t))
	if err != nil || len(edits) != 1 || edits[0].Path != "sys/seal" || edits[0].Apply != nil {
		t.Errorf("sealed: %v, %v; want to wait for sys/seal", vaulttest.Show(edits), err)
	}
	if err := p.Unused(); err != nil {
		t.Error(err)
	}
}
