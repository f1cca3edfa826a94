package vaultkit

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

// A Mount is a secrets engine or auth method that a plan wants at a path.
type Mount struct {
	Table       MountTable
	Path        string // without slashes around it: "pki_int"
	Type        string // "pki", "kubernetes"
	Description string // empty means that any will do

	// MaxLeaseTTL and DefaultLeaseTTL are the mount's tuning; zero means that
	// any will do. With AtLeast a longer MaxLeaseTTL will do as well.
	MaxLeaseTTL     engine.Duration
	AtLeast         bool
	DefaultLeaseTTL engine.Duration
}

// A MountTable is one of Vault's two name spaces for mounts, by its API path.
type MountTable string

// The tables.
const (
	Secrets MountTable = "sys/mounts"
	Auth    MountTable = "sys/auth"
)

// Inspect reports whether m is mounted, and returns the differences. A mount of
// another type is a permanent error: unmounting it would destroy its data.
func (m Mount) Inspect(ctx context.Context, c *Client) (mounted bool, edits []engine.Edit, err error) {
	all, err := c.Read(ctx, string(m.Table))
	if err != nil {
		return false, nil, err
	}
	at := string(m.Table) + "/" + m.Path
	have, mounted := all[m.Path+"/"].(map[string]any)
	if !mounted {
		if parent := enclosing(all, m.Path); parent != "" {
			return false, nil, engine.Permanent(fmt.Errorf("%s: the path lies inside the mount %s", at, parent))
		}
		fields := append([]Field{{Name: "type", Want: m.Type}}, m.fields(nil)...)
		return false, Object(at, nil, fields, func(ctx context.Context) error { return m.enable(ctx, c) }), nil
	}
	if t := Text(have["type"]); t != m.Type {
		return true, nil, Refusal("choose another mount in the plan: unmounting it would destroy its data",
			"%s: is mounted with type %s, and the plan wants %s", at, t, m.Type)
	}
	return true, m.retune(at, have, c), nil
}

// fields are those that have differs in by the rules of m; have is nil for a
// missing mount.
func (m Mount) fields(have map[string]any) []Field {
	var fields []Field
	if m.Description != "" {
		fields = append(fields, Field{Name: "description", Want: m.Description})
	}
	if m.DefaultLeaseTTL > 0 {
		fields = append(fields, Field{Name: "default_lease_ttl", Want: m.DefaultLeaseTTL})
	}
	long := false
	if m.AtLeast {
		seen, ok := as(have["max_lease_ttl"], engine.Duration(0)).(engine.Duration)
		long = ok && seen >= m.MaxLeaseTTL
	}
	if m.MaxLeaseTTL > 0 && !long {
		fields = append(fields, Field{Name: "max_lease_ttl", Want: m.MaxLeaseTTL})
	}
	return fields
}

func (m Mount) retune(at string, have map[string]any, c *Client) []engine.Edit {
	// A listing shows the mount's own values, 0 for "the system's"; reading
	// .../tune would show them resolved.
	flat := map[string]any{"description": have["description"]}
	config, _ := have["config"].(map[string]any)
	for _, name := range []string{"max_lease_ttl", "default_lease_ttl"} {
		flat[name] = config[name]
	}
	fields := m.fields(flat)
	return Object(at, flat, fields, func(ctx context.Context) error { return c.Put(ctx, at+"/tune", Data(fields)) })
}

func (m Mount) enable(ctx context.Context, c *Client) error {
	config := Data(m.fields(nil))
	delete(config, "description")
	body := map[string]any{"type": m.Type, "config": config}
	if m.Description != "" {
		body["description"] = m.Description
	}
	err := c.Put(ctx, string(m.Table)+"/"+m.Path, body)
	if Refused(err, "path is already in use at") {
		return nil // another run was quicker; the next Inspect compares its mount
	}
	return err
}

// Claims are the settings of the mount that a plan gives, each by the input of its
// name. Settings that it leaves open, or bounds only from below, are not claimed.
func (m Mount) Claims() []engine.Claim {
	path := string(m.Table) + "/" + m.Path
	claims := []engine.Claim{{Path: path + "/type", Want: m.Type, Field: "mount"}}
	if m.Description != "" {
		claims = append(claims, engine.Claim{Path: path + "/description", Want: m.Description, Field: "description"})
	}
	if m.MaxLeaseTTL != 0 && !m.AtLeast {
		claims = append(claims, engine.Claim{Path: path + "/max_lease_ttl", Want: m.MaxLeaseTTL, Field: "maxLeaseTTL"})
	}
	if m.DefaultLeaseTTL != 0 {
		claims = append(claims, engine.Claim{Path: path + "/default_lease_ttl", Want: m.DefaultLeaseTTL, Field: "defaultLeaseTTL"})
	}
	return claims
}

// enclosing returns the mount that path lies in, or "".
func enclosing(all map[string]any, path string) string {
	for mount := range all {
		if strings.HasSuffix(mount, "/") && strings.HasPrefix(path, mount) {
			return mount
		}
	}
	return ""
}

var segment = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// ValidatePath reports a mount path that Vault would not take, or that would
// mean another path after cleaning.
func ValidatePath(p *engine.Problems, field, path string) {
	for part := range strings.SplitSeq(path, "/") {
		if !segment.MatchString(part) {
			p.AddProblem(engine.Problem{
				Field:   field,
				Message: fmt.Sprintf("%q is not a mount path", path),
				Hint:    "use letters, digits, _, - and ., without slashes at the ends: pki_int",
			})
			return
		}
	}
}

var name = regexp.MustCompile(`^\w(([\w.-]+)?\w)?$`)

// ValidateName reports a name of a role, issuer or key that Vault would not
// take. The pattern is Vault's own (sdk/framework.GenericNameRegex).
func ValidateName(p *engine.Problems, field, noun, s string) {
	if s != "" && !name.MatchString(s) {
		p.AddProblem(engine.Problem{
			Field:   field,
			Message: fmt.Sprintf("%q is not a name for %s", s, noun),
			Hint:    "use letters, digits and _, and - or . between them",
		})
	}
}

// Holds reports whether the path of an edit is the mount of this table at a path,
// or something inside it.
func (t MountTable) Holds(mount, path string) bool {
	root := mount
	if t == Auth {
		root = "auth/" + mount
	}
	return engine.Below(path, string(t)+"/"+mount) || engine.Below(path, root)
}
