package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckFolder returns the verdict on the folder of a file that a step is going to write:
// whether it exists, and whether this user may write there. It writes nothing.
func CheckFolder(path string) Verdict {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Verdict{Level: LevelFail, Detail: fmt.Sprintf("the folder %s does not exist", dir), Next: "mkdir -p " + dir}
	case err != nil:
		return Failed(err)
	case !info.IsDir():
		return Verdict{Level: LevelFail, Detail: fmt.Sprintf("%s is not a folder", dir), Next: "correct the path of the file"}
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return Verdict{Level: LevelFail, Detail: fmt.Sprintf("%s is a folder", path), Next: "name a file in it"}
	}
	if err := mayWrite(dir); err != nil {
		return Verdict{Level: LevelFail, Detail: fmt.Sprintf("this user cannot write to the folder %s: %v", dir, err), Next: "let this user write there, or name a file in another folder"}
	}
	return Verdict{Level: LevelOK, Detail: fmt.Sprintf("the folder %s can be written to", dir)}
}
