package custody

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
)

// Forget writes beside the file and renames. It also removes the files that an
// interrupted try left beside it, if they hold the same keys.
func (s fileSink) Forget(ctx context.Context, token engine.Secret) error {
	path, err := filepath.EvalSymlinks(s.path)
	if err != nil {
		return engine.Permanent(fmt.Errorf("%s: %w", s, err))
	}
	s.path = path
	have, err := os.ReadFile(path)
	if err != nil {
		return engine.Permanent(fmt.Errorf("%s: %w", s, err))
	}
	text, err := unsealkeys.WithoutRootToken(have, token)
	if err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	if err := s.replace(ctx, text); err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	return s.readBack(text)
}

// replace makes text the content of the file, at once.
func (s fileSink) replace(ctx context.Context, text []byte) error {
	now, err := unsealkeys.Decode(text)
	if err != nil {
		return err
	}
	c := callsOf(ctx)
	temp, err := s.write(ctx, text)
	if err != nil {
		return err
	}
	_ = temp.Close()
	if err := c.rename(temp.Name(), s.path); err != nil {
		return err
	}
	for _, left := range s.temporary(ctx) {
		if left.Blank || left.Answer != nil && left.Answer.SameKeys(now) {
			if err := left.Remove(ctx); err != nil {
				return err
			}
		}
	}
	return c.syncDir(filepath.Dir(s.path))
}

// Forget updates the Secret, unless another writer did since it was read.
func (s secretSink) Forget(ctx context.Context, token engine.Secret) error {
	api, err := s.secrets(ctx)
	if err != nil {
		return err
	}
	have, err := api.Get(ctx, s.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("%s: %w", s, kubekit.Classify(err))
	}
	text, err := unsealkeys.WithoutRootToken(have.Data[s.Key], token)
	if err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	have.Data[s.Key] = text
	if _, err := api.Update(ctx, have, metav1.UpdateOptions{FieldManager: "ztplan"}); err != nil {
		return fmt.Errorf("%s: %w", s, kubekit.Classify(err))
	}
	return s.readBack(ctx, text)
}
