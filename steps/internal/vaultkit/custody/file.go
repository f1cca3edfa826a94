package custody

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ztplan/ztplan/engine"
)

type fileSink struct {
	name, path string
	emergency  bool // goes where nobody chose, so git's rules are not asked
	sealed     bool // takes shares that are encrypted, which git may have
}

func (s fileSink) String() string { return "file " + s.name }

// Load refuses a file that others can read: what is in it has to be taken for
// known then, and somebody should hear of that. Neither that nor git's rules
// matter to shares that are encrypted.
func (s fileSink) Load(ctx context.Context) (*Answer, error) {
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
	a, err := Decode(text)
	if err != nil || len(a.Sealed) == 0 {
		if err := s.private(ctx, info); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, engine.WithHint(engine.Permanent(fmt.Errorf("%s: %w", s, err)),
			"restore the file from a copy; if there is none and Vault is not initialised, move it away")
	}
	return a, nil
}

// private refuses a file whose content others can have.
func (s fileSink) private(ctx context.Context, info fs.FileInfo) error {
	if err := s.ignoredByGit(ctx); err != nil {
		return err
	}
	if open := info.Mode().Perm() & 0o077; open != 0 {
		return engine.WithHint(
			engine.Permanent(fmt.Errorf("%s: holds keys of Vault and is open to others (mode %04o)", s, info.Mode().Perm())),
			"chmod 600 "+s.path+", and consider whom the keys have reached")
	}
	return nil
}

// Prove writes a file beside the one to come, makes it durable and removes it.
func (s fileSink) Prove(context.Context) error {
	dir := filepath.Dir(s.path)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return engine.WithHint(engine.Permanent(fmt.Errorf("%s: its directory %s does not exist", s, dir)), "mkdir -p -m 700 "+dir)
	case err != nil:
		return engine.Permanent(err)
	case !info.IsDir():
		return engine.Permanent(fmt.Errorf("%s: %s is not a directory", s, dir))
	}
	if err := s.absent(); err != nil {
		return err
	}
	temp, err := s.write([]byte("ztplan: a test whether keys can be kept here; may be deleted\n"))
	if err == nil {
		err = os.Remove(temp)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return engine.WithHint(engine.Permanent(fmt.Errorf("%s: cannot be written: %w", s, err)),
			"give keys.file a place where this user may write")
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

// Store writes beside, then links to the name: it appears whole or not at all.
func (s fileSink) Store(_ context.Context, a *Answer) error {
	if err := s.absent(); err != nil {
		return err
	}
	text := a.Encode()
	temp, err := s.write(text)
	if err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	// A link, unlike a rename, does not replace what appeared meanwhile. File
	// systems without links rename.
	if err = os.Link(temp, s.path); err == nil {
		err = os.Remove(temp)
	} else if !errors.Is(err, fs.ErrExist) {
		err = os.Rename(temp, s.path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(s.path))
	}
	if err != nil {
		_ = os.Remove(temp)
		return fmt.Errorf("%s: %w", s, err)
	}
	back, err := os.ReadFile(s.path)
	if err != nil {
		return fmt.Errorf("%s: reading back: %w", s, err)
	}
	if !bytes.Equal(back, text) {
		return fmt.Errorf("%s: reading back: is not what was written", s)
	}
	return nil
}

// write makes text durable in a new file beside s, readable by its owner only.
func (s fileSink) write(text []byte) (temp string, err error) {
	f, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".tmp-*")
	if err != nil {
		return "", err
	}
	err = f.Chmod(0o600)
	if err == nil {
		_, err = f.Write(text)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// Discard removes an emergency file after its content has reached its sinks.
func (e Emergency) Discard() error {
	s := e.fileSink
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(filepath.Dir(s.path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}
