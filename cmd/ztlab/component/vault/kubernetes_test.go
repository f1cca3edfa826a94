package vault_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A reviewer is an API server that knows TokenReview only, and remembers who
// asked.
type reviewer struct {
	*httptest.Server
	mu     sync.Mutex
	bearer []string
}

func newReviewer(t *testing.T) *reviewer {
	r := &reviewer{}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.bearer = append(r.bearer, strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "))
		r.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":true,
			"audiences":["vault://issuer"],"user":{"username":"system:serviceaccount:cert-manager:issuer","uid":"uid-1","groups":["system:serviceaccounts"]}}}`)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *reviewer) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.bearer...)
}

// serviceAccountToken is an unsigned token: the API server
// decides about the signature.
func serviceAccountToken(t *testing.T) string {
	part := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": "https://kubernetes.default.svc.cluster.local", "sub": "system:serviceaccount:cert-manager:issuer",
		"aud": []string{"vault://issuer"}, "iat": now, "nbf": now, "exp": now + 600,
		"kubernetes.io": map[string]any{"namespace": "cert-manager", "serviceaccount": map[string]any{"name": "issuer", "uid": "uid-1"}},
	}
	return part(map[string]any{"alg": "RS256", "typ": "JWT"}) + "." + part(claims) + "." + base64.RawURLEncoding.EncodeToString([]byte("signature"))
}

func TestKubernetesAuthUsesThePodsOwnIdentity(t *testing.T) {
	api := newReviewer(t)
	spec := specFor(t)
	spec.TokenFile, spec.CAFile = filepath.Join(spec.Dir, "token"), filepath.Join(spec.Dir, "ca.crt")
	writeFile(t, spec.TokenFile, "pod-token-1")
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw}))
	writeFile(t, spec.CAFile, ca)

	s := start(t, spec)
	keys := s.init()
	s.unseal(keys)
	s.must("POST", "sys/auth/kubernetes", map[string]any{"type": "kubernetes"})
	s.must("POST", "auth/kubernetes/config", map[string]any{"kubernetes_host": api.URL})
	s.must("POST", "auth/kubernetes/role/cm", map[string]any{
		"bound_service_account_names": "issuer", "bound_service_account_namespaces": "cert-manager", "audience": "vault://issuer",
	})
	config := s.must("GET", "auth/kubernetes/config", nil)
	if config["token_reviewer_jwt_set"] != false || config["kubernetes_ca_cert"] != "" || config["kubernetes_host"] != api.URL {
		t.Errorf("configuration reads back as %v; want what was written and nothing of the pod's", config)
	}
	login := func() {
		t.Helper()
		s.must("POST", "auth/kubernetes/login", map[string]any{"role": "cm", "jwt": serviceAccountToken(t)})
	}
	login()
	writeFile(t, spec.TokenFile, "pod-token-2\n") // renewed by the node agent
	login()
	if diff := cmp.Diff([]string{"pod-token-1", "pod-token-2"}, api.asked()); diff != "" {
		t.Errorf("tokens that reviews were asked with (-want +got):\n%s", diff)
	}

	// After a restart the stored configuration works as before.
	s.stop()
	token := s.token
	s = start(t, spec)
	s.token = token
	s.unseal(keys)
	login()

	// The caller's values are used, and shown, as on a cluster.
	s.must("POST", "auth/kubernetes/config", map[string]any{"kubernetes_host": api.URL, "kubernetes_ca_cert": ca, "token_reviewer_jwt": "own"})
	config = s.must("GET", "auth/kubernetes/config", nil)
	if config["token_reviewer_jwt_set"] != true || config["kubernetes_ca_cert"] != ca {
		t.Errorf("explicit configuration reads back as %v", config)
	}
	login()
	if got := api.asked(); got[len(got)-1] != "own" {
		t.Errorf("review was asked with %q; want the configured token", got[len(got)-1])
	}
}

func TestKubernetesAuthOutsideAPod(t *testing.T) {
	s := start(t, specFor(t)) // no token, no CA
	s.unseal(s.init())
	s.must("POST", "sys/auth/kubernetes", map[string]any{"type": "kubernetes"})
	code, answer := s.call("POST", "auth/kubernetes/config", map[string]any{"kubernetes_host": "https://127.0.0.1:1"})
	if code != 400 || !strings.Contains(fmt.Sprint(answer["errors"]), "no such file or directory") {
		t.Errorf("config without a pod: status %d, %v; want 400, no such file or directory", code, answer["errors"])
	}
	s.must("POST", "auth/kubernetes/config", map[string]any{"kubernetes_host": "https://127.0.0.1:1", "disable_local_ca_jwt": true})
}

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
