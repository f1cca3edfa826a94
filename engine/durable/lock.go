package durable

import "errors"

// ErrLocked means that another process holds the lock.
var ErrLocked = errors.New("another process has locked the file")
