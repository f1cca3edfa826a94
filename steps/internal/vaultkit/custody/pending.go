package custody

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// A Pending is a note beside the sink that Vault is being asked for its keys. It
// is there from before the question until the answer is stored. A note without
// keys says that a run ended in between, and when; it holds no secret.
type Pending struct{ file fileSink }

// A Note is what a Pending holds.
type Note struct {
	About string    `json:"about"`
	Plan  string    `json:"plan"`
	Step  string    `json:"step"`
	Vault string    `json:"vault"`
	Began time.Time `json:"began"`
}

// Pending returns the note of k, which lies where the emergency file would.
func (k Keys) Pending(env *engine.Env) Pending {
	s := k.Emergency(env).fileSink
	cut := func(path string) string { return path[:len(path)-len(filepath.Ext(path))] + ".pending" }
	s.name, s.path = cut(s.name), cut(s.path)
	return Pending{s}
}

// String names the note in messages.
func (p Pending) String() string { return p.file.String() }

// Begin writes the note durably, in the place of an older one.
func (p Pending) Begin(env *engine.Env, vault string) error {
	text, err := json.MarshalIndent(Note{
		About: "ztplan has asked Vault to initialise itself, and has not stored the keys yet",
		Plan:  env.Plan, Step: env.Step, Vault: vault, Began: env.Now().UTC().Truncate(time.Second),
	}, "", "  ")
	if err != nil {
		return err
	}
	temp, err := p.file.write(append(text, '\n'))
	if err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	if err = os.Rename(temp, p.file.path); err == nil {
		err = syncDir(filepath.Dir(p.file.path))
	}
	if err != nil {
		_ = os.Remove(temp)
		return fmt.Errorf("%s: %w", p, err)
	}
	return nil
}

// End removes the note.
func (p Pending) End() error {
	if err := os.Remove(p.file.path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return syncDir(filepath.Dir(p.file.path))
}

// Read returns the note, nil if there is none. One that cannot be read still
// says that somebody began.
func (p Pending) Read() *Note {
	text, err := os.ReadFile(p.file.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var n Note
	if err == nil {
		_ = json.Unmarshal(text, &n)
	}
	return &n
}
