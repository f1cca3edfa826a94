//go:build unix && !solaris && !aix

package release

import (
	"os"
	"syscall"
)

// lock takes an exclusive lock on the open file without waiting. It lasts
// until the file is closed or the process ends.
func lock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
