//go:build unix

package main

import (
	"runtime/debug"
	"syscall"
)

// crashBySignal makes a crash that cannot be recovered, an error that the Go runtime calls
// fatal, end the process by SIGABRT. Go's own exit code for it is 2, which means
// differences here. The limit is there because such an end could leave a core file.
func crashBySignal() {
	if syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) == nil {
		debug.SetTraceback("crash")
	}
}
