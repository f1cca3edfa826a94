package adminapi_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

func TestParseBugs(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{" , ", ""},
		{"one-worker-stale", "one-worker-stale"},
		{"one-worker-stale, drop-connections-on-reload", "drop-connections-on-reload,one-worker-stale"},
		{"404-window-after-restart", "404-window-after-restart=3s"},
		{"404-window-after-restart=500ms", "404-window-after-restart=500ms"},
		{"secret-update-never-pushed", "secret-update-never-pushed"},
	} {
		t.Run(c.text, func(t *testing.T) {
			bugs, err := adminapi.ParseBugs(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := bugs.String(); got != c.want {
				t.Errorf("bugs = %q, want %q", got, c.want)
			}
			text, err := json.Marshal(bugs)
			if err != nil {
				t.Fatal(err)
			}
			var again adminapi.Bugs
			if err := json.Unmarshal(text, &again); err != nil || !again.Equal(bugs) {
				t.Errorf("read back: %q, %v", again.String(), err)
			}
		})
	}
}

func TestParseBugsErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"one-worker-tired", "404-window-after-restart, drop-connections-on-reload, one-worker-stale, secret-update-never-pushed"},
		{"one-worker-stale=1s", "takes no time"},
		{"404-window-after-restart=soon", "not a positive duration"},
		{"404-window-after-restart=-1s", "not a positive duration"},
	} {
		t.Run(c.text, func(t *testing.T) {
			_, err := adminapi.ParseBugs(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestWith(t *testing.T) {
	var none adminapi.Bugs
	one := none.With(adminapi.Window404)
	if none.Has(adminapi.Window404) {
		t.Error("With changed its receiver")
	}
	if !one.Has(adminapi.Window404) || one.For(adminapi.Window404) != 3*time.Second {
		t.Errorf("bugs = %q", one.String())
	}
}
