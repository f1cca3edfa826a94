// Package k8sauth lets Kubernetes ServiceAccounts log in to Vault: the auth
// method with its configuration, policies and roles, and on the Kubernetes side
// the ServiceAccount, and the permission to request tokens for it.
//
// # Reads and changes, in this order
//
//   - the auth mount;
//   - its configuration, written whole: host, and nothing else unless the plan
//     asks for it;
//   - the policies, compared as text;
//   - the roles, compared field by field. A role belongs to the plan: fields
//     that the plan does not mention are set to the defaults;
//   - the ServiceAccount, and a Role and RoleBinding by which another
//     ServiceAccount may request tokens for it (server-side apply).
//
// # No reviewer token
//
// A reviewer token in the configuration (token_reviewer_jwt) is bound to the pod
// that it was taken from: after the next restart of Vault every login fails with
// 403 and certificates are not renewed any more. Without one, Vault (1.9.3 and
// later) uses the token of the pod that it runs in, and reads it anew. So the
// step writes none, and one that it finds is a difference.
//
// # A Vault outside of the cluster
//
// Vault has no pod then: kubernetesHost is the API server as Vault reaches it,
// kubernetesCACert its authority, and disableLocalCAJWT is set. The token that logs in
// reviews itself. So its ServiceAccount needs the role system:auth-delegator, and
// the token the audience of the API server beside that of the role. cert-manager adds it
// with serviceAccountRef: {name: vault-issuer, audiences: [AUDIENCE]}; logins of
// connections and of assertDenied with audiences: [AUDIENCE]. AUDIENCE is one of the API
// server's --api-audiences, by default its --service-account-issuer, as
// "kubectl get --raw /.well-known/openid-configuration" shows it: often
// https://kubernetes.default.svc.cluster.local.
//
// # The login of the plan itself
//
// A role may be the one that connections.vault.login names. The step that makes
// it uses the token that bootstraps, as long as there is one that works; all
// others use the login. So the login needs no right to change its own policies
// or role, which would make it as good as root. Once the root token is revoked,
// the step only looks; a change needs another root token.
//
// # Token requests
//
// cert-manager logs in with a token that it requests for the ServiceAccount of
// its issuer. Since v1.21.0 its chart does not allow that any more, not even for
// its own ServiceAccount. With tokenRequest the step gives that permission, for
// this one ServiceAccount, and it does so on every version (cert-manager's
// documentation, "Vault", option 1).
//
// # Refuses
//
// Something other than this auth method at the path; a Role or RoleBinding of
// the same name that another owner made and that differs.
package k8sauth

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

// Kind is k8sAuth.
var Kind = engine.NewKind("k8sAuth", engine.DefaultPolicy(), func() *Spec {
	return &Spec{
		Vault:  login.DefaultConnection(),
		Mount:  "kubernetes",
		Config: Config{KubernetesHost: "https://kubernetes.default.svc:443"},
	}
})

// Spec holds the auth method, its roles and policies, and the ServiceAccount.
type Spec struct {
	// Vault is where Vault is, and the token to use. Usually given once, in the
	// plan's connections.
	Vault login.Connection `yaml:"vault"`
	// Mount is the path of the auth method, without "auth/" before it.
	Mount string `yaml:"mount" check:"required"`
	// Description of the mount. Without it, any will do.
	Description string `yaml:"description"`
	// Config of the way from Vault to the Kubernetes API.
	Config Config `yaml:"config"`
	// Policies that the roles refer to. Policies in Vault that are not listed
	// are left alone.
	Policies []Policy `yaml:"policies"`
	// Roles map ServiceAccounts to policies. Roles in Vault that
	// are not listed are left alone.
	Roles []Role `yaml:"roles"`
	// ServiceAccount is the identity that logs in. Without it, the step leaves
	// the cluster alone.
	ServiceAccount *ServiceAccount `yaml:"serviceAccount"`
	// TokenRequest lets another ServiceAccount request tokens for
	// serviceAccount.
	TokenRequest *TokenRequest `yaml:"tokenRequest"`
	// AllowWarnings lists parts of warnings of Vault that are expected. Any
	// other warning fails the step.
	AllowWarnings []string `yaml:"allowWarnings"`
}

// Config is the connection of Vault to the Kubernetes API that checks the tokens.
type Config struct {
	// KubernetesHost is the URL of the API server as Vault sees it.
	KubernetesHost string `yaml:"kubernetesHost" check:"required"`
	// KubernetesCACert is the authority of the API server in PEM form. Without
	// it, Vault uses that of the pod that it runs in.
	KubernetesCACert string `yaml:"kubernetesCACert"`
	// DisableLocalCAJWT keeps Vault from using the token and authority of its
	// pod; needed when it runs outside a cluster. The token that logs in must
	// then be allowed to review itself (system:auth-delegator).
	DisableLocalCAJWT bool `yaml:"disableLocalCAJWT"`
}

// A Policy lists the permissions of a token. It has either rules or paths.
type Policy struct {
	// Name of the policy, in lower case.
	Name string `yaml:"name" check:"required"`
	// Rules in Vault's own language (HCL).
	Rules string `yaml:"rules"`
	// Paths maps paths to capabilities: create, read, update, patch,
	// delete, list, sudo, deny. For cert-manager, "MOUNT/sign/ROLE: [update]" is
	// all that is needed.
	Paths map[string][]string `yaml:"paths"`
}

// A Role binds ServiceAccounts to policies.
type Role struct {
	// Name of the role; cert-manager names it in
	// spec.vault.auth.kubernetes.role.
	Name string `yaml:"name" check:"required"`
	// ServiceAccounts are the names that may log in. The default is the step's
	// serviceAccount.
	ServiceAccounts []string `yaml:"serviceAccounts"`
	// Namespaces of those ServiceAccounts. The default is that of the step's
	// serviceAccount.
	Namespaces []string `yaml:"namespaces"`
	// Policies of the tokens that the role gives out.
	Policies []string `yaml:"policies" check:"nonempty"`
	// Audience that a ServiceAccount's token must be made for. cert-manager asks
	// for "vault://NAME" for a ClusterIssuer and for "vault://NAMESPACE/NAME" for
	// an Issuer.
	Audience string `yaml:"audience" check:"required"`
	// TokenTTL is the lifetime of the tokens that the role gives out. cert-manager
	// logs in anew for every signature and never revokes a token, so short is
	// right. The default is 5m.
	TokenTTL engine.Duration `yaml:"tokenTTL"`
	// TokenMaxTTL is how long a token can be renewed. The default is tokenTTL:
	// not at all.
	TokenMaxTTL engine.Duration `yaml:"tokenMaxTTL"`
	// TokenType is the type of the tokens. Vault stores nothing of a batch token:
	// it cannot be renewed or revoked and just expires, and a login writes
	// nothing. The default is default: the mount's own, service.
	TokenType string `yaml:"tokenType" check:"oneof=default|service|batch"`
}

// A ServiceAccount is the identity that logs in to Vault.
type ServiceAccount struct {
	// Namespace of the ServiceAccount. It must exist. For a ClusterIssuer it is
	// cert-manager's own.
	Namespace string `yaml:"namespace" check:"required"`
	// Name of the ServiceAccount.
	Name string `yaml:"name" check:"required"`
	// Create makes the ServiceAccount if it is missing. The default is true;
	// with false the step waits for it.
	Create *bool `yaml:"create"`
}

// A TokenRequest is the permission to request tokens.
type TokenRequest struct {
	// GrantTo is the ServiceAccount that gets the permission: cert-manager's
	// controller.
	GrantTo Grantee `yaml:"grantTo"`
}

// A Grantee is a ServiceAccount that gets a permission.
type Grantee struct {
	// Namespace of the ServiceAccount.
	Namespace string `yaml:"namespace" check:"required"`
	// ServiceAccount is its name.
	ServiceAccount string `yaml:"serviceAccount" check:"required"`
}

// Outputs are for the manifest of an issuer.
type Outputs struct {
	// Mount is the path of the auth method: "kubernetes".
	Mount string `yaml:"mount"`
	// MountPath is the path that cert-manager wants in
	// spec.vault.auth.kubernetes.mountPath: "/v1/auth/kubernetes".
	MountPath string `yaml:"mountPath"`
	// Role is the name of the first role in the list roles.
	Role string `yaml:"role"`
	// Roles are the names of all roles, in the order of the list: ${steps.ID.roles[1]} is
	// the second.
	Roles []string `yaml:"roles"`
	// ServiceAccount is the name of the identity that logs in.
	ServiceAccount string `yaml:"serviceAccount"`
	// Namespace of that ServiceAccount.
	Namespace string `yaml:"namespace"`
}

const defaultTokenTTL = engine.Duration(5 * time.Minute)

// Validate checks the inputs beyond their types and tags.
func (s *Spec) Validate(p *engine.Problems) {
	s.Vault.Validate(p, "vault")
	vaultkit.ValidatePath(p, "mount", s.Mount)
	if u, err := url.Parse(s.Config.KubernetesHost); s.Config.KubernetesHost != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		p.Add("config.kubernetesHost", "%q is not an https URL", s.Config.KubernetesHost)
	}
	if s.Config.DisableLocalCAJWT && s.Config.KubernetesCACert == "" {
		p.Add("config.kubernetesCACert", "is needed with disableLocalCAJWT: Vault would have no authority to check the API server with")
	}
	s.Config.validateCA(p)
	names := make(map[string]bool)
	for i, one := range s.Policies {
		field := fmt.Sprintf("policies[%d]", i)
		one.validate(p, field)
		if names[one.Name] && one.Name != "" {
			p.Add(field+".name", "%q is the name of another policy of the step", one.Name)
		}
		names[one.Name] = true
	}
	clear(names)
	for i, r := range s.Roles {
		field := fmt.Sprintf("roles[%d]", i)
		s.validateRole(p, r, field)
		if names[r.Name] && r.Name != "" {
			p.Add(field+".name", "%q is the name of another role of the step", r.Name)
		}
		names[r.Name] = true
	}
	if s.TokenRequest != nil && s.ServiceAccount == nil {
		p.AddProblem(engine.Problem{Field: "tokenRequest", Message: "needs serviceAccount: tokens for whom?", Hint: "name the ServiceAccount that logs in"})
	}
}

func (c Config) validateCA(p *engine.Problems) {
	if c.KubernetesCACert == "" {
		return
	}
	if _, err := certs.Parse(c.KubernetesCACert); err != nil {
		hint := ""
		if strings.HasPrefix(c.KubernetesCACert, "@") {
			hint = "write the certificate itself: @FILE is a form of Vault's command line"
		}
		p.AddProblem(engine.Problem{Field: "config.kubernetesCACert", Message: err.Error(), Hint: hint})
	}
}

func (s *Spec) validateRole(p *engine.Problems, r Role, field string) {
	vaultkit.ValidateName(p, field+".name", "a role", r.Name)
	for _, l := range []struct {
		name string
		list []string
	}{{"serviceAccounts", r.ServiceAccounts}, {"namespaces", r.Namespaces}} {
		switch {
		case len(l.list) == 0 && s.ServiceAccount == nil:
			p.Add(field+"."+l.name, "is empty, and the step has no serviceAccount to take it from")
		case slices.Contains(l.list, "*") && len(l.list) > 1:
			p.Add(field+"."+l.name, `"*" stands alone`)
		}
	}
	if slices.Contains(r.ServiceAccounts, "*") && slices.Contains(r.Namespaces, "*") {
		p.AddProblem(engine.Problem{Field: field, Message: "lets every ServiceAccount of the cluster log in", Hint: "name the ServiceAccounts or the namespaces"})
	}
	if ttl, most := r.lifetimes(); ttl > most {
		p.Add(field+".tokenTTL", "%s is longer than tokenMaxTTL, %s", ttl, most)
	}
	vaultkit.ValidateItems(p, field+".serviceAccounts", r.ServiceAccounts)
	vaultkit.ValidateItems(p, field+".namespaces", r.Namespaces)
	vaultkit.ValidateItems(p, field+".policies", r.Policies)
	for i, policy := range r.Policies {
		if policy == "root" {
			p.Add(fmt.Sprintf("%s.policies[%d]", field, i), "gives everything away")
		}
	}
}

// lifetimes returns the lifetimes of the role's tokens with the defaults filled
// in.
func (r Role) lifetimes() (ttl, most engine.Duration) {
	ttl, most = r.TokenTTL, r.TokenMaxTTL
	if ttl == 0 {
		ttl = defaultTokenTTL
		if most != 0 {
			ttl = min(ttl, most)
		}
	}
	if most == 0 {
		most = ttl
	}
	return ttl, most
}

// Foresee implements engine.Foreseer: all outputs are names that the plan gives.
func (s *Spec) Foresee(string, []string) any { return s.outputs() }

func (s *Spec) outputs() Outputs {
	out := Outputs{Mount: s.Mount, Roles: []string{}}
	if s.Mount != "" {
		out.MountPath = "/v1/auth/" + s.Mount
	}
	for _, r := range s.Roles {
		out.Roles = append(out.Roles, r.Name)
	}
	if len(out.Roles) > 0 {
		out.Role = out.Roles[0]
	}
	if slices.Contains(out.Roles, "") { // one is not known, so the list is not
		out.Roles = nil
	}
	if s.ServiceAccount != nil {
		out.ServiceAccount, out.Namespace = s.ServiceAccount.Name, s.ServiceAccount.Namespace
	}
	return out
}

// Inspect compares Vault and the cluster with s.
func (s *Spec) Inspect(ctx context.Context, env *engine.Env) (Outputs, []engine.Edit, error) {
	out := s.outputs()
	c, err := s.connect(ctx, env)
	if err != nil {
		return out, nil, err
	}
	mounted, edits, err := s.mount().Inspect(ctx, c)
	if err != nil {
		return out, nil, err
	}
	for _, look := range []func() ([]engine.Edit, error){
		func() ([]engine.Edit, error) { return s.inspectConfig(ctx, c, mounted) },
		func() ([]engine.Edit, error) { return s.inspectPolicies(ctx, c) },
		func() ([]engine.Edit, error) { return s.inspectRoles(ctx, c, mounted) },
		func() ([]engine.Edit, error) { return s.inspectCluster(ctx, env) },
	} {
		more, err := look()
		if err != nil {
			return out, nil, err
		}
		edits = append(edits, more...)
	}
	return out, edits, nil
}

func (s *Spec) mount() vaultkit.Mount {
	return vaultkit.Mount{Table: vaultkit.Auth, Path: s.Mount, Type: "kubernetes", Description: s.Description}
}

// connect uses the token that bootstraps for the step that makes the login of
// the connection: the login's own policies need not, and should not, cover that.
func (s *Spec) connect(ctx context.Context, env *engine.Env) (*vaultkit.Client, error) {
	if slices.ContainsFunc(s.Roles, func(r Role) bool { return s.Vault.Login.Makes(s.Mount, r.Name) }) {
		return login.Bootstrap(ctx, env, s.Vault)
	}
	return login.Connect(ctx, env, s.Vault)
}

func (s *Spec) inspectConfig(ctx context.Context, c *vaultkit.Client, mounted bool) ([]engine.Edit, error) {
	path := "auth/" + s.Mount + "/config"
	have, err := c.ReadIf(ctx, mounted, path)
	if err != nil {
		return nil, err
	}
	if ca, ok := have["kubernetes_ca_cert"].(string); ok {
		have["kubernetes_ca_cert"] = strings.TrimSpace(ca)
	}
	fields := []vaultkit.Field{
		{Name: "disable_local_ca_jwt", Want: s.Config.DisableLocalCAJWT, OmitIfAbsent: !s.Config.DisableLocalCAJWT},
		{Name: "kubernetes_ca_cert", Want: strings.TrimSpace(s.Config.KubernetesCACert), OmitIfAbsent: s.Config.KubernetesCACert == ""},
		{Name: "kubernetes_host", Want: s.Config.KubernetesHost},
	}
	// A write replaces the whole configuration: fields that it leaves out are
	// cleared, the reviewer token too.
	body := vaultkit.Data(fields)
	for _, f := range []vaultkit.Field{
		{Name: "disable_iss_validation", Want: true, OmitIfAbsent: true},
		{Name: "issuer", Want: "", OmitIfAbsent: true},
		{Name: "pem_keys", Want: []string(nil), OmitIfAbsent: true},
		{Name: "token_reviewer_jwt_set", Want: false, OmitIfAbsent: true},
		{Name: "use_annotations_as_alias_metadata", Want: false, OmitIfAbsent: true},
	} {
		if _, reported := have[f.Name]; reported {
			fields = append(fields, f)
		}
	}
	edits := vaultkit.Object(path, have, fields, func(ctx context.Context) error {
		return c.Put(ctx, path, body, vaultkit.AllowAll(s.AllowWarnings)...)
	})
	for i := range edits {
		if strings.HasSuffix(edits[i].Path, "/token_reviewer_jwt_set") {
			edits[i].Note = "it is bound to a pod that ends: after the next restart of Vault every login would fail"
		}
	}
	return edits, nil
}

func (s *Spec) inspectRoles(ctx context.Context, c *vaultkit.Client, mounted bool) ([]engine.Edit, error) {
	var edits []engine.Edit
	for _, r := range s.Roles {
		path := "auth/" + s.Mount + "/role/" + r.Name
		have, err := c.ReadIf(ctx, mounted, path)
		if err != nil {
			return nil, err
		}
		fields := s.roleFields(r, have)
		edits = append(edits, vaultkit.Object(path, have, fields, func(ctx context.Context) error {
			// Unlike the configuration, a write is merged into the role: so the
			// defaults are written as well, as far as the server knows them.
			return c.Put(ctx, path, vaultkit.Data(fields), vaultkit.AllowAll(s.AllowWarnings)...)
		})...)
	}
	return edits, nil
}

// roleFields are the compared fields of the role. The defaults
// (hashicorp/vault:sdk/helper/tokenutil) count where the server reports them.
func (s *Spec) roleFields(r Role, have map[string]any) []vaultkit.Field {
	names, namespaces := r.ServiceAccounts, r.Namespaces
	if s.ServiceAccount != nil {
		if len(names) == 0 {
			names = []string{s.ServiceAccount.Name}
		}
		if len(namespaces) == 0 {
			namespaces = []string{s.ServiceAccount.Namespace}
		}
	}
	ttl, most := r.lifetimes()
	fields := []vaultkit.Field{
		{Name: "audience", Want: r.Audience},
		{Name: "bound_service_account_names", Want: names},
		{Name: "bound_service_account_namespaces", Want: namespaces},
		{Name: "token_max_ttl", Want: most},
		{Name: "token_policies", Want: r.Policies},
		{Name: "token_ttl", Want: ttl},
	}
	for _, f := range []vaultkit.Field{
		{Name: "alias_name_source", Want: "serviceaccount_uid", OmitIfAbsent: true},
		{Name: "bound_service_account_namespace_selector", Want: "", OmitIfAbsent: true},
		{Name: "token_bound_cidrs", Want: []string{}, OmitIfAbsent: true},
		{Name: "token_explicit_max_ttl", Want: engine.Duration(0), OmitIfAbsent: true},
		{Name: "token_no_default_policy", Want: false, OmitIfAbsent: true},
		{Name: "token_num_uses", Want: 0, OmitIfAbsent: true},
		{Name: "token_period", Want: engine.Duration(0), OmitIfAbsent: true},
		{Name: "token_type", Want: cmp.Or(r.TokenType, "default"), OmitIfAbsent: r.TokenType == ""},
	} {
		if _, reported := have[f.Name]; reported || !f.OmitIfAbsent {
			fields = append(fields, f)
		}
	}
	return fields
}
