package process

import "syscall"

// attributes ties the child to the thread that forks it and keeps the
// terminal's Ctrl-C away from it: the parent decides in which order parts end.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
