package node

import "syscall"

// syscallKill0 reports whether a process exists: nil if it does.
func syscallKill0(pid int) error { return syscall.Kill(pid, 0) }
