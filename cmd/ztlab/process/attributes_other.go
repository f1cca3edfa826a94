//go:build !linux

package process

import "syscall"

// attributes keeps the terminal's Ctrl-C away from the child: the parent
// decides in which order parts end. The held standard input alone ties the
// child to its parent here.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
