//go:build unix

package engine

import "syscall"

// Modes of access(2).
const (
	accessWrite  = 2
	accessSearch = 1
)

// mayWrite asks the system whether this user may make files in a directory: by its mode,
// and because its file system is not read-only.
func mayWrite(dir string) error { return syscall.Access(dir, accessWrite|accessSearch) }
