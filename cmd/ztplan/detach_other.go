//go:build !unix

package main

import (
	"io"
	"os"
)

// detach is nil: there is no process that the end of this one leaves alone.
var detach func(string, *os.File) (io.ReadWriteCloser, error)

func ignoreSignals() {}
