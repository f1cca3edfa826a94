package e2e_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
)

// onlyOwner fails unless a component listens on nothing but a Unix socket in a
// directory that only its user can enter.
func onlyOwner(t *testing.T, c labstate.Component) {
	t.Helper()
	path, ok := strings.CutPrefix(c.Address, "unix:")
	if !ok {
		t.Fatalf("%s listens on %q, want a Unix socket", c.Name, c.Address)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode() != fs.ModeDir|0o700 {
		t.Errorf("the directory of %s: %v, %v, want mode 0700", path, info.Mode(), err)
	}
	if ports := listening(t, c.PID); len(ports) > 0 {
		t.Errorf("%s has TCP ports that every user can connect to: %v", c.Name, ports)
	}
}

// listening returns the TCP ports on which a process listens, as the kernel writes
// them.
func listening(t *testing.T, pid int) []string {
	t.Helper()
	fds := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(fds)
	if err != nil {
		t.Skip("sockets are found through /proc")
	}
	var sockets []string
	for _, e := range entries {
		target, _ := os.Readlink(filepath.Join(fds, e.Name()))
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			sockets = append(sockets, strings.TrimSuffix(inode, "]"))
		}
	}
	var ports []string
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue // no IPv6
		}
		for line := range strings.Lines(string(text)) {
			const listen = "0A" // TCP_LISTEN of include/net/tcp_states.h
			if f := strings.Fields(line); len(f) > 9 && f[3] == listen && slices.Contains(sockets, f[9]) {
				ports = append(ports, f[1])
			}
		}
	}
	return ports
}
