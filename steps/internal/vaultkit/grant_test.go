package vaultkit_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

func TestLogin(t *testing.T) {
	ctx := engine.AllowWrites(t.Context())
	jwt := engine.NewSecret("eyJ.canary")
	t.Run("granted", func(t *testing.T) {
		s := answering(t, http.StatusOK, `{"auth":{"client_token":"hvs.x","policies":["default","p"],"lease_duration":60},"warnings":["audiences are not required"]}`)
		g, err := connect(t, connection(s.URL, "t")).Login(ctx, "kubernetes", vaultkit.JWT("r", jwt))
		if err != nil || g.Token.Reveal() != "hvs.x" || len(g.Policies) != 2 || g.TTL != time.Minute {
			t.Errorf("grant %+v, %v", g, err)
		}
	})
	t.Run("nothing granted", func(t *testing.T) {
		s := answering(t, http.StatusOK, `{"data":{}}`)
		if g, err := connect(t, connection(s.URL, "t")).Login(ctx, "kubernetes", vaultkit.JWT("r", jwt)); err == nil {
			t.Errorf("grant %+v", g)
		}
	})
	// Vault answers that to a login whose token it could not have reviewed, whatever the reason.
	t.Run("not reviewed", func(t *testing.T) {
		s := answering(t, http.StatusForbidden, `{"errors":["permission denied"]}`)
		_, err := connect(t, connection(s.URL, "t")).Login(ctx, "kubernetes", vaultkit.JWT("r", jwt))
		if hint := engine.HintOf(err); !strings.Contains(hint, "Vault could not review the token") {
			t.Errorf("error is %v, hint %q", err, hint)
		}
	})
	t.Run("refused", func(t *testing.T) {
		v := vaulttest.Shared(t)
		_, err := connect(t, connection(v.Address, v.Token)).Login(ctx, "nothing", vaultkit.JWT("r", jwt))
		var e *vaultkit.Error
		if !errors.As(err, &e) || e.Status != http.StatusNotFound && e.Status != http.StatusForbidden {
			t.Errorf("error is %v", err)
		}
	})
}

// Help is a look: it needs a valid token and a path that is served, and no
// policy.
func TestHelp(t *testing.T) {
	v := vaulttest.Shared(t)
	mount := v.Mount(t, "")
	v.Do(t, http.MethodPost, "sys/mounts/"+mount, `{"type":"pki"}`)
	made, err := v.Client(t).Logical().Write("auth/token/create", map[string]any{"policies": []string{"default"}})
	if err != nil {
		t.Fatal(err)
	}
	poor := connect(t, connection(v.Address, made.Auth.ClientToken))
	if err := poor.Help(t.Context(), mount+"/root/generate/internal"); err != nil {
		t.Error(err)
	}
	if _, err := poor.Read(t.Context(), mount+"/roles/x"); !vaultkit.Refused(err, "permission denied") {
		t.Errorf("the token may read: %v", err)
	}
	vaulttest.WantPermanent(t, poor.Help(t.Context(), mount+"/rooot"), "unsupported path", "")
	vaulttest.WantPermanent(t, poor.Help(t.Context(), "no-mount/x"), "no handler for route", "nothing is mounted there")
	dead := connect(t, connection(v.Address, "hvs.nonsense"))
	vaulttest.WantPermanent(t, dead.Help(t.Context(), mount+"/roles/x"), "invalid token", "expired or revoked")
}
