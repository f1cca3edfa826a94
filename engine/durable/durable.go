// Package durable replaces files and locks them, so that neither the end of the
// process nor that of the machine leaves a part of a file.
//
// The usual libraries do not serve here: google/renameio has no Windows and, like
// natefinch/atomic, does not sync the directory, without which a rename can be
// lost in a power cut; gofrs/flock opens the file itself, and the locks here are
// on files that a process has open already and that a child process inherits.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces a file with data at once: a reader sees the old content or
// the new one. The new content is on the disk when WriteFile returns. A symbolic
// link of that name is replaced, not followed. An error leaves the file as it was
// and no other file beside it, except when syncing the directory fails. The
// temporary file of a process that was killed in WriteFile is removed by the next
// one.
func WriteFile(name string, data []byte, mode fs.FileMode) (err error) {
	f, locked, err := createTemp(name)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = errors.Join(f.Chmod(mode), f.Sync()); err != nil {
		return err
	}
	if !locked { // Windows renames no open file
		if err = f.Close(); err != nil {
			return err
		}
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return err
	}
	if locked {
		removeAbandoned(name)
		_ = f.Close() // it is synced
	}
	return SyncDir(filepath.Dir(name))
}
