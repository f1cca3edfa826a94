//go:build unix && !solaris && !illumos && !aix

package durable

import (
	"errors"
	"os"
	"syscall"
)

// Lock takes the exclusive lock of an open file (flock(2)) and waits for it. The
// lock lasts until this process and those that inherited the file have closed it
// or ended. An error means that the file system has no locks.
func Lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }

// TryLock is Lock without waiting: [ErrLocked] if another process has the lock.
func TryLock(f *os.File) error { return try(f, syscall.LOCK_EX) }

// Locked reports whether a process has the exclusive lock of the file.
func Locked(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(try(f, syscall.LOCK_SH), ErrLocked)
}

func try(f *os.File, how int) error {
	err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}
