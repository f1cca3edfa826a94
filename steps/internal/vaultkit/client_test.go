package vaultkit_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

func TestMain(m *testing.M) { vaulttest.Main(m) }

func connection(address, token string) login.Connection {
	c := login.DefaultConnection()
	c.Address, c.Token = address, engine.NewSecret(token)
	return c
}

func connect(t *testing.T, c login.Connection) *vaultkit.Client {
	t.Helper()
	client, err := login.Connect(t.Context(), vaulttest.Env(t), c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// answering is a server that gives the same answer to everything.
func answering(t *testing.T, status int, body string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestLookingDoesNotWrite(t *testing.T) {
	var requests atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer s.Close()
	c := connect(t, connection(s.URL, "t"))
	for name, write := range map[string]func(context.Context) error{
		"write":  func(ctx context.Context) error { _, err := c.Write(ctx, "sys/mounts/pki", nil); return err },
		"patch":  func(ctx context.Context) error { return c.Patch(ctx, "pki/issuer/x", nil) },
		"delete": func(ctx context.Context) error { return c.Delete(ctx, "pki/issuer/x") },
		"login": func(ctx context.Context) error {
			_, err := c.Login(ctx, "kubernetes", vaultkit.JWT("r", engine.NewSecret("x")))
			return err
		},
		"init": func(ctx context.Context) error {
			_, err := c.Init(ctx, vaultkit.Shamir, api.InitRequest{SecretShares: 1, SecretThreshold: 1})
			return err
		},
		"unseal": func(ctx context.Context) error { _, err := c.Unseal(ctx, engine.NewSecret("00")); return err },
	} {
		t.Run(name, func(t *testing.T) {
			before := requests.Load()
			err := write(t.Context())
			if !errors.Is(err, vaultkit.ErrReadOnly) || !errors.Is(err, engine.ErrPermanent) {
				t.Errorf("error is %v", err)
			}
			if n := requests.Load() - before; name != "init" && n != 0 { // init asks for the status afterwards
				t.Errorf("%d requests were sent", n)
			}
			if err := write(engine.AllowWrites(t.Context())); errors.Is(err, vaultkit.ErrReadOnly) {
				t.Errorf("refused although writes are allowed: %v", err)
			}
		})
	}
}

// hostile are values for the variables that Vault's own client reads, and for
// those that it cannot read.
var hostile = map[string][]string{
	api.EnvVaultAddress:          {"http://127.0.0.1:1", "::"},
	api.EnvVaultAgentAddr:        {"http://127.0.0.1:1", "unix:///no/such"},
	api.EnvVaultToken:            {"hvs.environment", "\x01"},
	api.EnvVaultNamespace:        {"environment"},
	api.EnvVaultHeaders:          {`{"X-Custom":"environment"}`, "{"},
	api.EnvVaultWrapTTL:          {"5m", "x"},
	api.EnvVaultCACert:           {"/no/such/file"},
	api.EnvVaultCACertBytes:      {"no certificate"},
	api.EnvVaultCAPath:           {"/no/such/directory"},
	api.EnvVaultClientCert:       {"/no/such/file"},
	api.EnvVaultClientKey:        {"/no/such/file"},
	api.EnvVaultClientTimeout:    {"0", "1ns", "x"},
	api.EnvVaultSRVLookup:        {"true", "x"},
	api.EnvVaultSkipVerify:       {"true", "x"},
	api.EnvVaultTLSServerName:    {"environment.example.com"},
	api.EnvVaultMaxRetries:       {"5", "x"},
	api.EnvRateLimit:             {"0.000001:1", "x"},
	api.EnvHTTPProxy:             {"http://127.0.0.1:1", "::"},
	api.EnvVaultProxyAddr:        {"http://127.0.0.1:1", "::"},
	api.EnvVaultDisableRedirects: {"true", "x"},
	api.EnvVaultMFA:              {"environment"},
	"VAULT_CONFIG_PATH":          {"/no/such/file"},
	"VAULT_ALLOW_PENDING_REMOVAL_DUPLICATE_HCL_ATTRIBUTES": {"true"},
}

// A plan means the same on every machine.
func TestEnvironmentIsNotUsed(t *testing.T) {
	var header http.Header
	var requests atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		requests.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer s.Close()
	for name, values := range hostile {
		for _, value := range values {
			t.Run(name+"="+value, func(t *testing.T) {
				t.Setenv(name, value)
				before := requests.Load()
				_, err := connect(t, connection(s.URL, "hvs.plan")).Read(t.Context(), "sys/mounts")
				if n := requests.Load() - before; n != 1 {
					t.Fatalf("%d requests, want 1, error %v", n, err)
				}
				for key := range header {
					if !slices.Contains([]string{"Accept-Encoding", "User-Agent", "X-Vault-Request", "X-Vault-Token"}, key) {
						t.Errorf("header %s: %s", key, header.Get(key))
					}
				}
				if got := header.Get("X-Vault-Token"); got != "hvs.plan" {
					t.Errorf("token is %q", got)
				}
				server, err := vaultkit.ConnectServer(t.Context(), vaulttest.Env(t), connection(s.URL, "").Server)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = server.SealStatus(t.Context())
				if got := header.Get("X-Vault-Token"); got != "" {
					t.Errorf("token of a client without one is %q", got)
				}
			})
		}
	}
}

// An answer behind a wrapping token is not empty.
func TestWrappedAnswer(t *testing.T) {
	s := answering(t, http.StatusOK, `{"data":null,"wrap_info":{"token":"hvs.w","ttl":300,"creation_path":"sys/mounts"}}`)
	c := connect(t, connection(s.URL, "t"))
	ctx := engine.AllowWrites(t.Context())
	for name, ask := range map[string]func() error{
		"read":   func() error { _, err := c.Read(ctx, "sys/mounts"); return err },
		"list":   func() error { _, _, err := c.List(ctx, "pki/issuers"); return err },
		"write":  func() error { _, err := c.Write(ctx, "pki/root/generate/internal", nil); return err },
		"patch":  func() error { return c.Patch(ctx, "pki/issuer/x", nil) },
		"delete": func() error { return c.Delete(ctx, "pki/issuer/x") },
		"status": func() error { _, err := c.SealStatus(ctx); return err },
		"help":   func() error { return c.Help(ctx, "pki") },
		"login": func() error {
			_, err := c.Login(ctx, "kubernetes", vaultkit.JWT("r", engine.NewSecret("x")))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { vaulttest.WantPermanent(t, ask(), "wrapped its answer", "X-Vault-Wrap-TTL") })
	}
}

func TestNamespace(t *testing.T) {
	var header http.Header
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { header = r.Header }))
	defer s.Close()
	conn := connection(s.URL, "t")
	conn.Namespace = "team-a"
	_, _ = connect(t, conn).Read(t.Context(), "sys/mounts")
	if got := header.Get("X-Vault-Namespace"); got != "team-a" {
		t.Errorf("namespace is %q", got)
	}
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		status    int
		body      string
		permanent bool
		text      string
		hint      string
	}{
		"no token":        {403, `{"errors":["permission denied"]}`, true, "read x: vault answered 403: permission denied", "expired or revoked"},
		"invalid token":   {403, `{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}`, true, "vault answered 403: permission denied; invalid token", "connections.vault.token"},
		"no mount":        {404, `{"errors":["no handler for route \"pki/issuers\". route entry not found."]}`, true, "no handler for route", "nothing is mounted there"},
		"bad request":     {400, `{"errors":["cannot satisfy request, as TTL would result in notAfter that is longer than permitted maxTTL"]}`, true, "vault answered 400: cannot satisfy", "raise maxLeaseTTL"},
		"issuer made":     {400, `{"errors":["issuer name already in use"]}`, false, "vault answered 400: issuer name already in use", "the next look says"},
		"key made":        {400, `{"errors":["key name already in use"]}`, false, "vault answered 400: key name already in use", "the next look says"},
		"busy":            {429, `{"errors":["request path \"x\": rate limit quota exceeded"]}`, false, "vault answered 429", "raise the quota"},
		"internal":        {500, `{"errors":["internal error"]}`, false, "vault answered 500: internal error", ""},
		"wants a login":   {401, `who are you`, true, "vault answered 401", "in front of it"},
		"behind a proxy":  {502, `<html>Bad Gateway</html>`, false, "vault answered 502: <html>Bad Gateway</html>", "overloaded or restarting"},
		"without message": {412, ``, false, "vault answered 412", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := connect(t, connection(answering(t, c.status, c.body).URL, "t")).Read(t.Context(), "x")
			if err == nil || errors.Is(err, engine.ErrPermanent) != c.permanent || !strings.Contains(err.Error(), c.text) {
				t.Errorf("error is %v (permanent: %v)", err, errors.Is(err, engine.ErrPermanent))
			}
			if hint := engine.HintOf(err); !strings.Contains(hint, c.hint) || c.hint == "" && hint != "" {
				t.Errorf("hint is %q, want %q", hint, c.hint)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has several lines: %q", err.Error())
			}
		})
	}
	t.Run("nothing there", func(t *testing.T) {
		c := connect(t, connection(answering(t, 404, `{"errors":[]}`).URL, "t"))
		if data, err := c.Read(t.Context(), "x"); data != nil || err != nil {
			t.Errorf("%v, %v", data, err)
		}
		if names, _, err := c.List(t.Context(), "x"); names != nil || err != nil {
			t.Errorf("%v, %v", names, err)
		}
	})
	t.Run("redirect", func(t *testing.T) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://other.example.com/v1/x", http.StatusTemporaryRedirect)
		}))
		defer s.Close()
		_, err := connect(t, connection(s.URL, "t")).Read(t.Context(), "x")
		if err == nil || !strings.Contains(err.Error(), "leads to http://other.example.com/v1/x") || !strings.Contains(engine.HintOf(err), "vault-active") {
			t.Errorf("%v (%s)", err, engine.HintOf(err))
		}
	})
}

func TestWarningsAreErrors(t *testing.T) {
	ctx := engine.AllowWrites(t.Context())
	s := answering(t, 200, `{"warnings":["TTL \"87600h0m0s\" is longer than permitted maxTTL","other"],"data":{"a":1}}`)
	c := connect(t, connection(s.URL, "t"))
	_, err := c.Write(ctx, "pki/root/generate/internal", nil)
	vaulttest.WantPermanent(t, err, `pki/root/generate/internal: done, but vault warns: TTL "87600h0m0s" is longer than permitted maxTTL; other`, "raise maxLeaseTTL")
	if _, err := c.Write(ctx, "x", nil, "longer than permitted"); err == nil || !strings.HasSuffix(err.Error(), "warns: other") {
		t.Errorf("%v", err)
	}
	if _, err := c.Write(ctx, "x", nil, vaultkit.AllowAll([]string{"other", "permitted"})...); err != nil {
		t.Error(err)
	}
	if _, err := c.Write(ctx, "x", nil, ""); err == nil {
		t.Error("an empty allowance allows everything")
	}
}

func TestSealedAndNotInitialised(t *testing.T) {
	v := vaulttest.Start(t)
	look := func() error {
		_, err := connect(t, connection(v.Address, "hvs.planted")).Read(t.Context(), "sys/mounts")
		return err
	}
	err := look()
	vaulttest.WantPermanent(t, err, "read sys/mounts: vault is not initialised", "vaultInit")
	if !errors.Is(err, vaultkit.ErrNotInitialized) {
		t.Error("is not ErrNotInitialized")
	}
	if err := v.Init(); err != nil {
		t.Fatal(err)
	}
	v.Restart(t)
	err = look()
	vaulttest.WantPermanent(t, err, "read sys/mounts: vault is sealed", "vaultUnseal")
	if !errors.Is(err, vaultkit.ErrSealed) {
		t.Error("is not ErrSealed")
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, `{"data":{}}`)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	read := func(c login.Connection) error {
		_, err := connect(t, c).Read(t.Context(), "x")
		return err
	}
	conn := connection(s.URL, "t")
	vaulttest.WantPermanent(t, read(conn), "certificate signed by unknown authority", "vault.caFile")

	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	conn.CAFile = engine.File{Name: "ca.pem", Path: ca}
	if err := read(conn); err != nil {
		t.Error(err)
	}
	conn.ServerName = "vault.elsewhere"
	vaulttest.WantPermanent(t, read(conn), "vault.elsewhere", "vault.serverName")

	t.Run("plain server", func(t *testing.T) {
		plain := answering(t, 200, "{}")
		vaulttest.WantPermanent(t, read(connection(strings.Replace(plain.URL, "http:", "https:", 1), "t")), "HTTP", "vault.address")
	})
	t.Run("not a certificate", func(t *testing.T) {
		if err := os.WriteFile(ca, []byte("nonsense"), 0o600); err != nil {
			t.Fatal(err)
		}
		conn.ServerName = ""
		_, err := login.Connect(t.Context(), vaulttest.Env(t), conn)
		vaulttest.WantPermanent(t, err, "ca.pem: no PEM certificate in it", "")
	})
}

func TestPlainHTTPOverANetworkWarns(t *testing.T) {
	for address, want := range map[string]bool{
		"http://vault.example.com:8200": true, "http://10.0.0.1:8200": true,
		"http://127.0.0.1:8200": false, "http://localhost:8200": false, "http://[::1]:8200": false, "https://vault.example.com": false,
	} {
		env, warned := vaulttest.Env(t), false
		env.Warnf = func(string, ...any) { warned = true }
		if _, err := login.Connect(t.Context(), env, connection(address, "t")); err != nil {
			t.Fatal(err)
		}
		if warned != want {
			t.Errorf("%s: warned is %v", address, warned)
		}
	}
}

// The error of a cancelled request is the cancellation, and nothing about Vault.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := connect(t, connection("http://127.0.0.1:1", "t"))
	cancel()
	_, err := c.Read(ctx, "x")
	if !errors.Is(err, context.Canceled) || errors.Is(err, engine.ErrPermanent) {
		t.Errorf("error is %v", err)
	}
}
