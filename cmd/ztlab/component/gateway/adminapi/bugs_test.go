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
		{"etcd-unanswered-at-start", "etcd-unanswered-at-start=3s"},
		{"etcd-unanswered-at-start=500ms", "etcd-unanswered-at-start=500ms"},
		{"late-worker", "late-worker=50s"},
		{"late-worker=2s", "late-worker=2s"},
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
		{"one-worker-tired", "drop-connections-on-reload, etcd-unanswered-at-start, late-worker, one-worker-stale, secret-update-never-pushed"},
		{"one-worker-stale=1s", "takes no time"},
		{"etcd-unanswered-at-start=soon", "not a positive duration"},
		{"etcd-unanswered-at-start=-1s", "not a positive duration"},
		{"404-window-after-restart=3s", "404-window-after-restart is called etcd-unanswered-at-start now"},
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
	one := none.With(adminapi.EtcdUnanswered)
	if none.Has(adminapi.EtcdUnanswered) {
		t.Error("With changed its receiver")
	}
	if !one.Has(adminapi.EtcdUnanswered) || one.For(adminapi.EtcdUnanswered) != 3*time.Second {
		t.Errorf("bugs = %q", one.String())
	}
}
