package engine

import "context"

// A Permission is a right that a step needs in the target of the plan. Its fields are
// those of a rule of role-based access control (RBAC).
type Permission struct {
	Verbs     []string // get, list, watch, create, update, patch, delete, bind
	Group     string   // of the API; "" for the core
	Resource  string   // in the plural, with the subresource after a slash if it is about one
	Namespace string   // "" for a resource without namespaces, and for all namespaces
	Name      string   // of the only object; "" for any
	Path      string   // of an address that is no resource, "/metrics"; then only Verbs is set besides
	Reason    string   // its use: "reads the records of the release"
	Write     bool     // needed by a step that writes, and neither by a dry run nor by a status
}

// A PermissionNeeder is a spec that knows which permissions its step needs in the
// target of the plan. Discovery of the target's API and reviews of the user's own
// access are left out: every user has them.
type PermissionNeeder interface {
	// Permissions returns the permissions, and descriptions of those that cannot be known
	// before a run. The inputs in unknown are zero, because they hold outputs of steps that
	// have not run. It reads files beside the plan, may fetch what the plan names, and does
	// not contact the target.
	Permissions(ctx context.Context, env *Env, unknown []string) (needed []Permission, notKnown []string)
}

// A PermissionUser is a spec whose step finds more with permissions that it does not need.
type PermissionUser interface {
	// Useful returns these permissions.
	Useful() []Permission
}

// A Remover is a spec whose step removes things that it made before and does not ask for
// any more.
type Remover interface {
	// Removals returns the permissions to remove them. Other than Permissions it reads
	// the target. The inputs in unknown are zero.
	Removals(ctx context.Context, env *Env, unknown []string) ([]Permission, error)
}
