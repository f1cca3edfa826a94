//go:build unix && !solaris && !illumos && !aix

package custody

import (
	"errors"
	"os"
	"syscall"
)

// lockFile holds f for this process and those that inherit it, until the last has
// closed it or ended. held says that another has it. A file system without locks
// is no error.
func lockFile(f *os.File) (held bool) {
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
