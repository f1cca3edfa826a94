package custody

import "github.com/ztplan/ztplan/engine"

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
