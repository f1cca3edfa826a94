// Package issuer compares the issuers of cert-manager that sign with Vault with the objects
// that the plan makes there: the login that they use, and the authority of Vault's own
// certificate.
package issuer

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/rule"
	"github.com/ztplan/ztplan/steps/hosting"
	"github.com/ztplan/ztplan/steps/k8sauth"
	"github.com/ztplan/ztplan/steps/pkiintermediate"
)

// A Plan has the objects that the steps of a plan make in Vault. A mount or a role without
// a name is not known yet.
type Plan struct {
	Logins  []*k8sauth.Spec
	Signers []Signer
}

// A Signer is a step that makes roles for signing.
type Signer struct {
	*pkiintermediate.Spec
	Step   string
	Placed bool // its namespace of Vault is known
}

func (s Signer) space() string { return strings.Trim(s.Vault.Namespace, "/") }

// A Fault is a mistake in an issuer.
type Fault struct {
	Rule, Field string
	Severity    rule.Severity // empty for that of the rule
	Message     string        // the text after the name of the issuer
	Hint        string        // empty for that of the rule
}

// Fields of an issuer.
const (
	signPath  = "spec.vault.path"
	namespace = "spec.vault.namespace"
	server    = "spec.vault.server"
	mountPath = "spec.vault.auth.kubernetes.mountPath"
	role      = "spec.vault.auth.kubernetes.role"
	appRole   = "spec.vault.auth.appRole.path"
)

// Faults returns the faults of the role, the login and the trust of an issuer. knows
// reports whether a field of it is known before a run.
func (p Plan) Faults(o hosting.Object, knows func(field string) bool) []Fault {
	out := p.path(o, knows)
	if knows(server) {
		out = slices.Concat(out, p.login(o, knows), p.trust(o, knows))
	}
	return out
}

// Mount returns the mount that an issuer logs in at with a token of a ServiceAccount, and
// that of cert-manager's default without one. It is not ok for a path that is no login's.
func Mount(o hosting.Object) (mount string, ok bool) {
	path := cmp.Or(text(o, mountPath), "/v1/auth/kubernetes")
	rest, ok := strings.CutPrefix(strings.Trim(path, "/"), "v1/")
	_, mount, found := strings.Cut("/"+rest, "/auth/") // before it may be a namespace of Vault
	return mount, ok && found && mount != ""
}

func (p Plan) login(o hosting.Object, knows func(string) bool) []Fault {
	fault := func(field, hint, format string, args ...any) []Fault {
		return []Fault{{Rule: "issuer-login", Field: field, Hint: hint, Message: fmt.Sprintf(format, args...)}}
	}
	if path := text(o, appRole); knows(appRole) {
		if mount, ok := strings.CutPrefix(strings.TrimPrefix(strings.Trim(path, "/"), "v1/"), "auth/"); ok {
			return fault(appRole, "write "+mount, "logs in at /v1/auth/%s/login, since the path of an AppRole is that of the mount alone", strings.Trim(path, "/"))
		}
	}
	if hosting.Dig(o.Fields, "spec", "vault", "auth", "kubernetes") == nil || !knows(mountPath) {
		return nil
	}
	mount, ok := Mount(o)
	if !ok {
		return fault(mountPath, "write /v1/auth/ and the mount", "logs in at %s, and the logins of Vault are below /v1/auth/", text(o, mountPath))
	}
	var mounts, roles []string
	for _, l := range p.loginsOf(o) {
		mounts = append(mounts, l.Mount)
		if l.Mount == mount {
			for _, r := range l.Roles {
				roles = append(roles, r.Name)
			}
		}
	}
	name := text(o, role)
	switch {
	case len(mounts) == 0 || slices.Contains(mounts, ""):
	case !slices.Contains(mounts, mount):
		return fault(mountPath, "the plan makes /v1/auth/"+strings.Join(mounts, ", /v1/auth/"), "logs in at auth/%s, which no step makes", mount)
	case knows(role) && name != "" && !slices.Contains(roles, name) && !slices.Contains(roles, ""):
		return fault(role, "the plan makes "+cmp.Or(strings.Join(roles, ", "), "none there"), "logs in with role %s of auth/%s, which no step makes", name, mount)
	}
	return nil
}

// loginsOf returns the logins in the Vault of an issuer: those at its server, or else those
// in the Vault of the role that it signs with.
func (p Plan) loginsOf(o hosting.Object) (out []*k8sauth.Spec) {
	for _, l := range p.Logins {
		if reaches(text(o, server), l.Vault.Address, l.Vault.InCluster()) {
			out = append(out, l)
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, l := range p.Logins {
		if slices.ContainsFunc(p.signersOf(o), func(s Signer) bool { return s.Vault.Where() == l.Vault.Where() }) {
			out = append(out, l)
		}
	}
	return out
}

// signersOf returns the intermediates that an issuer signs with, by its path.
func (p Plan) signersOf(o hosting.Object) (out []Signer) {
	for _, s := range p.Signers {
		if strings.HasPrefix(o.Text("spec", "vault", "path"), s.Mount+"/sign/") {
			out = append(out, s)
		}
	}
	return out
}

// trust: cert-manager trusts the authorities of its image, unless the issuer names others.
func (p Plan) trust(o hosting.Object, knows func(string) bool) []Fault {
	address := text(o, server)
	for _, field := range []string{"caBundle", "caBundleSecretRef"} {
		if hosting.Dig(o.Fields, "spec", "vault", field) != nil || !knows("spec.vault."+field) {
			return nil
		}
	}
	if !strings.HasPrefix(strings.ToLower(address), "https://") {
		return nil
	}
	fault := Fault{Rule: "issuer-trust", Field: server, Message: "does not trust " + address + ", whose certificate is of an authority that connections.vault has to name"}
	private := func(s Signer) bool { return s.Vault.GivenAuthority() }
	if slices.ContainsFunc(p.Signers, func(s Signer) bool { return private(s) && reaches(address, s.Vault.Address, s.Vault.InCluster()) }) ||
		slices.ContainsFunc(p.Logins, func(l *k8sauth.Spec) bool {
			return l.Vault.GivenAuthority() && reaches(address, l.Vault.Address, l.Vault.InCluster())
		}) {
		return []Fault{fault}
	}
	if slices.ContainsFunc(p.signersOf(o), private) {
		fault.Severity = rule.Warning // at another address Vault may show another certificate
		fault.Message = "names no authority for " + address + ", and connections.vault has to name one for that Vault"
		return []Fault{fault}
	}
	return nil
}

// path: every signing is refused by a role that is not there, or in another namespace of
// Vault.
func (p Plan) path(o hosting.Object, knows func(string) bool) []Fault {
	path, have := text(o, signPath), strings.Trim(text(o, namespace), "/")
	var paths []string
	var elsewhere *Signer
	for _, s := range p.Signers {
		for _, r := range s.Roles {
			at := s.Mount + "/sign/" + r.Name
			paths = append(paths, at)
			switch {
			case at != path || !knows(namespace):
			case !s.Placed || s.space() == have:
				return nil
			default:
				elsewhere = &s
			}
		}
	}
	switch {
	case elsewhere != nil:
		hint := "set " + namespace + ": " + elsewhere.space()
		if elsewhere.space() == "" {
			hint = "remove " + namespace
		}
		return []Fault{{Rule: "issuer-namespace", Field: namespace, Hint: hint,
			Message: fmt.Sprintf("signs in namespace %q of Vault, and step %s makes its role in %q", have, elsewhere.Step, elsewhere.space())}}
	case path != "" && len(paths) > 0 && !slices.Contains(paths, path):
		return []Fault{{Rule: "issuer-path", Field: signPath, Hint: "the plan makes " + strings.Join(paths, ", "), Message: "signs at " + path + ", which no step makes"}}
	}
	return nil
}

// reaches reports whether a server is the one at an address, or behind a Service,
// "namespace/name".
func reaches(server, address, service string) bool {
	to, err := url.Parse(server)
	if err != nil || to.Host == "" {
		return false
	}
	if at, err := url.Parse(address); address != "" {
		return err == nil && strings.EqualFold(to.Host, at.Host)
	}
	space, name, _ := strings.Cut(service, "/")
	labels := strings.Split(to.Hostname(), ".")
	return len(labels) > 1 && labels[1] == space && (labels[0] == name || strings.HasPrefix(labels[0], name+"-")) && // vault-active
		(len(labels) == 2 || labels[2] == "svc")
}

func text(o hosting.Object, field string) string { return o.Text(strings.Split(field, ".")...) }
