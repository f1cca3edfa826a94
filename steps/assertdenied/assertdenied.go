// Package assertdenied makes forbidden attempts and checks that each is refused,
// for the right reason.
//
// # Attempts
//
// A refusal alone proves little: a sealed Vault, a wrong path and a dead token
// refuse as well. So the legitimate request comes first and must be granted
// (the control), and an attempt is that request with one thing changed:
//
//   - login: the ServiceAccount, its namespace, or the audience of its token;
//   - sign: the names in the request, or a life beyond the maximum, asked for as
//     a ttl and as a date (not_after);
//   - access: a path that the token's policies must not reach. The proof reads it
//     and the token's capabilities there (sys/capabilities-self); Vault's help shows
//     that the path exists and that the token is alive;
//   - dial: the trust, the clock, or the certificate of the client.
//
// Without a list of attempts, they follow from the given ones of login, sign and
// dial. An attempt counts as refused only with the status and the words that Vault
// has for exactly this reason. Another refusal breaks the rule as a grant does. A
// sealed Vault or a failed connection is an error.
//
// # Lifetimes
//
// Vault does not refuse a ttl beyond the maximum, it shortens it with a warning. The rule is
// that no certificate lives longer than that: the proof measures the issued one, from its
// issue and not from its backdated notBefore. A date (not_after) is another way to ask, and
// before 1.19.19, 1.20.13, 1.21.8 and 2.0.3 Vault did not compare it with the maximum
// (hashicorp/vault#29928). There only a policy helps:
//
//	denied_parameters = { "not_after" = [] }
//
// # Dials
//
// Vault refuses logins and requests by itself. A dial is refused by the client,
// here the verification of crypto/x509. These attempts therefore prove properties of
// the server's chain: that it leads to the key of the trusted root and not only to
// its name, and that its certificate expires (the client's clock is set after its
// end; no certificate expires in fact). They do not prove that other clients verify
// as strictly.
//
// # Client certificates
//
// With dial.client the server must let in clients with a certificate of its authority and
// no others. The legitimate client is served right before and right after each attempt, at
// the same addresses. Each attempt makes several new connections (dial.tries) and sends a
// request over each, because with TLS 1.3 a server judges the certificate after the
// client's handshake. No session is resumed, since the client of a resumed session is not
// asked again. These answers are refusals; the evidence has which ones there were:
//
//   - a TLS alert about the certificate, in the handshake or in place of an answer:
//     certificate_required, unknown_ca, certificate_expired, bad_certificate,
//     certificate_unknown, certificate_revoked, unsupported_certificate, access_denied,
//     decrypt_error, handshake_failure;
//   - a connection that is closed without an answer after the server has asked for a
//     certificate;
//   - HTTP 400, 401, 403, 495 or 496: nginx completes the handshake and answers with 400,
//     and so does APISIX where skip_mtls_uri_regex is given.
//
// The expired certificate is the only difference of time: sign, with the login, signs a
// certificate for ten seconds, which must be served until then and is presented again after
// its end. Without sign this attempt is not made. sign.path must be the role that signs
// the certificates of clients, with client_flag.
//
// # Changes
//
// Tokens of ServiceAccounts (TokenRequest; they live for ten minutes, only in
// memory), which needs create on serviceaccounts/token; a ServiceAccount without any
// rights where an attempt names one that does not exist, removed again at once;
// certificates with throw-away keys that never leave memory. The control's
// certificate lives for a minute. Those that live longer are revoked if vault.token
// allows it, which is used for nothing else. Vault tokens are revoked at the end.
//
// All of that but the legitimate login is an edit of the run: in the dry run, in
// the digest and in the journal, behind the lock. So is an attempt to log in or to
// have something signed, since Vault might grant it. A refused attempt is in the
// journal as failed, with Vault's words; a granted one as applied, followed by its
// revocation.
package assertdenied

import (
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

// Kind is the kind assertDenied. It is tried once: a grant is final.
var Kind = engine.NewProof("assertDenied", engine.Policy{
	Timeout:  2 * time.Minute,
	Attempts: 1,
	Delay:    time.Second,
	Backoff:  2,
	MaxDelay: 10 * time.Second,
}, func() *Spec {
	return &Spec{Vault: login.DefaultConnection(), RootMount: "pki"}
})

// Spec holds the inputs.
type Spec struct {
	// Vault is the server. Its token is only used to revoke certificates of the
	// proof; attempts use tokens of their own.
	Vault login.Connection `yaml:"vault"`

	// Login is the legitimate login, the control of the attempts to log in.
	Login *Login `yaml:"login"`

	// Sign is the legitimate request for a certificate, made with the token of
	// login.
	Sign *Sign `yaml:"sign"`

	// Dial is the legitimate connection to a server.
	Dial *Dial `yaml:"dial"`

	// RootMount is the PKI engine with the root, which the attempts that follow
	// from login try to reach; it must exist. Without a root in Vault (a parent that is
	// external) name the engine of the intermediate, or list attempts.
	RootMount string `yaml:"rootMount" check:"nonempty"`

	// Attempts must be refused. A list replaces the ones that there are by default: with login,
	// another ServiceAccount, namespace and audience, and the policies' bounds; with sign, a
	// foreign name and a life beyond the maximum; with dial, another root and a clock after the
	// certificate's end; with dial.client, no client certificate, a foreign one, and with sign
	// an expired one.
	Attempts []Attempt `yaml:"attempts"`
}

// Login is a login to Vault that is allowed.
type Login struct {
	// Mount is the path of the Kubernetes auth method, without "auth/" before it;
	// by default kubernetes.
	Mount string `yaml:"mount"`

	// Role is the role that is logged in to.
	Role string `yaml:"role" check:"required"`

	// Audience of the ServiceAccount's token. cert-manager's is
	// "vault://NAME" for a ClusterIssuer and "vault://NAMESPACE/NAME" for an
	// Issuer.
	Audience string `yaml:"audience" check:"required"`

	// Audiences are further ones of each token, also in attempts. With a Vault outside of
	// the cluster the token reviews itself, so it needs one of the API server's (its
	// --api-audiences), as serviceAccountRef.audiences of cert-manager's issuer has it.
	Audiences []string `yaml:"audiences"`

	// ServiceAccount is the identity that may log in.
	ServiceAccount login.Account `yaml:"serviceAccount" check:"required"`
}

// Sign is a request for a certificate that is allowed.
type Sign struct {
	// Path is where certificates are signed, as in cert-manager's
	// spec.vault.path: pki_int/sign/ROLE.
	Path string `yaml:"path" check:"required"`

	// Name is a DNS name that the role allows. The control asks for a
	// certificate for it that lives for a minute.
	Name string `yaml:"name" check:"required"`

	// MaxTTL is the longest life of any certificate, usually the role's maxTTL.
	MaxTTL engine.Duration `yaml:"maxTTL" check:"required,min=2m"`

	// KeyType is the type of the keys in the requests: rsa (the default), or ec
	// for roles that want that.
	KeyType string `yaml:"keyType" check:"oneof=rsa|ec"`
}

// Dial is a connection that is allowed.
type Dial struct {
	// URL is requested, such as https://hello.example.local/. Its host is
	// the server name (SNI) and the name that the certificate must have.
	URL string `yaml:"url" check:"required"`

	tlskit.Target      `yaml:",inline"`
	tlskit.TrustInput  `yaml:",inline"`
	tlskit.ClientInput `yaml:",inline"`

	// Tries is how many new connections each attempt with another client
	// certificate makes to each address, 16 by default: a gateway has several
	// workers, and one that is behind may not ask for certificates.
	Tries int `yaml:"tries" check:"min=0,max=1000"`
}

// An Attempt is a request that must be refused: one of login, sign, access and dial, with the
// differences from the legitimate request.
type Attempt struct {
	// Name describes the attempt for the reader: "another namespace".
	Name string `yaml:"name" check:"required"`

	// Login tries to log in as another ServiceAccount.
	Login *LoginAttempt `yaml:"login"`

	// Sign asks for a certificate that must not be given.
	Sign *SignAttempt `yaml:"sign"`

	// Access tries to use a path of Vault with the token of the legitimate login.
	Access *AccessAttempt `yaml:"access"`

	// Dial connects in a way that must fail.
	Dial *DialAttempt `yaml:"dial"`

	// Answer is the text of Vault's refusal when it has changed since the
	// list that this kind knows; the status must be 400 or 403. It must be the
	// whole message, its end after a space, or its beginning before a colon. Not
	// for a dial.
	Answer string `yaml:"answer"`
}

// A LoginAttempt is the ServiceAccount that logs in. Fields left out are as in the legitimate
// login; something must differ.
type LoginAttempt struct {
	// Namespace of the ServiceAccount. One of the same name is made there for the
	// time of the attempt if there is none.
	Namespace string `yaml:"namespace"`

	// ServiceAccount is the name of the ServiceAccount, made for the time of the
	// attempt if there is none.
	ServiceAccount string `yaml:"serviceAccount"`

	// Audience of its token.
	Audience string `yaml:"audience"`
}

// A SignAttempt is the difference of the request: names, or ttl, or notAfter.
type SignAttempt struct {
	// Names are DNS names that the role must not allow. The first is the common
	// name, too. One foreign name is enough to be refused: give each an attempt.
	Names []string `yaml:"names"`

	// TTL is a life beyond the maximum, asked for as ttl. It must end before the
	// issuer does, or the refusal is about that.
	TTL engine.Duration `yaml:"ttl" check:"min=0s"`

	// NotAfter is a life beyond the maximum, asked for as a date (not_after).
	NotAfter engine.Duration `yaml:"notAfter" check:"min=0s"`
}

// An AccessAttempt is a forbidden path.
type AccessAttempt struct {
	// Path is a path of Vault's API without /v1/ before it. It must exist, and
	// must need a token, unlike pki/ca/pem.
	Path string `yaml:"path" check:"required"`
}

// A DialAttempt is the difference of the client: trust, expired, presents, or client.
type DialAttempt struct {
	// Trust is the client's trust instead: CA certificates in PEM, "system"
	// for the roots of the operating system, or "impostor" for a root made for the
	// attempt that has the name of the trusted one and another key.
	Trust string `yaml:"trust"`

	// Expired puts the client's clock after the end of the server's certificate.
	Expired bool `yaml:"expired"`

	// Presents is the client certificate instead of the legitimate one, which
	// dial.client gives: none; foreign, one with the same names of an authority that
	// is made for the attempt and has the name of the right one; or expired, one that
	// sign has signed for ten seconds, which is served until then.
	Presents string `yaml:"presents" check:"oneof=none|foreign|expired"`

	// Client is a client certificate that the server must refuse, such as that of
	// another team.
	Client *tlskit.ClientCertificate `yaml:"client"`
}

// Outputs are the results.
type Outputs struct {
	// Attempts is how many attempts were made.
	Attempts int `yaml:"attempts"`

	// Refused is how many of them were refused for the right reason.
	Refused int `yaml:"refused"`

	// Refusals lists them with the answers, in the order of the attempts.
	Refusals []string `yaml:"refusals"`
}

// ServerInTarget implements engine.ServerUser.
func (s *Spec) ServerInTarget() string { return s.Vault.InClusterIf(s.Login != nil) }

// VaultServer implements vaultkit.User.
func (s *Spec) VaultServer() vaultkit.Server { return s.Vault.Server }

// ServerID implements engine.ServerUser.
func (s *Spec) ServerID() string { return s.Vault.ID() }
