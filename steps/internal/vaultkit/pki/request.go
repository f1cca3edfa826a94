package pki

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/durable"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// ReadRequest returns the content of a file with a certificate signing request, "" if
// there is none. It is no input, since a run writes it: it is read each time. Errors are
// permanent.
func ReadRequest(file engine.File) (string, error) {
	text, err := engine.ReadFile(file.Path, engine.MaxInput)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err == nil && len(text) == 0:
		err = errors.New("is empty")
	}
	if err != nil {
		return "", vaultkit.Refusal("move it away", "%s: %v", file.Name, err)
	}
	return string(text), nil
}

// WriteRequest writes a certificate signing request to a file at once, readable by all,
// unless the content is not the one that was seen when it was decided.
func WriteRequest(ctx context.Context, file engine.File, seen, csr string) error {
	switch now, err := ReadRequest(file); {
	case err != nil:
		return err
	case now != seen:
		return fmt.Errorf("%s: was changed by another meanwhile", file.Name)
	}
	if err := engine.WriteCheck(ctx); err != nil {
		return err
	}
	if err := durable.WriteFile(file.Path, []byte(csr+"\n"), 0o644); err != nil {
		return engine.WithHint(fmt.Errorf("%s: %w", file.Name, err), "make its folder, and let this user write there")
	}
	return nil
}
