package engine_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// Dates have whole seconds, so that a second is no difference; certificates and tokens
// allow for half a minute.
func TestSkew(t *testing.T) {
	began := time.Date(2026, 11, 28, 12, 0, 0, 500_000_000, time.UTC)
	for by, want := range map[time.Duration]struct {
		level  engine.Level
		detail string
	}{
		0:                 {engine.LevelOK, "agrees with Vault"},
		-time.Second:      {engine.LevelOK, "agrees with Vault"},
		-20 * time.Second: {engine.LevelOK, "this machine is 20s ahead of Vault"},
		5 * time.Minute:   {engine.LevelFail, "this machine is 4m59s behind Vault: new certificates are not valid yet here"},
		-time.Hour:        {engine.LevelFail, "this machine is 1h0m0s ahead of Vault: tokens and certificates end too soon there"},
	} {
		v := engine.Skew("Vault", began.Add(by).Format(http.TimeFormat), began, began.Add(time.Second/4))
		if v.Level != want.level || v.Detail != want.detail {
			t.Errorf("%v: got %s %q, want %s %q", by, v.Level, v.Detail, want.level, want.detail)
		}
	}
	if v := engine.Skew("Vault", "", began, began); v.Level != engine.LevelWarn {
		t.Errorf("without a date: %+v", v)
	}
}
