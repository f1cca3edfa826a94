package custody

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
)

// A Forgetter is a Sink that can let go of the root token.
type Forgetter interface {
	// Forget takes token out of the sink and leaves everything else as it is,
	// byte for byte. It happens at once or not at all, and Forget returns only
	// after it was read back. A sink that holds no token any more is left alone;
	// one that holds another token is an error.
	Forget(ctx context.Context, token engine.Secret) error
}

// Forget takes token out of the sink, if the sink can do that.
func (h Holding) Forget(ctx context.Context, token engine.Secret) error {
	f, ok := h.Sink.(Forgetter)
	if !ok {
		return engine.WithHint(engine.Permanent(fmt.Errorf("%s: the root token cannot be taken out of it", h)),
			"take root_token out by hand; Vault does not know the token any more")
	}
	return f.Forget(ctx, token)
}

// Forget writes beside the file and renames. What an earlier try left beside it
// when it was cut off goes, too, if it holds the same keys.
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
	back, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s: reading back: %w", s, err)
	}
	if !bytes.Equal(back, text) {
		return fmt.Errorf("%s: reading back: is not what was written", s)
	}
	return nil
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

// Forget updates the Secret, unless somebody else did since it was read.
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
	back, err := api.Get(ctx, s.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("%s: reading back: %w", s, kubekit.Classify(err))
	}
	if !bytes.Equal(back.Data[s.Key], text) {
		return fmt.Errorf("%s: reading back: is not what was written", s)
	}
	return nil
}
