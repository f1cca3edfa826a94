package vaultkit

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
)

// A Vault that cannot be reached is explained by its pods.
func TestUnreachableVaultNamesItsPod(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	c, err := Server{Address: "http://" + l.Addr().String()}.client(&engine.Env{}, http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	c.trouble = func(context.Context) string { return "pod vault-0 waits: CrashLoopBackOff; its last line: no such key" }
	_, err = c.SealStatus(t.Context())
	if err == nil || !strings.Contains(err.Error(), "its last line: no such key") || !strings.Contains(engine.HintOf(err), "--previous") {
		t.Errorf("error %v, hint %q", err, engine.HintOf(err))
	}
	c.trouble = func(context.Context) string { return "" }
	if _, err = c.SealStatus(t.Context()); !strings.Contains(engine.HintOf(err), "is Vault's pod running?") {
		t.Errorf("hint %q", engine.HintOf(err))
	}
}
