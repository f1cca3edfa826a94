package kubekit_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/session"
)

// kubeconfig writes a file with the contexts lab and kind-lab, both of the
// cluster at server.
func kubeconfig(t *testing.T, server string, ca []byte) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: "canary-token"}
	for _, name := range []string{"lab", "kind-lab"} {
		config.Contexts[name] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	}
	config.CurrentContext = "lab"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func environment(t *testing.T, cluster session.Cluster) *engine.Env {
	t.Helper()
	shared := &engine.Session{}
	t.Cleanup(func() { shared.Close() })
	return &engine.Env{Settings: session.Settings{Cluster: cluster}, Session: shared, Now: time.Now}
}

// answer is an API server that gives one answer.
func answer(t *testing.T, code int, body any) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(body)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust it are the point
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func caOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func TestConnect(t *testing.T) {
	s := answer(t, http.StatusOK, map[string]string{"gitVersion": "v1.36.3"})
	env := environment(t, session.Cluster{Kubeconfig: kubeconfig(t, s.URL, caOf(s))})
	first, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	second, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Error("two steps of a run do not share the connection")
	}
	if first.Host() != s.URL {
		t.Errorf("got host %s, want %s", first.Host(), s.URL)
	}
}

func TestConnectExplainsWhatIsWrong(t *testing.T) {
	good := answer(t, http.StatusOK, map[string]string{"gitVersion": "v1.36.3"})
	other := answer(t, http.StatusOK, nil)
	refusing := answer(t, http.StatusUnauthorized, metav1.Status{Status: "Failure", Code: 401, Reason: metav1.StatusReasonUnauthorized, Message: "Unauthorized"})
	forbidding := answer(t, http.StatusForbidden, metav1.Status{Status: "Failure", Code: 403, Reason: metav1.StatusReasonForbidden, Message: "no"})
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	const closed = "127.0.0.1:1"
	missing := filepath.Join(t.TempDir(), "nothing")
	empty := filepath.Join(t.TempDir(), "empty")
	broken := filepath.Join(t.TempDir(), "broken")
	for path, text := range map[string]string{empty: "apiVersion: v1\nkind: Config\n", broken: "apiVersion: [\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	goodConfig := kubeconfig(t, good.URL, caOf(good))

	for name, test := range map[string]struct {
		cluster   session.Cluster
		wantError string
		wantHint  string
	}{
		"missing file": {
			session.Cluster{Kubeconfig: missing, Position: "plan.yaml:4:15"},
			"kubeconfig " + missing + " (plan.yaml:4:15): no such file", "--lab",
		},
		"empty file":  {session.Cluster{Kubeconfig: empty}, "no cluster is configured there", "--kubeconfig"},
		"broken file": {session.Cluster{Kubeconfig: broken}, "kubeconfig " + broken + ": ", "kubectl config view"},
		"unknown context": {
			session.Cluster{Kubeconfig: goodConfig, Context: "kind-lap"},
			`context "kind-lap" does not exist`, `did you mean "kind-lab"? the kubeconfig has: kind-lab, lab`,
		},
		"nothing listens": {
			session.Cluster{Kubeconfig: kubeconfig(t, "https://"+closed, nil)},
			"cluster https://" + closed, "nothing listens there",
		},
		"unknown CA": {session.Cluster{Kubeconfig: kubeconfig(t, good.URL, nil)}, "unknown authority", "created anew"},
		"wrong name": {
			session.Cluster{Kubeconfig: kubeconfig(t, strings.Replace(other.URL, "127.0.0.1", "localhost", 1), caOf(other))},
			"certificate is valid for", "tls-server-name",
		},
		"no TLS": {
			session.Cluster{Kubeconfig: kubeconfig(t, strings.Replace(plain.URL, "http:", "https:", 1), nil)},
			"HTTP", "something other than an API server",
		},
		"forbidden": {session.Cluster{Kubeconfig: kubeconfig(t, forbidding.URL, caOf(forbidding))}, "answered 403: forbidden", "ask for a role"},
		"refused":   {session.Cluster{Kubeconfig: kubeconfig(t, refusing.URL, caOf(refusing))}, "answered 401: ", "log in again"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := kubekit.Connect(t.Context(), environment(t, test.cluster))
			if err == nil {
				t.Fatal("connected")
			}
			if !errors.Is(err, engine.ErrPermanent) {
				t.Errorf("not permanent: %v", err)
			}
			if !strings.Contains(err.Error(), test.wantError) {
				t.Errorf("got error\n%v\nwant it to contain\n%s", err, test.wantError)
			}
			if !strings.Contains(engine.HintOf(err), test.wantHint) {
				t.Errorf("got hint\n%s\nwant it to contain\n%s", engine.HintOf(err), test.wantHint)
			}
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), "canary-token") {
				t.Error("the token shows")
			}
		})
	}
}

func TestConnectWithoutAnyKubeconfig(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("KUBECONFIG", filepath.Join(home, "a")+string(filepath.ListSeparator)+filepath.Join(home, "b"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, err := kubekit.Connect(t.Context(), environment(t, session.Cluster{}))
	if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), filepath.Join(home, "b")) {
		t.Errorf("got %v", err)
	}
}

func TestConnectReturnsWhenCancelled(t *testing.T) {
	release := make(chan struct{})
	hanging := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(hanging.Close)
	t.Cleanup(func() { close(release) })
	env := environment(t, session.Cluster{Kubeconfig: kubeconfig(t, hanging.URL, caOf(hanging))})
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("interrupted"))
	defer cancel()
	_, err := kubekit.Connect(ctx, env)
	if err == nil {
		t.Fatal("connected")
	}
	if !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v", err)
	}
}

// A server that is busy at the first contact is no reason to give up: the next
// look connects.
func TestConnectTriesAgainWhatPasses(t *testing.T) {
	var healthy atomic.Bool
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !healthy.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"gitVersion": "v1.36.3"}`)
	}))
	t.Cleanup(s.Close)
	env := environment(t, session.Cluster{Kubeconfig: kubeconfig(t, s.URL, caOf(s))})
	_, err := kubekit.Connect(t.Context(), env)
	if err == nil || errors.Is(err, engine.ErrPermanent) || engine.HintOf(err) == "" {
		t.Fatalf("want an error with a hint that is not permanent, got %v (hint %q)", err, engine.HintOf(err))
	}
	healthy.Store(true)
	if _, err := kubekit.Connect(t.Context(), env); err != nil {
		t.Errorf("the next look: %v", err)
	}
}

func TestPassing(t *testing.T) {
	for err, want := range map[error]bool{
		&url.Error{Op: "Get", Err: io.EOF}:                                            true,
		&url.Error{Op: "Get", Err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}}: true,
		io.ErrUnexpectedEOF:                                  true,
		apierrors.NewTooManyRequests("busy", 1):              true,
		apierrors.NewInternalError(errors.New("etcd")):       true,
		apierrors.NewUnauthorized("who?"):                    false,
		&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}:  false,
		&net.DNSError{Err: "no such host", IsNotFound: true}: false,
		x509.UnknownAuthorityError{}:                         false,
	} {
		if got := kubekit.Passing(t.Context(), err); got != want {
			t.Errorf("%v: got %t", err, got)
		}
	}
}
