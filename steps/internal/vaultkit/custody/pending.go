package custody

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/durable"
)

// A Pending is a note beside the sink while Vault is asked for its keys: it exists
// from before the question until the answer is stored, and its process holds its
// lock, where the file system has locks. A note that is not locked, without keys,
// means that a run ended in between, and has its time. It holds no secret.
type Pending struct{ files []fileSink } // the first that can be written has it

// A Note is the content of a Pending.
type Note struct {
	About string    `json:"about"`
	Plan  string    `json:"plan"`
	Step  string    `json:"step"`
	Vault string    `json:"vault"`
	Began time.Time `json:"began"`
	// Emergency are the files that get the keys if no sink can take them.
	Emergency []string `json:"emergency,omitempty"`
}

// Pending returns the note of k, which lies where the emergency file would.
func (k Keys) Pending(env *engine.Env) Pending {
	var p Pending
	cut := func(path string) string { return path[:len(path)-len(filepath.Ext(path))] + ".pending" }
	for _, s := range k.emergencies(env) {
		s.name, s.path = cut(s.name), cut(s.path)
		p.files = append(p.files, s)
	}
	return p
}

// ErrBusy is a note that another process holds.
var ErrBusy = errors.New("a process of an earlier run is initialising Vault and storing its keys")

// Begin writes the note durably, in the place of an older one, and locks it. The
// lock ends when the file is closed, by every process that has inherited it. ErrBusy
// means that another process has it.
func (p Pending) Begin(ctx context.Context, env *engine.Env, vault string) (*os.File, error) {
	note := Note{
		About: "ztplan has asked Vault to initialise itself, and has not stored the keys yet",
		Plan:  env.Plan, Step: env.Step, Vault: vault, Began: env.Now().UTC().Truncate(time.Second),
	}
	for _, s := range p.files {
		note.Emergency = append(note.Emergency, s.path[:len(s.path)-len(".pending")]+".emergency")
	}
	text, err := json.MarshalIndent(note, "", "  ")
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, s := range p.files {
		f, err := s.begin(ctx, append(text, '\n'))
		if err == nil || errors.Is(err, ErrBusy) {
			return f, err
		}
		errs = append(errs, fmt.Errorf("%s: %w", s, err))
	}
	return nil, errors.Join(errs...)
}

func (s fileSink) begin(ctx context.Context, text []byte) (*os.File, error) {
	c := callsOf(ctx)
	var f *os.File
	err := c.do("open", func() (err error) { f, err = os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600); return })
	if err != nil {
		return nil, err
	}
	if locked(f) || !s.is(f) {
		err = ErrBusy
	}
	if err == nil {
		err = c.write(f, text)
	}
	if err == nil {
		err = c.syncDir(filepath.Dir(s.path))
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// locked takes the lock of f and reports whether another process has it. A file
// system without locks is no error.
func locked(f *os.File) bool { return errors.Is(durable.TryLock(f), durable.ErrLocked) }

// is reports whether f has the name of s: the note may have been removed between
// its opening and its lock.
func (s fileSink) is(f *os.File) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(s.path)
	return err == nil && os.SameFile(a, b)
}

// End removes the note.
func (p Pending) End(ctx context.Context) error {
	c := callsOf(ctx)
	var errs []error
	for _, s := range p.files {
		err := c.remove(s.path)
		if err == nil {
			err = c.syncDir(filepath.Dir(s.path))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Read returns the note, nil if there is none, and the name of its file. A note that
// cannot be read is returned empty. busy reports whether a process holds it.
func (p Pending) Read() (n *Note, name string, busy bool) {
	for _, s := range p.files {
		f, err := os.OpenFile(s.path, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		n = new(Note)
		if err == nil {
			_ = json.NewDecoder(f).Decode(n)
			busy = locked(f)
			_ = f.Close()
		}
		return n, s.String(), busy
	}
	return nil, "", false
}

// Await returns when no process holds the note any more.
func (p Pending) Await(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond) // a lock of a file has no watch
	defer tick.Stop()
	for {
		if _, _, busy := p.Read(); !busy {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
