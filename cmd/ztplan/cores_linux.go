package main

import "syscall"

// leaveNoCore keeps a crash from writing the process's memory, with keys and
// tokens in it, to a file: no core file, and none of the handlers that
// /proc/sys/kernel/core_pattern may name either, which a limit alone does not
// stop (core(5), PR_SET_DUMPABLE(2const)). Only root can attach to it then.
// A failure is ignored: the run does not depend on it.
func leaveNoCore() {
	crashBySignal()
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_DUMPABLE, 0, 0)
}
