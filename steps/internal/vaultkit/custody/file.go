package custody

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
)

type fileSink struct {
	name, path string
	emergency  bool // its place is not the plan's choice, so git's rules do not apply
	sealed     bool // takes shares that are encrypted, which git may have
}

func (s fileSink) String() string { return "file " + s.name }

// Load refuses a file in the clear that others can read or that git would commit: its
// keys must be taken for known then.
func (s fileSink) Load(ctx context.Context) (*unsealkeys.Answer, error) {
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		if s.sealed {
			return nil, nil
		}
		return nil, s.ignoredByGit(ctx)
	}
	if err != nil {
		return nil, engine.Permanent(err)
	}
	if !info.Mode().IsRegular() {
		return nil, engine.Permanent(fmt.Errorf("%s: is not a file", s))
	}
	text, err := os.ReadFile(s.path)
	if err != nil {
		return nil, engine.Permanent(err)
	}
	a, err := unsealkeys.Decode(text)
	if err != nil || len(a.Sealed) == 0 {
		if err := s.private(ctx, info); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, vaultkit.Refusal("restore the file from a copy; if there is none and Vault is not initialised, move it away",
			"%s: %w", s, err)
	}
	return a, nil
}

// private refuses a file whose content others can have.
func (s fileSink) private(ctx context.Context, info fs.FileInfo) error {
	if err := s.ignoredByGit(ctx); err != nil {
		return err
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return vaultkit.Refusal("chmod 600 "+s.path+", and consider whom the keys have reached",
			"%s: holds keys of Vault and is open to others (mode %04o)", s, info.Mode().Perm())
	}
	return s.safeDir()
}

// Reserve writes size bytes of white space to a file beside the one to come and
// makes them durable. Leftovers of this kind are removed.
func (s fileSink) Reserve(ctx context.Context, size int) (Reservation, error) {
	dir := filepath.Dir(s.path)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, vaultkit.Refusal("mkdir -p -m 700 "+dir, "%s: its directory %s does not exist", s, dir)
	case err != nil:
		return nil, engine.Permanent(err)
	case !info.IsDir():
		return nil, engine.Permanent(fmt.Errorf("%s: %s is not a directory", s, dir))
	}
	if err := s.absent(); err != nil {
		return nil, err
	}
	if err := s.safeDir(); err != nil && !s.sealed {
		return nil, err
	}
	for _, left := range s.temporary(ctx) {
		if left.Blank {
			_ = left.Remove(ctx)
		}
	}
	f, err := s.write(ctx, slices.Concat(bytes.Repeat([]byte{' '}, size-1), []byte{'\n'}))
	if err != nil {
		return nil, vaultkit.Refusal("give keys.file a place with room where this user may write",
			"%s: cannot be written, with up to %d bytes: %w", s, size, err)
	}
	return &fileReservation{fileSink: s, f: f}, nil
}

// safeDir refuses a directory in which others could replace the key file.
func (s fileSink) safeDir() error {
	dir := filepath.Dir(s.path)
	info, err := os.Stat(dir)
	if err != nil {
		return engine.Permanent(err)
	}
	if who := others(info); who != "" {
		return vaultkit.Refusal("chmod go-w "+dir+", or keep the keys in a directory of your own",
			"%s: %s may replace it: the directory %s has mode %04o", s, who, dir, info.Mode().Perm())
	}
	return nil
}

func (s fileSink) absent() error {
	_, err := os.Lstat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%s: is there already, and keys are never overwritten", s)
	}
	return engine.WithHint(engine.Permanent(err), "move the file away, or name another in keys.file")
}

// A fileReservation is a file beside the sink that has the size of the keys, and
// becomes the sink.
type fileReservation struct {
	fileSink
	f       *os.File
	touched bool // may hold a part of the keys
	whole   bool // holds the keys, durably
	named   bool // has a name that is not a temporary one
}

// Store writes into the reservation, then links it to the name: the file appears
// whole or not at all.
func (r *fileReservation) Store(ctx context.Context, a *unsealkeys.Answer) error {
	c, text := callsOf(ctx), a.Encode()
	r.touched = true
	if err := c.write(r.f, text); err != nil {
		return fmt.Errorf("%s: %w", r.fileSink, err)
	}
	r.whole = true
	if err := r.name(ctx, r.fileSink); err != nil {
		return err
	}
	return r.readBack(text)
}

// readBack returns an error unless the file holds text.
func (s fileSink) readBack(text []byte) error {
	back, err := os.ReadFile(s.path)
	if err != nil {
		return fmt.Errorf("%s: reading back: %w", s, err)
	}
	if !bytes.Equal(back, text) {
		return fmt.Errorf("%s: reading back: is not what was written", s)
	}
	return nil
}

// name gives the file of the reservation the name of s. A link, unlike a rename,
// does not replace a file that appeared meanwhile. File systems without links rename.
func (r *fileReservation) name(ctx context.Context, s fileSink) error {
	c, temp := callsOf(ctx), r.f.Name()
	err := c.link(temp, s.path)
	if err == nil {
		_ = c.remove(temp) // the next look finds it
	} else {
		if taken := s.absent(); taken != nil {
			return taken
		}
		err = c.rename(temp, s.path)
	}
	if err == nil {
		r.named = true
		err = c.syncDir(filepath.Dir(s.path))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	return nil
}

// Release gives up a reservation that Store has not written to.
func (r *fileReservation) Release(ctx context.Context) {
	_ = r.f.Close()
	if !r.touched {
		_ = callsOf(ctx).remove(r.f.Name())
	}
}

// write makes text durable in a new file beside s, readable by its owner only. The
// caller closes it.
func (s fileSink) write(ctx context.Context, text []byte) (*os.File, error) {
	c := callsOf(ctx)
	var f *os.File
	err := c.do("open", func() (err error) {
		f, err = os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".tmp-*")
		return err
	})
	if err != nil {
		return nil, err
	}
	if err = c.write(f, text); err == nil {
		err = c.syncDir(filepath.Dir(s.path))
	}
	if err != nil {
		_ = f.Close()
		_ = c.remove(f.Name())
		return nil, err
	}
	return f, nil
}
