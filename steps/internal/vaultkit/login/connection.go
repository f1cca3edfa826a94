package login

import (
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// A Connection is a Server with the token and the login for it.
type Connection struct {
	vaultkit.Server `yaml:",inline"`
	// Token authenticates the requests. It comes from another step's output,
	// such as "${steps.init.rootToken}", or from a secret variable, which may name
	// an environment variable itself; VAULT_TOKEN does not count. With login it only
	// bootstraps: it is used as long as the login is not possible yet, and by the
	// step that makes the login.
	Token engine.Secret `yaml:"token"`
	// TokenFile is a file with the token instead, such as the sink of Vault Agent,
	// which others cannot read. Each step reads it: it need not be there before. A plan
	// with both this and login chooses by variables: "" leaves tokenFile out, null login.
	TokenFile engine.File `yaml:"tokenFile" credential:"private"`
	// Login takes over from token as soon as it works. A variable whose value is null
	// leaves it out.
	Login *Spec `yaml:"login"`
}

// An Entrance is a Server and the login to it, for steps that need no token.
type Entrance struct {
	vaultkit.Server `yaml:",inline"`
	// Login is used by the steps once it works.
	Login *Spec `yaml:"login"`
}

// Validate reports the problems of c; field is the path of the input.
func (c Connection) Validate(p *engine.Problems, field string) {
	c.Server.Validate(p, field)
	c.Login.validate(p, field+".login", c.Server)
	if !c.Token.IsZero() && !c.TokenFile.IsZero() {
		p.AddProblem(engine.Problem{Field: field + ".tokenFile", Message: "has no use beside token", Hint: "keep one of them"})
	}
	if c.Login != nil && c.Login.method() != kubernetes && !c.TokenFile.IsZero() {
		p.AddProblem(engine.Problem{Field: field + ".tokenFile", After: []string{field + ".login.method"}, Message: "has no use beside login with " + c.Login.methodSaid(),
			Hint: "keep one of them: an empty text leaves tokenFile out, null leaves login out; only with method kubernetes, which a step may make, does a token bootstrap"})
	}
}

// Validate reports the problems of e; field is the path of the input.
func (e Entrance) Validate(p *engine.Problems, field string) {
	e.Server.Validate(p, field)
	e.Login.validate(p, field+".login", e.Server)
}

// HasToken reports whether there is a token besides the login.
func (c Connection) HasToken() bool { return !c.Token.IsZero() || !c.TokenFile.IsZero() }

// HasToken is false.
func (e Entrance) HasToken() bool { return false }

// DefaultConnection returns the default server without a token.
func DefaultConnection() Connection { return Connection{Server: vaultkit.DefaultServer()} }

// Permissions are needed to reach Vault and to log in.
func (c Connection) Permissions() []engine.Permission {
	return append(c.Server.Permissions(), c.Login.permissions()...)
}

// Permissions are needed to reach Vault and to log in.
func (e Entrance) Permissions() []engine.Permission {
	return append(e.Server.Permissions(), e.Login.permissions()...)
}
