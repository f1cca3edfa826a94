package e2e

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/engine"
)

// generateRoot makes a root token with shares of the key file, as their holders
// do together: it works only if they are this Vault's.
func (w *world) generateRoot(shares ...int) string {
	w.t.Helper()
	c, k := w.vaultAt(), w.readKeys()
	begun, err := c.Sys().GenerateRootInitWithContext(w.t.Context(), "", "")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, i := range shares {
		status, err := c.Sys().GenerateRootUpdateWithContext(w.t.Context(), k.Keys[i], begun.Nonce)
		if err != nil {
			w.t.Fatalf("share %d: %v", i, err)
		}
		if !status.Complete {
			continue
		}
		token, err := base64.RawStdEncoding.DecodeString(status.EncodedToken)
		if err != nil || len(token) != len(begun.OTP) {
			w.t.Fatalf("the token is not encoded with the password: %v", err)
		}
		for i := range token {
			token[i] ^= begun.OTP[i]
		}
		return string(token)
	}
	w.t.Fatalf("%d shares make no token", len(shares))
	return ""
}

// giveBack puts a root token into the key file again, as its owner does who
// needs one.
func (w *world) giveBack(token string) {
	w.t.Helper()
	text, err := os.ReadFile(w.keys())
	if err == nil {
		err = os.WriteFile(w.keys(), bytes.Replace(text, []byte(`"root_token": ""`), []byte(fmt.Sprintf(`"root_token": %q`, token)), 1), 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if w.readKeys().RootToken != token {
		w.t.Fatal("the key file does not hold the token")
	}
}

// dead fails the test unless Vault refuses the token.
func (w *world) dead(t *testing.T, token string) {
	t.Helper()
	c := w.vaultAt()
	c.SetToken(token)
	_, err := c.Auth().Token().LookupSelfWithContext(t.Context())
	var refused *api.ResponseError
	if token == "" || !errors.As(err, &refused) || refused.StatusCode != http.StatusForbidden {
		t.Errorf("the token is not refused with 403: %v", err)
	}
}

// firstToken returns a reader of events that notes the root token when init has
// just stored it, as somebody would who copies the key file then.
func (w *world) firstToken(into *string) func(engine.Event, *os.Process) {
	return func(e engine.Event, _ *os.Process) {
		if e.Action == engine.ActionApplied && e.Step == "init" {
			*into = w.readKeys().RootToken
		}
	}
}

// An accessor's display name, and the role, of the plan's own login.
const (
	planLogin = "kubernetes-vault-ztplan"
	planRole  = "ztplan"
)

// kept returns the remains of logins in Vault: tokens of the plan's own, and
// how many identities there are.
func (w *world) kept() string {
	w.t.Helper()
	tokens := 0
	for _, accessor := range w.list("auth/token/accessors") {
		s, err := w.vault().Auth().Token().LookupAccessorWithContext(w.t.Context(), accessor)
		if err != nil {
			continue // it has expired since
		}
		if s.Data["display_name"] == planLogin {
			tokens++
		}
	}
	return fmt.Sprintf("%d tokens of the plan, %d identities", tokens, len(w.list("identity/entity/id")))
}

// revoked checks the state after a run of the plan: the root token is refused
// and not missed, and where one is needed again, the holders of the shares make
// it.
func (w *world) revoked(t *testing.T, token string) {
	w.sub(t, "dead", func(t *testing.T) {
		w.dead(t, token)
		if held := w.readKeys().RootToken; held != "" {
			t.Error("the key file still holds a root token")
		}
	})
	w.sub(t, "regenerated", func(t *testing.T) {
		w.erase("auth/kubernetes/role/" + planRole)
		o := w.check()
		must(t, "status without the login", o, 1)
		expect(t, "status without the login", o, `^admin .*invalid role name.*no token to bootstrap with.*generate-root`)
		again := w.generateRoot(4, 3, 2)
		w.giveBack(again)
		o = w.check()
		must(t, "status with a root token", o, 2)
		expect(t, "status with a root token", o, `^admin auth/kubernetes/role/ztplan`)
		must(t, "run with a root token", w.run(), 0)
		w.dead(t, again)
		must(t, "status after it", w.check(), 0)
	})
	w.sub(t, "old-copy", func(t *testing.T) {
		w.giveBack(token)
		o := w.check()
		must(t, "status with an old key file", o, 2)
		expect(t, "status with an old key file", o, `^init.rootToken keys/.*root_token .*does not know it any more`)
		expect(t, "status with an old key file", o, `^admin warns: vault does not know the token`)
		must(t, "run with an old key file", w.run(), 0)
		if held := w.readKeys().RootToken; held != "" {
			t.Error("the key file still holds a root token")
		}
	})
}
