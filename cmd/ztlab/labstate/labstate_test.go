package labstate_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
)

func open(t *testing.T) labstate.Dir {
	t.Helper()
	d, err := labstate.Open(filepath.Join(t.TempDir(), "lab"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDefaultFollowsXDG(t *testing.T) {
	tests := map[string]struct{ xdg, home, want string }{
		"set":      {"/x/state", "/home/u", "/x/state/ztplan/lab"},
		"unset":    {"", "/home/u", "/home/u/.local/state/ztplan/lab"},
		"relative": {"state", "/home/u", "/home/u/.local/state/ztplan/lab"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_STATE_HOME", tt.xdg)
			t.Setenv("HOME", tt.home)
			got, err := labstate.Default()
			if err != nil || string(got) != tt.want {
				t.Errorf("Default() = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// To look for a lab changes nothing; to start one in a directory with other content
// that others may read is refused.
func TestDirectoryThatIsNoLab(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "other"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	absent := filepath.Join(dir, "absent")
	for _, path := range []string{dir, absent} {
		if d, err := labstate.Find(path); err != nil || d.Used() {
			t.Errorf("%s: used %v, %v", path, d.Used(), err)
		}
	}
	if _, err := os.Lstat(absent); err == nil {
		t.Error("looking for a lab made its directory")
	}
	if _, err := labstate.Open(dir); err == nil {
		t.Error("a lab may start among other content that others may read")
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the mode is now %v, %v", info.Mode(), err)
	}
	if d, err := labstate.Open(absent); err != nil || d.Used() {
		t.Errorf("a new one: %v", err)
	}
}

func TestLockKeepsASecondOut(t *testing.T) {
	d := open(t)
	unlock, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lock(); !errors.Is(err, labstate.ErrLocked) {
		t.Errorf("second lock: %v, want ErrLocked", err)
	}
	unlock()
	again, err := d.Lock()
	if err != nil {
		t.Fatalf("lock after unlock: %v", err)
	}
	again()
}

func TestPrepareIsPrivate(t *testing.T) {
	d := open(t)
	if err := d.Prepare(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{string(d), d.PKI(), d.Volumes(), d.Sockets()} {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o700 {
			t.Errorf("%s has mode %o, want 700", dir, got)
		}
	}
}

func TestSocketsFitASocketAddress(t *testing.T) {
	short := labstate.Dir("/s/lab")
	if got, want := short.Sockets(), "/s/lab/run"; got != want {
		t.Errorf("Sockets() = %q, want %q", got, want)
	}
	long := labstate.Dir("/" + strings.Repeat("d", 120))
	if got := long.Socket("control.sock"); len(got) > 103 {
		t.Errorf("socket path %q has %d bytes, want at most 103", got, len(got))
	}
	if other := long + "x"; other.Sockets() == long.Sockets() {
		t.Error("two directories share one socket directory")
	}
}

func TestPurgeRemovesOnlyWhatALabMade(t *testing.T) {
	d := open(t)
	if err := d.Prepare(); err != nil {
		t.Fatal(err)
	}
	foreign := d.Path("thesis.tex")
	for _, file := range []string{foreign, d.Kubeconfig(), filepath.Join(d.Volumes(), "data")} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Purge(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(string(d))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != "thesis.tex" {
		t.Errorf("left after Purge: %v, want only thesis.tex", entries)
	}
}

func TestClaimAddress(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has more than one loopback address by default")
	}
	a, b := open(t), open(t)
	first, release, err := a.ClaimAddress()
	if err != nil {
		t.Fatal(err)
	}
	second, releaseB, err := b.ClaimAddress()
	if err != nil {
		t.Fatal(err)
	}
	defer releaseB()
	if first == second {
		t.Errorf("two labs share %s", first)
	}
	// While it is held, even the same directory gets another one.
	other, releaseOther, err := labstate.Dir(a).ClaimAddress()
	if err != nil {
		t.Fatal(err)
	}
	if other == first {
		t.Errorf("%s was claimed twice", first)
	}
	releaseOther()
	release()
	if err := os.WriteFile(a.Path("address"), []byte(first+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, releaseAgain, err := a.ClaimAddress()
	if err != nil {
		t.Fatal(err)
	}
	defer releaseAgain()
	if again != first {
		t.Errorf("the next start got %s, want %s as before", again, first)
	}
}
