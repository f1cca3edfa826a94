// Package labstate owns the layout of a lab's state directory, the lock that
// keeps a second supervisor out of it, and the shape of a lab's status.
//
// Everything a lab writes is below that directory, except its Unix sockets
// when the directory's path is too long for a socket address; see
// [Dir.Sockets].
package labstate

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// A Dir is the absolute path of a lab's state directory.
type Dir string

// Default is $XDG_STATE_HOME/ztplan/lab, or ~/.local/state/ztplan/lab (XDG
// Base Directory Specification 0.8).
func Default() (Dir, error) {
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return Dir(filepath.Join(state, "ztplan", "lab")), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("lab directory: %w; give one with --lab-dir", err)
	}
	return Dir(filepath.Join(home, ".local", "state", "ztplan", "lab")), nil
}

// Find makes path absolute and changes nothing: there need not be a lab.
func Find(path string) (Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("lab directory %s: %w", path, err)
	}
	return Dir(abs), nil
}

// Open is Find for a lab that is to be started: it creates the directory, readable
// by its owner only, since it holds keys. A directory that others may read is made
// so if it is empty or a lab's; one with other content is refused.
func Open(path string) (Dir, error) {
	d, err := Find(path)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return "", fmt.Errorf("lab directory: %w", err)
	}
	info, err := os.Stat(string(d))
	if err != nil {
		return "", fmt.Errorf("lab directory: %w", err)
	}
	if info.Mode().Perm() == 0o700 {
		return d, nil
	}
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return "", fmt.Errorf("lab directory: %w", err)
	}
	if len(entries) > 0 && !d.Used() {
		return "", fmt.Errorf("lab directory %s: has other content and mode %04o: choose a directory of the lab's own", d, info.Mode().Perm())
	}
	if err := os.Chmod(string(d), 0o700); err != nil {
		return "", fmt.Errorf("lab directory: %w; it must belong to you", err)
	}
	return d, nil
}

// Used reports whether a lab was started in the directory.
func (d Dir) Used() bool {
	_, err := os.Lstat(d.lockFile())
	return err == nil
}

// Path joins names to the directory.
func (d Dir) Path(names ...string) string {
	return filepath.Join(append([]string{string(d)}, names...)...)
}

// The parts of the directory.
func (d Dir) Kubeconfig() string        { return d.Path("kubeconfig") }
func (d Dir) PKI() string               { return d.Path("pki") }
func (d Dir) Logs() string              { return d.Path("log") }
func (d Dir) Log(name string) string    { return d.Path("log", name+".log") }
func (d Dir) Etcd() string              { return d.Path("etcd") }
func (d Dir) Volumes() string           { return d.Path("volumes") }
func (d Dir) Node() string              { return d.Path("node") }
func (d Dir) ControlPlane() string      { return d.Path("controlplane") }
func (d Dir) Audit() string             { return d.Path("audit", "audit.log") }
func (d Dir) addressFile() string       { return d.Path("address") }
func (d Dir) lockFile() string          { return d.Path("lock") }
func (d Dir) Socket(name string) string { return filepath.Join(d.Sockets(), name) }

// longestSocket is the longest path that every supported system takes as a
// socket address: 104 bytes with the final NUL on macOS, 108 on Linux.
const longestSocket = 103

// Sockets is the directory of the lab's Unix sockets, mode 0700. It is "run"
// in the state directory unless that path is too long for a socket address;
// then it is a directory below [os.TempDir] whose name is a hash of the path,
// so that every command finds it again.
func (d Dir) Sockets() string {
	run := d.Path("run")
	if len(filepath.Join(run, "control.sock")) <= longestSocket {
		return run
	}
	sum := sha256.Sum256([]byte(d))
	return filepath.Join(os.TempDir(), fmt.Sprintf("ztlab-%d-%s", os.Getuid(), hex.EncodeToString(sum[:6])))
}

// Prepare creates the parts of the directory that must exist before anything
// starts. A socket directory that belongs to another user is an error.
func (d Dir) Prepare() error {
	for _, dir := range []string{d.PKI(), d.Logs(), d.Volumes(), d.Node(), d.ControlPlane(), filepath.Dir(d.Audit())} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("lab directory: %w", err)
		}
	}
	return d.prepareSockets()
}

func (d Dir) prepareSockets() error {
	dir := d.Sockets()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("socket directory: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("socket directory: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(owner.Uid) != os.Getuid() {
		return fmt.Errorf("socket directory %s belongs to another user; choose a shorter --lab-dir", dir)
	}
	return os.Chmod(dir, 0o700)
}

// ErrLocked means that a supervisor already runs in the directory.
var ErrLocked = errors.New("a lab already runs in this directory")

// Lock takes the directory for this process until the process ends or unlock
// is called. It fails with [ErrLocked] when another supervisor has it.
func (d Dir) Lock() (unlock func(), err error) {
	// A plain descriptor: an *os.File without a reference would be
	// closed by the garbage collector, and the lock would go with it.
	fd, err := syscall.Open(d.lockFile(), syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lab lock %s: %w", d.lockFile(), err)
	}
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		syscall.Close(fd)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", d, ErrLocked)
		}
		return nil, fmt.Errorf("lab lock %s: %w", d.lockFile(), err)
	}
	return func() { syscall.Close(fd) }, nil
}

// Runs is the directory where ztplan keeps the journals of runs on this lab.
func (d Dir) Runs() string { return filepath.Join(string(d), "runs") }

// Secrets is the directory where ztplan keeps the keys of this lab's Vault:
// they are of no use without the lab, and go with it.
func (d Dir) Secrets() string { return filepath.Join(string(d), "secrets") }

// owned are the entries that a lab makes in its directory: Purge removes
// nothing else in any directory.
func (d Dir) owned() []string {
	return []string{
		d.Kubeconfig(), d.PKI(), d.Logs(), d.Etcd(), d.Volumes(), d.Node(), d.ControlPlane(),
		filepath.Dir(d.Audit()), d.addressFile(), d.Sockets(), d.Secrets(), d.Runs(),
	}
}

// Purge forgets the lab: its cluster, its keys, its volumes, its logs. The
// caller holds the lock, which stays, as does everything that a lab did not
// make.
func (d Dir) Purge() error {
	var errs []error
	for _, path := range d.owned() {
		errs = append(errs, os.RemoveAll(path))
	}
	return errors.Join(errs...)
}
