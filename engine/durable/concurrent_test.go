//go:build unix

package durable_test

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/ztplan/ztplan/engine/durable"
)

// Writers of one file do not remove temporary files that others are about to
// rename.
func TestConcurrentWriteFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Go(func() {
			for range 50 {
				if err := durable.WriteFile(name, []byte(strconv.Itoa(i)), 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	if data, err := os.ReadFile(name); err != nil || len(data) != 1 {
		t.Errorf("%q, %v", data, err)
	}
	wantAlone(t, dir)
}
