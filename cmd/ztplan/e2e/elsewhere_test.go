package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// reach are the flags that reach a lab as any other cluster.
func (w *world) reach() []string {
	args := []string{"--kubeconfig", w.status.Kubeconfig}
	for from, to := range w.status.Mirrors {
		args = append(args, "--mirror", from+"="+to)
	}
	return args
}

// anotherCluster is the kubeconfig that names another cluster by mistake, one
// that is alive: first an empty one, then one with a Vault of its own. The user
// is warned that it is another one than last time, and the keys beside the
// plan, which are those of the first, keep ztplan from changing the other's
// Vault; they stay as they are.
func (w *world) anotherCluster(t *testing.T) {
	keys, err := os.ReadFile(w.keys())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(w.work, "plans", filepath.Base(w.keys()))
	if err := os.WriteFile(file, keys, 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file)
	must(t, "a run on the right cluster", w.run(w.reach()...), 0)

	other := newWorld(t)
	const told = `^ warns: this is the cluster at https://.*; the last run of this plan, of .*, was on the one at https://`
	there := other.reach()
	status := w.check(there...)
	must(t, "status of an empty cluster", status, 2)
	expect(t, "status of an empty cluster", status, told)
	run := w.run(append(there, "--only", "unseal")...)
	must(t, "run on an empty cluster", run, 1)
	expect(t, "run on an empty cluster", run, told)
	expect(t, "run on an empty cluster", run, `^init .*vault is not initialised, but .* holds keys: they belong to another Vault`)

	must(t, "somebody's Vault", other.run("--only", "unseal"), 0)
	must(t, "a run on the right cluster again", w.run(w.reach()...), 0)
	status = w.check(append(there, "--only", "root")...)
	must(t, "status of a cluster with another Vault", status, 1)
	expect(t, "status of a cluster with another Vault", status, told)
	const unknown, refused = `^admin warns: vault does not know the token .*another Vault's and this is not the right cluster`, `^admin .*fails: .*is not possible yet: .*there is no token`
	expect(t, "status of a cluster with another Vault", status, unknown)
	expect(t, "status of a cluster with another Vault", status, refused)
	run = w.run(append(there, "--only", "root")...)
	must(t, "run on a cluster with another Vault", run, 1)
	expect(t, "run on a cluster with another Vault", run, unknown)
	expect(t, "run on a cluster with another Vault", run, refused)
	if s := run.summary(); s.Edits != 0 {
		t.Errorf("the run made %d edits there", s.Edits)
	}
	other.lab("restart", "vault")
	other.look()
	run = w.run(append(there, "--only", "unseal")...)
	must(t, "run on a cluster with another Vault, sealed", run, 1)
	expect(t, "run on a cluster with another Vault, sealed", run, `^unseal .*do not open this Vault.*another Vault`)

	now, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(now, keys) {
		t.Errorf("the key file was touched: %v", err)
	}
}
