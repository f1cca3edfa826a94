//go:build unix

package ztlab

import (
	"os/exec"
	"syscall"
)

// ownSession takes cmd out of the terminal's foreground group, so that Ctrl-C
// reaches this program alone.
func ownSession(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
