package login_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

// An abroad is a Vault that somebody else runs: behind TLS, with a role for each auth
// method that needs no cluster.
type abroad struct {
	t       *testing.T
	vault   *vaulttest.Server
	ci      *vaulttest.Issuer
	clients *tlstest.CA
	roleID  string
	known   []engine.Secret // the concealed secrets
}

func newAbroad(t *testing.T) *abroad {
	t.Helper()
	a := &abroad{t: t, vault: vaulttest.StartTLS(t, "", nil), ci: vaulttest.NewIssuer(t), clients: tlstest.NewCA(t, "Clients")}
	v := a.vault
	v.DoJSON(t, "POST", "sys/policies/acl/plan", map[string]any{"policy": `path "sys/mounts" { capabilities = ["read"] }`})
	for _, method := range []string{"jwt", "approle", "cert"} {
		v.DoJSON(t, "POST", "sys/auth/"+method, map[string]any{"type": method})
	}
	v.DoJSON(t, "POST", "auth/jwt/config", map[string]any{"jwt_validation_pubkeys": a.ci.PublicKey(t), "bound_issuer": a.ci.URL})
	v.DoJSON(t, "POST", "auth/jwt/role/ci", map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault://ci", "bound_claims": map[string]any{"repository": "team/plans"},
		"token_policies": "plan", "token_ttl": 300, "token_type": "batch",
	})
	v.DoJSON(t, "POST", "auth/approle/role/ci", map[string]any{"token_policies": "plan", "token_ttl": 300, "secret_id_num_uses": 1})
	a.roleID, _ = v.Do(t, "GET", "auth/approle/role/ci/role-id", "")["role_id"].(string)
	v.DoJSON(t, "POST", "auth/cert/certs/ci", map[string]any{"certificate": a.clients.PEM(), "allowed_common_names": "ci", "token_policies": "plan", "token_ttl": 300})
	return a
}

// token is a token of the CI system, with other claims if they are given.
func (a *abroad) token(other map[string]any) engine.Secret {
	claims := map[string]any{
		"iss": a.ci.URL, "sub": "repo:team/plans", "aud": "vault://ci", "repository": "team/plans",
		"iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(),
	}
	maps.Copy(claims, other)
	return a.ci.Token(a.t, claims)
}

// secretID makes a secret of the approle, which is good for one login.
func (a *abroad) secretID(with map[string]any) engine.Secret {
	a.t.Helper()
	id, _ := a.vault.DoJSON(a.t, "POST", "auth/approle/role/ci/secret-id", with)["secret_id"].(string)
	return engine.NewSecret(id)
}

func (a *abroad) connection(l *login.Spec) login.Connection {
	return login.Connection{Server: vaultkit.Server{Address: a.vault.Address, CAFile: engine.File{Name: "ca.pem", Path: a.vault.CAFile}}, Login: l}
}

// shows gives the connection a client certificate of ca.
func (a *abroad) shows(c *login.Connection, ca *tlstest.CA, name string) {
	a.t.Helper()
	pair := ca.Issue(a.t, tlstest.Leaf{CommonName: name})
	c.CertFile = vaulttest.WriteFile(a.t, "client.pem", string(pair.CertPEM))
	c.KeyFile = vaulttest.WriteFile(a.t, "client.key", string(pair.KeyPEM))
}

func (a *abroad) env() *engine.Env {
	env := vaulttest.Env(a.t)
	env.Conceal = func(s ...engine.Secret) { a.known = append(a.known, s...) }
	return env
}

// accessors counts the tokens in Vault's store that a login gave.
func (a *abroad) accessors() int {
	a.t.Helper()
	n := 0
	for _, accessor := range a.vault.Do(a.t, "LIST", "auth/token/accessors", "")["keys"].([]any) {
		who := a.vault.DoJSON(a.t, "POST", "auth/token/lookup-accessor", map[string]any{"accessor": accessor})
		if path, _ := who["path"].(string); strings.HasSuffix(path, "/login") {
			n++
		}
	}
	return n
}

// Each method lets in without a cluster, over TLS, and leaves nothing.
func TestLoginsWithoutACluster(t *testing.T) {
	a := newAbroad(t)
	for name, test := range map[string]struct {
		login  func(c *login.Connection)
		secret func(c login.Connection) engine.Secret
		leased bool
	}{
		"jwt": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "jwt", Role: "ci", JWT: a.token(nil)}
		}, func(login.Connection) engine.Secret { return engine.Secret{} }, false},
		"jwt in a file": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "jwt", Mount: "jwt", Role: "ci", JWTFile: vaulttest.WriteFile(t, "token", a.token(nil).Reveal()+"\n")}
		}, func(c login.Connection) engine.Secret { return read(t, c.Login.JWTFile) }, false},
		"approle": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "approle", RoleID: a.roleID, SecretID: a.secretID(nil)}
		}, func(login.Connection) engine.Secret { return engine.Secret{} }, true},
		"approle with a file": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "approle", RoleID: a.roleID, SecretIDFile: vaulttest.WriteFile(t, "id", a.secretID(nil).Reveal())}
		}, func(c login.Connection) engine.Secret { return read(t, c.Login.SecretIDFile) }, true},
		"cert": {func(c *login.Connection) {
			a.shows(c, a.clients, "ci")
			c.Login = &login.Spec{Method: "cert"}
		}, func(login.Connection) engine.Secret { return engine.Secret{} }, true},
		"cert with a role": {func(c *login.Connection) {
			a.shows(c, a.clients, "ci")
			c.Login = &login.Spec{Method: "cert", Role: "ci"}
		}, func(login.Connection) engine.Secret { return engine.Secret{} }, true},
		"a token in a file": {func(c *login.Connection) {
			c.Login, c.TokenFile = nil, vaulttest.WriteFile(t, "token", a.vault.Token+"\n")
		}, func(login.Connection) engine.Secret { return engine.NewSecret(a.vault.Token) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, env := a.connection(nil), a.env()
			a.known = nil
			test.login(&c)
			var p engine.Problems
			c.Validate(&p, "vault")
			if len(p.List()) > 0 {
				t.Errorf("problems: %v", p.List())
			}
			if n := len(c.Permissions()); n > 0 {
				t.Errorf("%d permissions of a cluster are asked for", n)
			}
			for range 2 {
				client, err := login.Connect(t.Context(), env, c)
				if err != nil {
					t.Fatal(err)
				}
				who, err := client.LookupSelf(t.Context())
				if err != nil || who == nil || c.Login != nil && !slices.Contains(who.Policies, "plan") {
					t.Fatalf("let in as %+v, %v", who, err)
				}
			}
			for _, secret := range []engine.Secret{test.secret(c)} {
				if !secret.IsZero() && !slices.ContainsFunc(a.known, secret.Equal) {
					t.Error("the secret of the file is not concealed")
				}
			}
			if c.Login != nil && !slices.ContainsFunc(a.known, func(s engine.Secret) bool { return strings.HasPrefix(s.Reveal(), "hv") }) {
				t.Error("the token of the login is not concealed")
			}
			want := 0
			if test.leased {
				want = 1
			}
			if n := a.accessors(); n != want {
				t.Errorf("vault keeps %d tokens, want %d", n, want)
			}
			if err := env.Session.Close(); err != nil {
				t.Fatal(err)
			}
			if n := a.accessors(); n != 0 {
				t.Errorf("vault still keeps %d tokens", n)
			}
		})
	}
}

func read(t *testing.T, f engine.File) engine.Secret {
	t.Helper()
	text, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	return engine.NewSecret(strings.TrimSpace(string(text)))
}

// A refusal has advice, and shows no secret.
func TestRefusedLogins(t *testing.T) {
	a := newAbroad(t)
	used := a.secretID(nil)
	a.vault.DoJSON(t, "POST", "auth/approle/login", map[string]any{"role_id": a.roleID, "secret_id": used.Reveal()})
	for name, test := range map[string]struct {
		login      func(c *login.Connection)
		want, hint string
	}{
		"audience": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "jwt", Role: "ci", JWT: a.token(map[string]any{"aud": "vault://other"})}
		}, "the login (role ci of auth/jwt): ", `sub "repo:team/plans", aud vault://other and ends at `},
		"claims": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "jwt", Role: "ci", JWT: a.token(map[string]any{"repository": "team/other"})}
		}, `claim "repository" does not match`, "bound_claims and token_bound_cidrs of vault read auth/jwt/role/ci"},
		"expired": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "jwt", Role: "ci", JWT: a.token(map[string]any{"iat": 1000, "exp": 2000})}
		}, "expired", "and ended at 1970-01-01T00:33:20Z"},
		"another issuer": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "jwt", Role: "ci", JWT: vaulttest.NewIssuer(t).Token(t, map[string]any{"aud": "vault://ci"})}
		}, "the login (role ci of auth/jwt): ", "the keys of vault read auth/jwt/config"},
		"no jwt": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "jwt", Role: "ci", JWT: engine.NewSecret("CANARY-not-a-jwt")}
		}, "the login (role ci of auth/jwt): ", "is no JSON web token"},
		"no such role": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "jwt", Role: "cd", JWT: a.token(nil)}
		}, `role "cd" could not be found`, "vault read auth/jwt/role/cd"},
		"no such method": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "jwt", Mount: "gitlab", Role: "ci", JWT: a.token(nil)}
		}, "the login (role ci of auth/gitlab): ", "auth/gitlab/config"},
		"secret ID used up": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "approle", RoleID: a.roleID, SecretID: used}
		}, "invalid role or secret ID", "expired, used up, or bound to other addresses"},
		"secret ID of another address": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "approle", RoleID: a.roleID, SecretID: a.secretID(map[string]any{"cidr_list": "10.0.0.0/8"})}
		}, "the login (auth/approle): ", "secret_id_bound_cidrs"},
		"no secret ID": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "approle", RoleID: a.roleID}
		}, "missing secret_id", "secret-id"},
		"certificate of others": {func(c *login.Connection) {
			a.shows(c, tlstest.NewCA(t, "Others"), "ci")
			c.Login = &login.Spec{Method: "cert"}
		}, "the login (auth/cert): ", "no role of it admits the certificate of certFile"},
		"certificate of another name": {func(c *login.Connection) {
			a.shows(c, a.clients, "cd")
			c.Login = &login.Spec{Method: "cert", Role: "ci"}
		}, "the login (role ci of auth/cert): ", "the allowed names"},
		"certificate for another role": {func(c *login.Connection) {
			a.shows(c, a.clients, "ci")
			c.Login = &login.Spec{Method: "cert", Role: "cd"}
		}, "the login (role cd of auth/cert): ", "no role of it admits the certificate of certFile"},
		"token of nobody": {func(c *login.Connection) {
			c.Login, c.Token = nil, engine.NewSecret("hvs.CANARY")
		}, "403", "connections.vault.token"},
		"token file of others": {func(c *login.Connection) {
			c.TokenFile = vaulttest.WriteFile(t, "token", "hvs.CANARY")
			expose(t, c.TokenFile)
		}, "is open to others (mode 0644)", "chmod 600"},
		"secret ID file of others": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "approle", RoleID: a.roleID, SecretIDFile: vaulttest.WriteFile(t, "id", "CANARY")}
			expose(t, c.Login.SecretIDFile)
		}, "is open to others (mode 0644)", "chmod 600"},
		"key of others": {func(c *login.Connection) {
			a.shows(c, a.clients, "ci")
			c.Login = &login.Spec{Method: "cert"}
			expose(t, c.KeyFile)
		}, "the key of the client certificate: ", "chmod 600"},
		"missing file": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "jwt", Role: "ci", JWTFile: engine.File{Name: "token", Path: "/nowhere/token"}}
		}, "/nowhere/token", ""},
		"file of several lines": {func(c *login.Connection) {
			c.TokenFile = vaulttest.WriteFile(t, "token", "CANARY\nCANARY\n")
		}, "does not hold one word", "nothing else"},
	} {
		t.Run(name, func(t *testing.T) {
			c := a.connection(nil)
			test.login(&c)
			env := a.env()
			client, err := login.Connect(t.Context(), env, c)
			if err == nil {
				_, err = client.Read(t.Context(), "sys/mounts")
			}
			vaulttest.WantPermanent(t, err, test.want, test.hint)
			if err != nil && strings.Contains(err.Error()+engine.HintOf(err), "CANARY") {
				t.Errorf("a secret shows: %v", err)
			}
			if err := env.Session.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func expose(t *testing.T, f engine.File) {
	t.Helper()
	if err := os.Chmod(f.Path, 0o644); err != nil {
		t.Fatal(err)
	}
}

// A token that ends is replaced by another login, with the token that is in the file by
// then; the one before is not good any more.
func TestLoginReadsItsFileAgain(t *testing.T) {
	a := newAbroad(t)
	c, env := a.connection(&login.Spec{Method: "jwt", Role: "ci", JWTFile: vaulttest.WriteFile(t, "token", a.token(nil).Reveal())}), a.env()
	now := time.Now()
	env.Now = func() time.Time { return now }
	client, err := login.Connect(t.Context(), env, c)
	if err != nil {
		t.Fatal(err)
	}
	first := len(a.known)
	renewed := a.token(map[string]any{"jti": "2"})
	if err := os.WriteFile(c.Login.JWTFile.Path, []byte(renewed.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(t.Context(), "sys/mounts"); err != nil || len(a.known) != first {
		t.Errorf("logged in again before it was due: %v", err)
	}
	now = now.Add(4 * time.Minute)
	if _, err := client.Read(t.Context(), "sys/mounts"); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(a.known[first:], renewed.Equal) {
		t.Error("the second login did not read the file")
	}
}

// A server that wants client certificates is reached with one, which is read anew for
// each handshake.
func TestClientCertificates(t *testing.T) {
	ca := tlstest.NewCA(t, "Clients")
	a := &abroad{t: t, clients: ca, vault: vaulttest.StartTLS(t, ca.PEM(), ca.Issue(t, tlstest.Leaf{CommonName: "test"}).TLS)}
	look := func(c login.Connection) error {
		c.Token = engine.NewSecret(a.vault.Token)
		client, err := login.Connect(t.Context(), vaulttest.Env(t), c)
		if err == nil {
			_, err = client.Read(t.Context(), "sys/mounts")
		}
		return err
	}
	c := a.connection(nil)
	vaulttest.WantPermanent(t, look(c), "certificate required", "vault.certFile and vault.keyFile")
	a.shows(&c, tlstest.NewCA(t, "Others"), "ztplan")
	vaulttest.WantPermanent(t, look(c), "remote error: tls", "refuses the client certificate")
	other := c.KeyFile
	a.shows(&c, ca, "ztplan")
	if err := look(c); err != nil {
		t.Error(err)
	}
	c.KeyFile = other
	vaulttest.WantPermanent(t, look(c), "private key does not match public key", "keyFile the key of the first")
}

// All problems of a login are found at once.
func TestLoginProblems(t *testing.T) {
	file, secret := engine.File{Name: "f", Path: "/f"}, engine.NewSecret("s")
	account := &login.Account{Namespace: "ci", Name: "plan"}
	for name, test := range map[string]struct {
		change func(c *login.Connection)
		want   []string
	}{
		"kubernetes":          {func(c *login.Connection) { c.Login = &login.Spec{Role: "r", ServiceAccount: account} }, nil},
		"kubernetes in a pod": {func(c *login.Connection) { c.Login = &login.Spec{Role: "r", JWTFile: file} }, nil},
		"nothing":             {func(c *login.Connection) { c.Login = &login.Spec{} }, []string{"login"}},
		"no role":             {func(c *login.Connection) { c.Login = &login.Spec{Mount: "k8s"} }, []string{"login.role", "login.serviceAccount"}},
		"a file and a login": {func(c *login.Connection) {
			c.TokenFile, c.Login = file, &login.Spec{Method: "jwt", Role: "r", JWT: secret}
		}, []string{"tokenFile"}},
		"a file until then": {func(c *login.Connection) {
			c.TokenFile, c.Login = file, &login.Spec{Role: "r", ServiceAccount: account}
		}, nil},
		"jwt": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "jwt", ServiceAccount: account, JWT: secret, JWTFile: file, SecretID: secret, RoleID: "r"}
		}, []string{"login.roleID", "login.secretID", "login.role", "login.jwt"}},
		"audience": {func(c *login.Connection) { c.Login = &login.Spec{Method: "jwt", Role: "r", JWT: secret, Audience: "a"} }, []string{"login.audience"}},
		"audiences": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "jwt", Role: "r", JWT: secret, Audiences: []string{"a"}}
		}, []string{"login.audiences"}},
		"approle": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "approle", Role: "r", JWT: secret, SecretID: secret, SecretIDFile: file}
		}, []string{"login.role", "login.jwt", "login.roleID", "login.secretIDFile"}},
		"cert":   {func(c *login.Connection) { c.Login = &login.Spec{Method: "cert", ServiceAccount: account} }, []string{"login.serviceAccount", "login.method"}},
		"tokens": {func(c *login.Connection) { c.Token, c.TokenFile = secret, file }, []string{"tokenFile"}},
		"halves": {func(c *login.Connection) { c.CertFile, c.CAFile, c.CABundle = file, file, "x" }, []string{"caBundle", "caBundle", "keyFile"}},
		"plain": {func(c *login.Connection) {
			c.Address, c.CertFile, c.KeyFile, c.CAFile = "http://127.0.0.1:8200", file, file, file
		}, []string{"caFile", "certFile", "keyFile"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := login.Connection{Server: vaultkit.Server{Address: "https://vault.example.com:8200"}}
			test.change(&c)
			var p engine.Problems
			c.Validate(&p, "vault")
			var got []string
			for _, problem := range p.List() {
				got = append(got, strings.TrimPrefix(problem.Field, "vault."))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("problems in %q, want %q: %v", got, test.want, p.List())
			}
		})
	}
}

// The auth method may be in another namespace than the plan's objects.
func TestLoginInItsNamespace(t *testing.T) {
	a := newAbroad(t)
	var mu sync.Mutex
	var seen []string
	to, err := url.Parse(a.vault.Address)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(read(t, engine.File{Name: "ca", Path: a.vault.CAFile}).Reveal()))
	forward := &httputil.ReverseProxy{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}},
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/sys/health" {
			_, _ = io.WriteString(w, `{"initialized":true,"enterprise":true}`)
			return
		}
		mu.Lock()
		seen = append(seen, r.Header.Get("X-Vault-Namespace")+" "+r.URL.Path)
		mu.Unlock()
		forward.ServeHTTP(w, r)
	}))
	defer s.Close()
	c, env := a.connection(&login.Spec{Method: "approle", Namespace: "admin", RoleID: a.roleID, SecretID: a.secretID(nil)}), a.env()
	c.Address, c.CAFile, c.Namespace = s.URL, engine.File{}, "admin/team"
	client, err := login.Connect(t.Context(), env, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(t.Context(), "sys/mounts"); err != nil {
		t.Error(err)
	}
	if err := env.Session.Close(); err != nil {
		t.Error(err)
	}
	want := []string{"admin /v1/auth/approle/login", "admin/team /v1/sys/mounts", "admin /v1/auth/token/revoke-self"}
	if !slices.Equal(seen, want) {
		t.Errorf("requests %q, want %q", seen, want)
	}
}

// doctor lists the rights of each login, and its faults.
func TestChecks(t *testing.T) {
	a := newAbroad(t)
	made, err := a.vault.Client(t).Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"plan"}, Period: "744h"})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(c *login.Connection)
		level  engine.Level
		detail string
	}{
		"jwt": {func(c *login.Connection) { c.Login = &login.Spec{Method: "jwt", Role: "ci", JWT: a.token(nil)} },
			engine.LevelOK, "lets in with a batch token that lives for "},
		"refused": {func(c *login.Connection) {
			c.Login = &login.Spec{Method: "jwt", Role: "ci", JWT: a.token(map[string]any{"repository": "x"})}
		}, engine.LevelFail, `claim "repository" does not match`},
		"cert without its certificate": {func(c *login.Connection) { c.Login = &login.Spec{Method: "cert"} }, engine.LevelFail, "the login (auth/cert): "},
		"root token":                   {func(c *login.Connection) { c.Token = engine.NewSecret(a.vault.Token) }, engine.LevelWarn, "never ends, policies root"},
		"token of a month":             {func(c *login.Connection) { c.Token = engine.NewSecret(made.Auth.ClientToken) }, engine.LevelWarn, "lets in with a service token that lives for "},
		"unknown token":                {func(c *login.Connection) { c.Token = engine.NewSecret("hvs.none") }, engine.LevelFail, "Vault does not know it"},
		"nobody there": {func(c *login.Connection) {
			c.Address, c.Token = "https://127.0.0.1:1", engine.NewSecret("hvs.none")
		}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := a.connection(nil)
			test.change(&c)
			checks := c.Checks("vault", nil)
			last := checks[len(checks)-1]
			v := last.Run(t.Context(), a.env())
			if len(checks) != 3 || last.Target || v.Level != test.level || !strings.Contains(v.Detail, test.detail) {
				t.Errorf("%d checks; %s: %+v, want %s %q", len(checks), last.Name, v, test.level, test.detail)
			}
			if v.Level != engine.LevelOK && v.Level != "" && v.Next == "" {
				t.Errorf("%s: nothing is said about what to do", v.Detail)
			}
		})
	}
	c := a.connection(nil)
	c.Token = engine.NewSecret("x")
	if n := len(c.Checks("vault", []string{"vault.token"})); n != 2 {
		t.Errorf("%d checks while the token is not known", n)
	}
}
