package dataplane_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

func TestAdminKeys(t *testing.T) {
	gateway := start(t, t.TempDir())
	for _, c := range []struct {
		name, key, method string
		status            int
		message           string
	}{
		{"no key", "", http.MethodGet, 401, `{"description":"missing apikey","error_msg":"failed to check token"}`},
		{"wrong key", "guess", http.MethodGet, 401, `{"description":"wrong apikey","error_msg":"failed to check token"}`},
		{"viewer reads", viewerKey, http.MethodGet, 200, `{"list":[],"total":0}`},
		{"viewer deletes", viewerKey, http.MethodDelete, 401, `{"description":"invalid method for role viewer","error_msg":"failed to check token"}`},
		{"admin reads", adminKey, http.MethodGet, 200, `{"list":[],"total":0}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), c.method, gateway.admin.Base+"/apisix/admin/ssls", nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.key != "" {
				request.Header.Set("X-API-KEY", c.key)
			}
			response, body := do(t, http.DefaultClient, request)
			if response.StatusCode != c.status {
				t.Errorf("status = %d, want %d", response.StatusCode, c.status)
			}
			if diff := cmp.Diff(c.message, strings.TrimSpace(body)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

// The list is the second witness of a rotation: the certificate that the
// gateway was given, its names and labels. Seen on APISIX 3.16.0: the key is in
// it, encrypted, there are no index fields, and X-API-VERSION is set.
func TestAdminList(t *testing.T) {
	ca := newAuthority(t)
	gateway := start(t, t.TempDir())
	ssl := ca.issue(t, "*.example.local")
	ssl.Labels = map[string]string{adminapi.LabelKind: "ApisixTls", adminapi.LabelName: "hello-tls"}
	gateway.put(t, adminapi.KindSSL, "one", ssl)
	gateway.put(t, adminapi.KindSSL, "one", ssl)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, gateway.admin.Base+"/apisix/admin/ssls", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-KEY", adminKey)
	response, body := do(t, http.DefaultClient, request)
	if got := response.Header.Get("X-API-VERSION"); got != "v3" {
		t.Errorf("X-API-VERSION = %q, want v3", got)
	}
	if strings.Contains(body, "PRIVATE KEY") {
		t.Error("the answer holds the private key")
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	value := got["list"].([]any)[0].(map[string]any)["value"].(map[string]any)
	for _, key := range []string{"create_time", "update_time"} {
		if value[key] == nil {
			t.Errorf("%s is missing", key)
		}
		delete(value, key)
	}
	want := map[string]any{
		"total": 1.0,
		"list": []any{map[string]any{
			"key": "/apisix/ssls/one",
			"value": map[string]any{
				"id": "one", "cert": ssl.Cert, "key": adminapi.Encrypted(ssl.Key), "snis": []any{"*.example.local"},
				"labels": map[string]any{"k8s/kind": "ApisixTls", "k8s/name": "hello-tls"},
			},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestAdminRefusesBadObjects(t *testing.T) {
	ca := newAuthority(t)
	gateway := start(t, t.TempDir())
	good := ca.issue(t, "*.example.local")
	for _, c := range []struct {
		name, kind string
		object     any
		want       string
	}{
		{"no certificate", adminapi.KindSSL, adminapi.SSL{SNIs: good.SNIs, Cert: good.Key, Key: good.Key}, "failed to parse cert"},
		{"no key", adminapi.KindSSL, adminapi.SSL{SNIs: good.SNIs, Cert: good.Cert, Key: good.Cert}, "failed to parse key"},
		// Seen on APISIX 3.16.0: 400.
		{"wildcard inside", adminapi.KindSSL, adminapi.SSL{SNIs: []string{"a.*.local"}, Cert: good.Cert, Key: good.Key}, "failed to match pattern"},
		{"no names", adminapi.KindSSL, adminapi.SSL{Cert: good.Cert, Key: good.Key}, "snis"},
		{"no paths", adminapi.KindRoute, adminapi.Route{Upstream: upstream()}, "uris"},
		{"no upstream", adminapi.KindRoute, adminapi.Route{URIs: []string{"/"}}, "upstream"},
		{"unknown kind", "consumers", map[string]string{}, "keeps ssls and routes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := gateway.admin.Put(t.Context(), c.kind, "bad", c.object)
			var refused *adminapi.Refusal
			if !errors.As(err, &refused) || refused.Status/100 != 4 || !strings.Contains(refused.Text, c.want) {
				t.Errorf("error = %v, want a refusal with %q", err, c.want)
			}
		})
	}
	listed, err := gateway.admin.SSLs(t.Context())
	if err != nil || len(listed) != 0 {
		t.Errorf("stored: %v, %v; want nothing", listed, err)
	}
}

func TestAdminDelete(t *testing.T) {
	ca := newAuthority(t)
	gateway := start(t, t.TempDir())
	ssl := ca.issue(t, "*.example.local")
	gateway.put(t, adminapi.KindSSL, "one", ssl)
	gateway.served(t, "hello.example.local", serialOf(t, ssl), ca.pool())
	if err := gateway.admin.Delete(t.Context(), adminapi.KindSSL, "one"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no certificate on any worker", func() bool {
		for range 6 {
			if _, err := gateway.handshake(t.Context(), "hello.example.local", ca.pool()); err == nil {
				return false
			}
		}
		return true
	})
	var refused *adminapi.Refusal
	if err := gateway.admin.Delete(t.Context(), adminapi.KindSSL, "one"); !errors.As(err, &refused) || refused.Status != http.StatusNotFound {
		t.Errorf("second delete: %v, want 404", err)
	}
}

// The store holds private keys.
func TestStoreIsPrivate(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	gateway := start(t, dir)
	gateway.put(t, adminapi.KindSSL, "one", ca.issue(t, "*.example.local"))
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
		info, err := os.Stat(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", entry.Name(), info.Mode())
		}
	}
	if diff := cmp.Diff([]string{"config.json"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
