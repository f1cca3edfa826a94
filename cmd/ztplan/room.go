package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/cmd/ztplan/report"
)

// roomSize is how many bytes are kept free for a report: several times that of a
// run of plans/lab.yaml.
const roomSize = 4 << 20

// A room is space on the file system of a directory. It is a file without a name
// where there can be one, so that a run that is killed leaves nothing.
type room struct{ f *os.File }

// takeRoom makes the directory of a report and proves, by writing it, that there
// is room in it for one. The caller releases it just before the report is written.
func takeRoom(dir string) (*room, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, name := range append(report.Files(), attest.FileName) {
		switch info, err := os.Lstat(filepath.Join(dir, name)); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case info.IsDir():
			return nil, fmt.Errorf("%s is a directory, and a file of the report has that name", filepath.Join(dir, name))
		}
	}
	f, err := os.CreateTemp(dir, ".ztplan-room-")
	if err != nil {
		return nil, err
	}
	r := &room{f}
	_ = os.Remove(f.Name())
	data := make([]byte, roomSize)
	_, _ = rand.Read(data) // zeros may take no room
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync()); err != nil {
		r.release()
		return nil, fmt.Errorf("%s: no room for a report, %d bytes: %w", dir, roomSize, err)
	}
	return r, nil
}

// release frees the space; it may be called again.
func (r *room) release() {
	if r.f != nil {
		_ = r.f.Close()
		_ = os.Remove(r.f.Name()) // where an open file keeps its name
		r.f = nil
	}
}
