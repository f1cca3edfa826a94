package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
)

// tree returns mode, size, time of change and content hash of all that is below dir.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		hash := sha256.New()
		if info.Mode().IsRegular() {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			if _, err := io.Copy(hash, f); err != nil {
				return err
			}
		}
		name, err := filepath.Rel(dir, path)
		out[name] = fmt.Sprintf("%v %s %x", info.Mode(), info.ModTime().UTC(), hash.Sum(nil))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// untouched calls f and fails the test if the working directory, the journal or
// the folder of the key file have changed.
func (w *world) untouched(t *testing.T, f func()) {
	t.Helper()
	dirs := []string{w.work, filepath.Join(w.dir, "secrets"), filepath.Join(w.dir, "runs"), filepath.Join(w.home, "state")}
	var before []map[string]string
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		before = append(before, tree(t, dir))
	}
	f()
	for i, dir := range dirs {
		if d := cmp.Diff(before[i], tree(t, dir)); d != "" {
			t.Errorf("%s was touched (-before +after):\n%s", dir, d)
		}
	}
}

// sealStatus shows whether Vault was initialised or unsealed, or is in the middle of it:
// those requests are in no audit log.
func (w *world) sealStatus() string {
	w.t.Helper()
	s, err := w.vaultAt().Sys().SealStatusWithContext(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprintf("initialized %t, sealed %t, progress %d", s.Initialized, s.Sealed, s.Progress)
}

// looks runs a dry run, records its requests, and fails the test if one could have changed
// anything.
func (w *world) looks(t *testing.T, name, vaultLog string, code int, f func() *outcome) {
	t.Helper()
	var o *outcome
	var got traffic
	keeps := func() string {
		if vaultLog == "" {
			return ""
		}
		return w.kept()
	}
	before := keeps()
	w.untouched(t, func() {
		got = w.record(vaultLog, func() { o = f() })
	})
	must(t, name, o, code)
	if after := keeps(); after != before || before != "" && !strings.HasPrefix(before, "0 tokens") {
		t.Errorf("%s: vault kept %s, and keeps %s", name, before, after)
	}
	if vaultLog != "" && (got.tokens != 1 || got.logins != 1) {
		t.Errorf("%s: %d tokens and %d logins, want one of each", name, got.tokens, got.logins)
	}
	for _, write := range got.writes {
		t.Errorf("%s: %s", name, write)
	}
	if got.api == 0 || vaultLog != "" && got.vault == 0 {
		t.Errorf("%s: the recorder is blind: %d API and %d Vault requests", name, got.api, got.vault)
	}
	got.report(t, name, o)
}

// same fails the test if two dry runs do not have the same output, for people and for
// programs, times aside.
func (w *world) same(t *testing.T) {
	t.Helper()
	a, b := w.dryRun(), w.dryRun()
	if d := cmp.Diff(timeless(a.stderr), timeless(b.stderr)); d != "" {
		t.Errorf("two dry runs print different texts (-first +second):\n%s", d)
	}
	if d := cmp.Diff(a.findings(), b.findings()); d != "" {
		t.Errorf("two dry runs find different things (-first +second):\n%s", d)
	}
	if a, b := a.summary().Digest, b.summary().Digest; a != b || a == "" {
		t.Errorf("two dry runs have the digests %q and %q", a, b)
	}
}

var times = regexp.MustCompile(`"(time|wallSeconds|criticalSeconds|seconds)":("[^"]*"|[0-9.e-]+),?|\b[0-9.]+s\b`)

func timeless(text string) string { return times.ReplaceAllString(text, "") }

// findings are the events with findings, in their order.
func (o *outcome) findings() []string {
	var found []string
	for i, e := range o.events {
		switch e.Action {
		case engine.ActionDiffers, engine.ActionPending, engine.ActionAfter, engine.ActionWould, engine.ActionUnchanged, engine.ActionWarn:
			found = append(found, timeless(o.lines[i]))
		}
	}
	return found
}

func (got traffic) report(t *testing.T, name string, o *outcome) {
	t.Helper()
	t.Logf("%s: %d API requests, %d Vault requests, %d logins, %d writes, %.2fs", name, got.api, got.vault, got.logins, len(got.writes), o.wall.Seconds())
}

// TestOneLab takes one lab through its life. Looking at it, empty, half-built,
// finished and drifted, makes no request that could change anything, nor does a second run;
// then its root token is gone, it drifts, Vault is upgraded, and its place is taken by
// another cluster. TestRotations proves rotations, on a lab of its own.
func TestOneLab(t *testing.T) {
	parallel(t)
	w := newWorld(t)
	w.sub(t, "empty", func(t *testing.T) {
		w.looks(t, "dry run of an empty world", "", 2, w.dryRun)
		w.same(t)
	})
	w.sub(t, "half-built", func(t *testing.T) {
		must(t, "the first part", w.run("--only", "vault,app"), 0)
		w.lookUntil("Vault's pod has started", func() bool { return w.vaultSocket() != "" })
		before := w.sealStatus()
		w.looks(t, "dry run of a half-built world", "", 2, w.dryRun)
		if after := w.sealStatus(); after != before {
			t.Errorf("vault was %s and is %s", before, after)
		}
	})
	w.sub(t, "attacks", w.attacked)
	whole := w.watched(t, w.work, nil, w.worldSecrets, func(started func(*os.Process)) *outcome {
		return w.doStarted(started, w.firstToken(&w.first), w.reported("-v")...)
	})
	must(t, "the whole plan", whole, 0)
	token := w.first
	w.look()
	device := w.auditVault()
	w.sub(t, "finished", func(t *testing.T) {
		w.looks(t, "dry run of a finished world", device, 0, w.dryRun)
		w.looks(t, "status of a finished world", device, 0, func() *outcome { return w.check() })
	})
	w.sub(t, "second-run", func(t *testing.T) {
		// The journal is written by every run, so the folders are not compared.
		var o *outcome
		got := w.record(device, func() { o = w.run() })
		must(t, "second run", o, 0)
		for _, write := range got.writes {
			t.Errorf("second run: %s", write)
		}
		if s := o.summary(); s.Edits != 0 || s.Changed != 0 {
			t.Errorf("second run: %d edits, %d steps changed", s.Edits, s.Changed)
		}
		got.report(t, "second run", o)
	})
	w.sub(t, "drifted", func(t *testing.T) {
		w.erase("pki_int/roles/example-dot-local")
		w.remove("Service/default/hello-app")
		w.looks(t, "dry run of a drifted world", device, 2, w.dryRun)
		var o *outcome
		got := w.record(device, func() { o = w.run() })
		must(t, "the run that removes the drift", o, 0)
		var api, vault bool // the recorder can see writes
		for _, write := range got.writes {
			api = api || strings.HasPrefix(write, "api: ")
			vault = vault || strings.HasPrefix(write, "vault: ")
		}
		if !api || !vault {
			t.Errorf("a run with edits in both made these writes: %q", got.writes)
		}
	})
	w.sub(t, "secrets", w.secretive)
	w.sub(t, "revoked", func(t *testing.T) { w.revoked(t, token) })
	w.sub(t, "drift", func(t *testing.T) {
		// Drift that the login cannot repair is removed with a root token, which stays.
		w.args = []string{"--var", "rootToken=keep"}
		w.giveBack(w.generateRoot(0, 2, 4))
		w.drift(t)
	})
	w.sub(t, "another-cluster", w.anotherCluster)
	w.sub(t, "upgrade", w.upgrade)
}

// TestRotations proves rotations on a world that was finished with the permissions of
// ztplan rbac: quick plans of the gallery are run on it, its gateway shows known bugs, a
// second certificate is given to its host, and its parts are restarted. Full: all servers,
// bugs and restarts, but not the gallery, which has a command of its own; then failures,
// and new intermediates, which are on the lab of TestCrash in the quick form.
func TestRotations(t *testing.T) {
	parallel(t)
	w := newWorld(t)
	w.sub(t, "permissions", w.permissions)
	must(t, "the plan", w.run(), 0)
	w.look()
	device := w.auditVault()
	if !full() {
		w.sub(t, "gallery", func(t *testing.T) { w.gallery(t, device, new(table)) })
	}
	w.sub(t, "external-parent", w.external)
	w.sub(t, "servers", func(t *testing.T) { w.servers(t) })
	w.sub(t, "gateway-bugs", func(t *testing.T) { w.gatewayBugs(t) })
	w.sub(t, "host-conflict", func(t *testing.T) { w.hostConflict(t) })
	w.sub(t, "restarts", func(t *testing.T) { w.restarts(t) })
	if full() {
		w.sub(t, "failures", w.failures)
		w.sub(t, "rollover", func(t *testing.T) { w.rollover(t, device) })
		return
	}
	w.sub(t, "interruptions", w.interruptions)
}
