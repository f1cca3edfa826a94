package custody

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
	"github.com/ztplan/ztplan/steps/session"
)

// A Stray is a file that an earlier run left and that is not one of the sinks.
type Stray struct {
	fileSink
	Answer *unsealkeys.Answer // the keys in it, nil for none
	Blank  bool               // has no keys: a reservation, a proof, a note
	Err    error              // why it cannot be used: it may hold keys, or a part of them
}

// Remove removes the file.
func (s Stray) Remove(ctx context.Context) error {
	c := callsOf(ctx)
	if err := c.remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.syncDir(filepath.Dir(s.path))
}

// Strays returns the leftovers of earlier runs: temporary files beside the sink, and
// emergency files. note is the note of such a run, or nil.
func (k Keys) Strays(ctx context.Context, env *engine.Env, note *Note) []Stray {
	places := k.emergencies(env)
	beside := fileSink{name: strings.TrimSuffix(places[0].name, ".emergency"), path: strings.TrimSuffix(places[0].path, ".emergency")}
	out := beside.temporary(ctx)
	if path, err := filepath.EvalSymlinks(beside.path); err == nil && path != beside.path {
		out = append(out, fileSink{name: path, path: path}.temporary(ctx)...)
	}
	if note != nil {
		// Those of a run with another TMPDIR.
		for _, path := range note.Emergency {
			if !slices.ContainsFunc(places, func(s fileSink) bool { return s.path == path }) {
				places = append(places, fileSink{name: path, path: path, emergency: true})
			}
		}
	}
	for i, s := range places {
		// Other users may have files in the directory for temporary ones.
		if info, err := os.Lstat(s.path); err == nil && (i == 0 || mine(info)) {
			out = append(out, s.stray(ctx))
		}
	}
	return out
}

// ours are the ends of the names of temporary files.
var ours = regexp.MustCompile(`^(\.emergency|\.pending)?\.tmp-[0-9]+$`)

// temporary returns the temporary files of s.
func (s fileSink) temporary(ctx context.Context) []Stray {
	var out []Stray
	entries, _ := os.ReadDir(filepath.Dir(s.path))
	for _, e := range entries {
		end, ok := strings.CutPrefix(e.Name(), filepath.Base(s.path))
		if !ok || !ours.MatchString(end) {
			continue
		}
		out = append(out, fileSink{name: s.name + end, path: s.path + end, emergency: true}.stray(ctx))
	}
	return out
}

// largest is the size of the largest file that is looked at for keys.
const largest = 4 << 20

func (s fileSink) stray(ctx context.Context) Stray {
	out := Stray{fileSink: s}
	info, err := os.Lstat(s.path)
	switch {
	case err != nil:
		out.Err = err
		return out
	case !info.Mode().IsRegular():
		out.Err = fmt.Errorf("%s: is not a file", s)
		return out
	case !mine(info):
		out.Err = fmt.Errorf("%s: belongs to another user", s)
		return out
	case info.Size() > largest:
		out.Err = fmt.Errorf("%s: is too large to be keys (%d bytes)", s, info.Size())
		return out
	}
	if text, err := os.ReadFile(s.path); err == nil && blank(text) {
		out.Blank = true
		return out
	}
	out.Answer, out.Err = s.Load(ctx)
	return out
}

// blank reports whether text is that of a reservation, of a note, or of the proof
// that earlier versions wrote.
func blank(text []byte) bool {
	text = bytes.TrimSpace(text)
	var n Note
	return len(text) == 0 || bytes.HasPrefix(text, []byte("ztplan: a test whether keys can be kept here")) ||
		json.Unmarshal(text, &n) == nil && strings.HasPrefix(n.About, "ztplan ") && !n.Began.IsZero()
}

// Adopt returns the keys among strays, nil if there are none.
func Adopt(strays []Stray) (*unsealkeys.Answer, error) {
	var from *Stray
	for i, s := range strays {
		switch {
		case s.Answer == nil:
		case from == nil:
			from = &strays[i]
		case !from.Answer.SameKeys(s.Answer):
			return nil, twoVaults(from, s)
		}
	}
	if from == nil {
		return nil, nil
	}
	return from.Answer, nil
}

// Lookalikes returns the paths of files beside the sinks, and in the plan's
// directory, that hold keys of some Vault: a copy, or the file of a plan that
// named another.
func (k Keys) Lookalikes(env *engine.Env) []string {
	dirs := []string{env.Dir, session.Of(env).SinkDir}
	for _, s := range k.emergencies(env) {
		dirs = append(dirs, filepath.Dir(s.path))
	}
	slices.Sort(dirs)
	var out []string
	for _, dir := range slices.Compact(dirs) {
		if dir == "" || dir == filepath.Clean(os.TempDir()) {
			continue
		}
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if info, err := e.Info(); err != nil || !info.Mode().IsRegular() || info.Size() > largest {
				continue
			}
			if text, err := os.ReadFile(path); err == nil && bytes.Contains(text, []byte("key")) {
				if _, err := unsealkeys.Decode(text); err == nil {
					out = append(out, path)
				}
			}
		}
	}
	return out
}

// ManyNames returns how many more names the key file has than it should, and the
// path: a root token that is taken out of the file stays under those names. strays
// are the names that are known.
func (k Keys) ManyNames(env *engine.Env, strays []Stray) (path string, more int) {
	if k.File.IsZero() {
		return "", 0
	}
	path = session.Of(env).Sink(k.File)
	info, err := os.Stat(path)
	if err != nil {
		return "", 0
	}
	more = links(info) - 1
	for _, s := range strays {
		if other, err := os.Lstat(s.path); err == nil && os.SameFile(info, other) {
			more--
		}
	}
	return path, more
}
