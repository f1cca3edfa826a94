package custody

import (
	"context"
	"os"

	"github.com/ztplan/ztplan/engine/durable"
)

// calls are the system calls that keep keys. A context can carry a function that
// is asked before each of them, with its name: tests end the process there, or
// let the call fail.
type calls struct{ before func(call string) error }

type callsKey struct{}

func callsOf(ctx context.Context) calls {
	before, _ := ctx.Value(callsKey{}).(func(string) error)
	return calls{before}
}

func (c calls) do(name string, call func() error) error {
	if c.before != nil {
		if err := c.before(name); err != nil {
			return err
		}
	}
	return call()
}

// write makes text the beginning of f, durably.
func (c calls) write(f *os.File, text []byte) error {
	err := c.do("write", func() error { _, err := f.WriteAt(text, 0); return err })
	if err == nil {
		err = c.do("truncate", func() error { return f.Truncate(int64(len(text))) })
	}
	if err == nil {
		err = c.do("sync", f.Sync)
	}
	return err
}

func (c calls) remove(path string) error {
	return c.do("unlink", func() error { return os.Remove(path) })
}

func (c calls) link(from, to string) error {
	return c.do("link", func() error { return os.Link(from, to) })
}

func (c calls) rename(from, to string) error {
	return c.do("rename", func() error { return os.Rename(from, to) })
}

func (c calls) syncDir(dir string) error {
	return c.do("sync directory", func() error { return durable.SyncDir(dir) })
}
