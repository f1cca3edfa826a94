package custody

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
	"github.com/ztplan/ztplan/steps/session"
)

// emergencies are the files of last resort: beside the key file, or in the plan's
// directory; then in the state directory and in that for temporary files, which
// are often on another file system.
func (k Keys) emergencies(env *engine.Env) []fileSink {
	s := fileSink{name: k.File.Name + ".emergency", path: session.Of(env).Sink(k.File) + ".emergency", emergency: true}
	if k.File.IsZero() {
		s.name = fmt.Sprintf("vault-keys-%s-%s.emergency", k.Secret.Namespace, k.Secret.Name)
		s.path = session.Of(env).Sink(engine.File{Name: s.name, Path: filepath.Join(env.Dir, s.name)})
	}
	out := []fileSink{s}
	for _, dir := range []string{env.StateDir, os.TempDir()} {
		if dir == "" {
			continue
		}
		path := filepath.Join(dir, fmt.Sprintf("ztplan-vault-keys-%.6x.emergency", sha256.Sum256([]byte(s.path))))
		out = append(out, fileSink{name: path, path: path, emergency: true})
	}
	return out
}

// ErrLost is an answer that could be kept nowhere.
var ErrLost = errors.New("the keys could be kept nowhere")

// Rescue keeps a, which no sink has taken: in the room reserved for it, in an
// emergency file, or as text on last, which is standard error. where names the
// place. Without an error a later run finds it there by itself.
func (k Keys) Rescue(ctx context.Context, env *engine.Env, reserved Reservations, a *unsealkeys.Answer, last io.Writer) (where string, err error) {
	places := k.emergencies(env)
	for _, r := range reserved {
		f, ok := r.(*fileReservation)
		if !ok || !f.whole || f.named {
			continue
		}
		if f.name(ctx, places[0]) == nil {
			return places[0].String(), nil
		}
		return "file " + f.f.Name(), nil
	}
	var errs []error
	for _, s := range places {
		err := s.create(ctx, a)
		if err == nil {
			return s.String(), nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", s, err))
	}
	text := fmt.Sprintf("\nztplan: the keys of a Vault could be stored in no file. Save what is between the lines as %s, mode 0600.\n"+
		"----- keys of Vault -----\n%s----- end -----\n", k, a.Encode())
	if err := callsOf(ctx).do("standard error", func() error { _, err := io.WriteString(last, text); return err }); err != nil {
		return "", errors.Join(append(errs, fmt.Errorf("standard error: %w", err), ErrLost)...)
	}
	return "standard error", errors.Join(errs...)
}

// create writes a to a new file, readable by its owner only.
func (s fileSink) create(ctx context.Context, a *unsealkeys.Answer) error {
	c, dir := callsOf(ctx), filepath.Dir(s.path)
	var f *os.File
	err := c.do("open", func() (err error) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		f, err = os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	err = c.write(f, a.Encode())
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = c.remove(s.path) // a part is of no use, and takes room
		return err
	}
	return c.syncDir(dir)
}
