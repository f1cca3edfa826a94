//go:build !unix || solaris || illumos || aix

package durable

import (
	"errors"
	"os"
)

// Lock fails: locks of this system would keep others from reading the file.
func Lock(*os.File) error { return errors.ErrUnsupported }

// TryLock fails as Lock does.
func TryLock(*os.File) error { return errors.ErrUnsupported }

// Locked reports false.
func Locked(string) bool { return false }
