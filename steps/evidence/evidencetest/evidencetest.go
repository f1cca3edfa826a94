// Package evidencetest gives tests the evidence of runs, as the tests of package verify make
// it.
package evidencetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ztplan/ztplan/steps/evidence"
)

// Read returns the evidence of a name, such as "passed" and "failed", and its bytes.
func Read(t testing.TB, name string) (*evidence.Document, []byte) {
	t.Helper()
	data, err := os.ReadFile(file(t, name))
	if err != nil {
		t.Fatal(err)
	}
	d, err := evidence.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	return d, data
}

// Document returns the evidence of a name.
func Document(t testing.TB, name string) *evidence.Document {
	t.Helper()
	d, _ := Read(t, name)
	return d
}

// file returns the file of the evidence of a name. A test runs in the folder of its
// package, which is below the module's.
func file(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "steps", "evidence", "testdata", name+".json")
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("the test does not run within the module")
		}
		dir = filepath.Dir(dir)
	}
}
