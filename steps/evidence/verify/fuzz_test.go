package verify_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// FuzzVerify: verifying any file does not panic and lists its checks; and a file
// that holds has canonical bytes, so that no other file has the same content.
func FuzzVerify(f *testing.F) {
	for _, name := range golden(f) {
		f.Add(name)
	}
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"schema": "ztplan.dev/evidence/v1", "steps": [{}], "rotations": [{"endpoints": [{"samples": [{"cert": 9}]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, checks := verify.Evidence(data)
		if len(checks) == 0 {
			t.Fatal("nothing was checked")
		}
		if len(problems(checks)) > 0 {
			return
		}
		if canonical, err := d.Encode(); err != nil || !bytes.Equal(canonical, display.JSON(data)) {
			t.Errorf("evidence that is not canonical is accepted (%v)", err)
		}
	})
}

// FuzzVerifyMutated: evidence in which any bytes were exchanged is refused.
func FuzzVerifyMutated(f *testing.F) {
	documents := golden(f)
	f.Add(uint32(100), uint8(1), []byte("x"))
	f.Add(uint32(5000), uint8(0), []byte(" "))
	f.Add(uint32(20000), uint8(3), []byte{})
	f.Fuzz(func(t *testing.T, at uint32, length uint8, instead []byte) {
		for _, was := range documents {
			i := int(at) % len(was)
			j := min(i+int(length), len(was))
			is := append(append(append([]byte(nil), was[:i]...), instead...), was[j:]...)
			if bytes.Equal(was, is) {
				continue
			}
			if _, checks := verify.Evidence(is); len(problems(checks)) == 0 {
				t.Errorf("bytes %d to %d became %q, and it is accepted", i, j, instead)
			}
		}
	})
}

// golden returns the documents of a good and of a failed run.
func golden(f *testing.F) [][]byte {
	f.Helper()
	files, err := filepath.Glob("../testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	var out [][]byte
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}
