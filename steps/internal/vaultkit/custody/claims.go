package custody

import (
	"context"
	"path/filepath"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Claims are the claims of the step that writes the sinks; field is the path of the
// input, and want identifies the keys.
func (k Keys) Claims(field, want string, unknown []string) []engine.Claim {
	claims := engine.FileClaim(k.File, want, field+".file", unknown)
	if k.Secret == nil || !engine.Known(field+".secret", unknown) {
		return claims
	}
	s := k.Secret.withDefault()
	object := kubekit.Ref{APIVersion: "v1", Kind: "Secret", Namespace: s.Namespace, Name: s.Name}
	return append(claims, engine.Claim{Path: kubekit.ClaimPath(object) + "/data/" + s.Key, Want: want, Field: field + ".secret"})
}

// Checks look at the key file: whether its keys can be read, or that they can be written.
// The Secret is a matter of permissions.
func (k Keys) Checks(field string, unknown []string) []engine.Check {
	if k.File.IsZero() || !engine.Known(field, unknown) {
		return nil
	}
	return []engine.Check{{Name: "keys of vault, file " + k.File.Name, Run: k.checkFile}}
}

func (k Keys) checkFile(ctx context.Context, env *engine.Env) engine.Verdict {
	s := k.fileSink(env)
	answer, err := s.Load(ctx)
	switch {
	case err != nil:
		return engine.Failed(err)
	case answer != nil:
		return engine.Verdict{Level: engine.LevelOK, Detail: "it holds keys of a Vault"}
	}
	if v := engine.CheckFolder(s.path); v.Level == engine.LevelFail {
		return v
	}
	if err := s.safeDir(); err != nil && !s.sealed {
		return engine.Failed(err)
	}
	return engine.Verdict{Level: engine.LevelOK, Detail: "it does not exist yet, and can be written in " + filepath.Dir(s.path)}
}

// Permissions are needed for a Secret with the keys; a file needs none.
func (k Keys) Permissions() []engine.Permission {
	if k.Secret == nil {
		return nil
	}
	one := engine.Permission{Resource: "secrets", Namespace: k.Secret.Namespace, Name: k.Secret.Name, Reason: "keeps the keys of Vault"}
	read, create, update := one, one, one
	read.Verbs = []string{"get"}
	create.Verbs, create.Write, create.Name = []string{"create"}, true, ""
	update.Verbs, update.Write = []string{"update"}, true
	return []engine.Permission{read, create, update}
}
