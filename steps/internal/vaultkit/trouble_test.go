package vaultkit

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/guard"
)

// closedAddress is one at which nothing listens: a port that was free a moment ago may be
// another test's.
const closedAddress = "127.0.0.1:1"

// A Vault behind a Service that cannot be reached is explained by its pods.
func TestUnreachableVaultNamesItsPod(t *testing.T) {
	c, err := Server{Address: "http://" + closedAddress}.client(&engine.Env{}, guard.Guard{Next: http.DefaultTransport})
	if err != nil {
		t.Fatal(err)
	}
	c.outside = false
	c.trouble = func(context.Context) (string, string) {
		return "pod vault-0 waits: ImagePullBackOff", "image vault:1 cannot be pulled"
	}
	_, err = c.SealStatus(t.Context())
	if err == nil || !strings.Contains(err.Error(), "pod vault-0 waits: ImagePullBackOff") || engine.HintOf(err) != "image vault:1 cannot be pulled" {
		t.Errorf("error %v, hint %q", err, engine.HintOf(err))
	}
	c.trouble = func(context.Context) (string, string) { return "", "" }
	if _, err = c.SealStatus(t.Context()); !strings.Contains(engine.HintOf(err), "is Vault's pod running?") {
		t.Errorf("hint %q", engine.HintOf(err))
	}
}

// The error of a Vault with an address of its own has nothing about pods.
func TestUnreachableVaultOutside(t *testing.T) {
	for address, hint := range map[string]string{
		"http://" + closedAddress:      "nothing listens at this address",
		"http://vault.example.invalid": "the name cannot be resolved",
	} {
		c, err := Server{Address: address}.client(&engine.Env{}, guard.Guard{Next: http.DefaultTransport})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.SealStatus(t.Context())
		if got := engine.HintOf(err); !strings.Contains(got, hint) || strings.Contains(got, "pod") {
			t.Errorf("%s: hint %q", address, got)
		}
		if got, want := engine.NextOf(err), "curl -sS "+address+"/v1/sys/health"; got != want {
			t.Errorf("next %q, want %q", got, want)
		}
	}
}

// The advice on a new start fits the Vault: one of a chart, or one of which only the
// address is known.
func TestEmptied(t *testing.T) {
	inside := Server{Service: Service{Namespace: "secrets", Name: "bao"}}
	for want, s := range map[string]Server{"PersistentVolumeClaim data-bao-0": inside, "stop it, delete its data, start it": {Address: "https://vault.example.com"}} {
		if got := s.Emptied(); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
