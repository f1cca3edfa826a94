package checkout_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/checkout"
)

// git runs git in dir, apart from the configuration of whoever runs the tests.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org", "-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestRead(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git makes the repositories")
	}
	t.Setenv("HOME", t.TempDir())
	dir := t.TempDir()
	git(t, dir, "init", "--quiet")
	write(t, dir, ".gitignore", "/report/\n")
	write(t, dir, "plans/lab.yaml", "one\n")
	write(t, dir, "report/evidence.json", "{}")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "--quiet", "-m", "one")
	commit := git(t, dir, "rev-parse", "HEAD")
	other := filepath.Join(t.TempDir(), "worktree")
	git(t, dir, "worktree", "add", "--quiet", "-b", "other", other)
	write(t, other, "plans/lab.yaml", "two\n")
	git(t, other, "commit", "--quiet", "-a", "-m", "two")
	second := git(t, other, "rev-parse", "HEAD")

	read := func(name, dir, commit string, changes ...string) {
		t.Helper()
		c, err := checkout.Read(t.Context(), dir)
		if err != nil || c == nil {
			t.Fatalf("%s: %+v, %v", name, c, err)
		}
		if c.Commit != commit || c.Clean != (len(changes) == 0) || !slices.Equal(c.Changes, changes) {
			t.Errorf("%s: %+v, want commit %s and changes %q", name, c, commit, changes)
		}
	}
	below := filepath.Join(dir, "plans")
	read("a clean work tree, from a folder in it", below, commit)
	read("a linked work tree", filepath.Join(other, "plans"), second)
	git(t, dir, "pack-refs", "--all")
	git(t, dir, "gc", "--quiet")
	read("packed refs and objects", below, commit)
	read("packed refs and objects of a linked work tree", other, second)
	git(t, other, "checkout", "--quiet", "--detach", commit)
	read("no branch", other, commit)

	write(t, dir, "plans/lab.yaml", "changed\n")
	write(t, dir, "plans/new.yaml", "new\n")
	read("a changed and a new file", below, commit, " M plans/lab.yaml", "?? plans/new.yaml")
	git(t, dir, "add", "plans/lab.yaml")
	read("a staged file", below, commit, "?? plans/new.yaml", "M  plans/lab.yaml")
}

func TestReadNothing(t *testing.T) {
	if c, err := checkout.Read(t.Context(), t.TempDir()); c != nil || err != nil {
		t.Errorf("no repository: %+v, %v", c, err)
	}
	dir := t.TempDir()
	write(t, dir, ".git", "gitdir: /nowhere/at/all\n")
	if c, err := checkout.Read(t.Context(), dir); c != nil {
		t.Errorf("a broken repository: %+v, %v", c, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err := checkout.Read(ctx, "."); c == nil && err == nil {
		t.Error("nothing is said when the time is over")
	}
}
