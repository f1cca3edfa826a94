package transit_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/session/transit"
)

func TestMain(m *testing.M) { vaulttest.Main(m) }

// connect fills the connection as a plan does.
func connect(address, token string) func(any) error {
	return func(connection any) error {
		c := connection.(*login.Connection)
		c.Address, c.Token = address, engine.NewSecret(token)
		return nil
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]transit.Ref{
		"hashivault://evidence":        {Mount: "transit", Key: "evidence"},
		"hashivault://ci/evidence":     {Mount: "ci", Key: "evidence"},
		"hashivault://team/ci/ev.1-x":  {Mount: "team/ci", Key: "ev.1-x"},
		"hashivault://transit/release": {Mount: "transit", Key: "release"},
	} {
		if got, err := transit.Parse(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"hashivault://", "hashivault:///k", "hashivault://m/", "hashivault://../sys/k", "hashivault://k?x=y", "hashivault://a b", "key.pem"} {
		if got, err := transit.Parse(text); err == nil {
			t.Errorf("%s is taken: %v", text, got)
		}
	}
}

// Vault's signature is as one of a key of the same type, and a rotated key
// signs with its newest version.
func TestRealVault(t *testing.T) {
	vault := vaulttest.Shared(t)
	mount := "transit-" + strings.ToLower(t.Name())
	vault.Do(t, http.MethodPost, "sys/mounts/"+mount, `{"type": "transit"}`)
	vault.Do(t, http.MethodPut, "sys/policies/acl/"+mount, fmt.Sprintf(`{"policy": %q}`,
		fmt.Sprintf("path %q { capabilities = [\"read\"] }\npath %q { capabilities = [\"update\"] }", mount+"/keys/*", mount+"/sign/*")))
	ctx, env, data := engine.AllowWrites(t.Context()), vaulttest.Env(t), []byte("what was seen")
	open := connect(vault.Address, vault.Token)
	for _, kind := range []string{"ed25519", "ecdsa-p256"} {
		t.Run(kind, func(t *testing.T) {
			vault.Do(t, http.MethodPost, mount+"/keys/"+kind, `{"type": "`+kind+`"}`)
			var publics []any
			for range 2 {
				k, err := transit.Open(ctx, env, transit.Ref{Mount: mount, Key: kind}, open)
				if err != nil {
					t.Fatal(err)
				}
				signature, err := k.Sign(ctx, data)
				if err != nil {
					t.Fatal(err)
				}
				ok := false
				switch public := k.Public().(type) {
				case ed25519.PublicKey:
					ok = ed25519.Verify(public, data, signature)
				case *ecdsa.PublicKey:
					sum := sha256.Sum256(data)
					ok = ecdsa.VerifyASN1(public, sum[:], signature)
				}
				if !ok {
					t.Errorf("the signature is not one by %v", k.Public())
				}
				publics = append(publics, k.Public())
				vault.Do(t, http.MethodPost, mount+"/keys/"+kind+"/rotate", "")
			}
			if reflect.DeepEqual(publics[0], publics[1]) {
				t.Error("the old version signs after a rotation")
			}
		})
	}
	t.Run("the policy in the documentation is enough", func(t *testing.T) {
		token, err := vault.Client(t).Auth().Token().CreateWithContext(ctx, &api.TokenCreateRequest{Policies: []string{mount}, NoDefaultPolicy: true, TTL: "5m"})
		if err != nil {
			t.Fatal(err)
		}
		k, err := transit.Open(ctx, env, transit.Ref{Mount: mount, Key: "ed25519"}, connect(vault.Address, token.Auth.ClientToken))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Sign(ctx, data); err != nil {
			t.Error(err)
		}
	})
	t.Run("another type", func(t *testing.T) {
		vault.Do(t, http.MethodPost, mount+"/keys/aes", `{"type": "aes256-gcm96"}`)
		_, err := transit.Open(ctx, env, transit.Ref{Mount: mount, Key: "aes"}, open)
		vaulttest.WantPermanent(t, err, `of type "aes256-gcm96"`, "type=ed25519")
	})
	t.Run("no such key", func(t *testing.T) {
		_, err := transit.Open(ctx, env, transit.Ref{Mount: mount, Key: "none"}, open)
		vaulttest.WantPermanent(t, err, mount+"/keys/none: there is no such key", "vault write -f "+mount+"/keys/none type=ed25519")
	})
	t.Run("no such mount", func(t *testing.T) {
		_, err := transit.Open(ctx, env, transit.Ref{Mount: "nowhere", Key: "none"}, open)
		vaulttest.WantPermanent(t, err, "no handler for route", "nothing is mounted there")
	})
	t.Run("no token", func(t *testing.T) {
		_, err := transit.Open(ctx, env, transit.Ref{Mount: mount, Key: "ed25519"}, connect(vault.Address, ""))
		vaulttest.WantPermanent(t, err, "no token is given", "connections.vault.token")
	})
	t.Run("looking only", func(t *testing.T) {
		k, err := transit.Open(t.Context(), env, transit.Ref{Mount: mount, Key: "ed25519"}, open)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Sign(t.Context(), data); !errors.Is(err, vaultkit.ErrReadOnly) {
			t.Errorf("signed while writes are not allowed: %v", err)
		}
	})
}

// A signature that the named key did not make does not pass.
func TestForgedAnswers(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("what was seen")
	good := base64.StdEncoding.EncodeToString(ed25519.Sign(private, data))
	other := base64.StdEncoding.EncodeToString(ed25519.Sign(private, []byte("something else")))
	for want, signature := range map[string]string{
		"":                              "vault:v3:" + good,
		"not one by the key":            "vault:v3:" + other,
		"is not one of version 3":       "vault:v2:" + good,
		"the signature: illegal base64": "vault:v3:%",
		" is not one of version 3":      "",
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				fmt.Fprintf(w, `{"data": {"type": "ed25519", "latest_version": 3, "keys": {"3": {"public_key": %q}}}}`, base64.StdEncoding.EncodeToString(public))
				return
			}
			fmt.Fprintf(w, `{"data": {"signature": %q}}`, signature)
		}))
		defer s.Close()
		ctx := engine.AllowWrites(t.Context())
		k, err := transit.Open(ctx, vaulttest.Env(t), transit.Ref{Mount: "transit", Key: "k"}, connect(s.URL, "t"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = k.Sign(ctx, data)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%q: error is %v, want %q", signature, err, want)
		}
	}
}
