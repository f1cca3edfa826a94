package vaulttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/engine"
)

// Do makes a request with the root token, and returns the data of the answer. It
// fails the test if Vault refuses.
func (s *Server) Do(t testing.TB, method, path, body string) map[string]any {
	t.Helper()
	c := s.Client(t)
	r := c.NewRequest(method, "/v1/"+path)
	if body != "" {
		r.BodyBytes = []byte(body)
	}
	if method == http.MethodPatch {
		r.Headers.Set("Content-Type", "application/merge-patch+json")
	}
	//lint:ignore SA1019 Nothing else takes any method and path.
	resp, err := c.RawRequestWithContext(t.Context(), r)
	if resp != nil {
		defer resp.Body.Close()
	}
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	secret, err := api.ParseSecret(resp.Body)
	if err != nil || secret == nil {
		return nil
	}
	return secret.Data
}

// DoJSON is Do with body as JSON.
func (s *Server) DoJSON(t testing.TB, method, path string, body map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(body)
	ok(t, err)
	return s.Do(t, method, path, string(text))
}

// WantPermanent fails the test unless err is permanent, contains want and has a
// hint that contains hint.
func WantPermanent(t testing.TB, err error, want, hint string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, engine.ErrPermanent) {
		t.Errorf("error is %v, want a permanent one with %q", err, want)
	}
	if got := engine.HintOf(err); !strings.Contains(got, hint) {
		t.Errorf("hint is %q, want one with %q", got, hint)
	}
}

// PKI is how many issuers and keys a mount has.
type PKI struct{ Issuers, Keys int }

// CountPKI counts; a mount that is not there or not PKI has none.
func (s *Server) CountPKI(t testing.TB, mount string) PKI {
	t.Helper()
	count := func(what string) int {
		secret, err := s.Client(t).Logical().List(mount + "/" + what)
		if err != nil || secret == nil {
			return 0
		}
		keys, _ := secret.Data["keys"].([]any)
		return len(keys)
	}
	return PKI{count("issuers"), count("keys")}
}

// WantPKI fails the test unless the mount has so many issuers and keys.
func (s *Server) WantPKI(t testing.TB, mount string, issuers, keys int) {
	t.Helper()
	if got, want := s.CountPKI(t, mount), (PKI{issuers, keys}); got != want {
		t.Errorf("%s has %+v, want %+v", mount, got, want)
	}
}

// ClearDefaultIssuer leaves the mount without a default issuer, as deleting the
// default does.
func (s *Server) ClearDefaultIssuer(t testing.TB, mount string) {
	t.Helper()
	made := s.Do(t, http.MethodPost, mount+"/root/generate/internal", `{"common_name":"temporary"}`)
	id := made["issuer_id"].(string)
	s.Do(t, http.MethodPost, mount+"/config/issuers", `{"default":"`+id+`"}`)
	s.Do(t, http.MethodDelete, mount+"/issuer/"+id, "")
}

// Show writes edits a line each: "path: have -> want".
func Show(edits []engine.Edit) []string {
	out := make([]string, len(edits))
	for i, e := range edits {
		out[i] = fmt.Sprintf("%s: %v -> %v", e.Path, e.Have, e.Want)
	}
	return out
}

// ApplyAll applies edits in order until one fails.
func ApplyAll(t testing.TB, edits []engine.Edit) error {
	t.Helper()
	for _, e := range edits {
		if e.Apply == nil {
			continue
		}
		if err := e.Apply(engine.AllowWrites(t.Context())); err != nil {
			return fmt.Errorf("%s: %w", strings.TrimSpace(e.Path), err)
		}
	}
	return nil
}
