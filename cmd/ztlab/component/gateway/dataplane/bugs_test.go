package dataplane_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/dataplane"
)

// With the bug one worker in three serves the old certificate; without it, it
// catches up.
func TestOneWorkerStale(t *testing.T) {
	ca := newAuthority(t)
	gateway := start(t, t.TempDir())
	before := ca.issue(t, "*.example.local")
	gateway.put(t, adminapi.KindSSL, "wild", before)
	gateway.served(t, "hello.example.local", serialOf(t, before), ca.pool())
	gateway.show(t, "one-worker-stale")
	after := ca.issue(t, "*.example.local")
	gateway.put(t, adminapi.KindSSL, "wild", after)
	eventually(t, "two workers of three with the new certificate", func() bool {
		return gateway.serials(t, 3, "hello.example.local", ca.pool())[serialOf(t, after)] == 2
	})
	seen := gateway.serials(t, 30, "hello.example.local", ca.pool())
	if seen[serialOf(t, before)] != 10 || seen[serialOf(t, after)] != 20 {
		t.Errorf("certificates seen = %v, want the old one 10 times and the new one 20 times", seen)
	}
	gateway.show(t, "")
	gateway.served(t, "hello.example.local", serialOf(t, after), ca.pool())
}

// A restart cures the stale worker, as it does upstream.
func TestStaleWorkerIsCuredByRestart(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	gateway := start(t, dir)
	before := ca.issue(t, "*.example.local")
	gateway.put(t, adminapi.KindSSL, "wild", before)
	gateway.served(t, "hello.example.local", serialOf(t, before), ca.pool())
	gateway.show(t, "one-worker-stale")
	after := ca.issue(t, "*.example.local")
	gateway.put(t, adminapi.KindSSL, "wild", after)
	gateway.stop()
	gateway = start(t, dir)
	gateway.served(t, "hello.example.local", serialOf(t, after), ca.pool())
}

// hold makes a connection that stays open, and returns a request on it.
func hold(t *testing.T, gateway *lab, ca authority) func() error {
	client := gateway.client(ca.pool(), false)
	client.Transport.(*http.Transport).MaxConnsPerHost = 1
	t.Cleanup(client.CloseIdleConnections)
	return func() error {
		// A body that cannot be sent twice keeps the client from trying again
		// on another connection.
		request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, "https://hello.example.local/", http.NoBody)
		if err != nil {
			return err
		}
		request.GetBody = nil
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body)
		return errors.Join(err, response.Body.Close())
	}
}

// slow answers on a signal, so that a request is under way meanwhile.
type slow struct{ entered, leave chan struct{} }

func (s slow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.entered <- struct{}{}
	select {
	case <-s.leave:
		io.WriteString(w, "late")
	case <-r.Context().Done():
	}
}

func TestDropConnections(t *testing.T) {
	for _, c := range []struct {
		bugs    string
		dropped bool
	}{{"", false}, {"drop-connections-on-reload", true}} {
		t.Run("bugs="+c.bugs, func(t *testing.T) {
			ca := newAuthority(t)
			gateway := start(t, t.TempDir())
			server := slow{make(chan struct{}), make(chan struct{})}
			gateway.put(t, adminapi.KindRoute, "slow", adminapi.Route{URIs: []string{"/*"}, Upstream: upstream(backend(t, server))})
			before := ca.issue(t, "*.example.local")
			gateway.put(t, adminapi.KindSSL, "wild", before)
			gateway.served(t, "hello.example.local", serialOf(t, before), ca.pool())
			gateway.show(t, c.bugs)

			request := hold(t, gateway, ca)
			result := make(chan error, 1)
			go func() { result <- request() }()
			<-server.entered
			after := ca.issue(t, "*.example.local")
			gateway.put(t, adminapi.KindSSL, "wild", after)
			gateway.served(t, "hello.example.local", serialOf(t, after), ca.pool())
			if !c.dropped { // else it ends with its connection
				close(server.leave)
			}
			var err error
			select {
			case err = <-result:
			case <-time.After(time.Minute):
				t.Fatal("the request under way does not end")
			}
			if c.dropped && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("error = %v, want a connection that was broken off", err)
			}
			if !c.dropped && err != nil {
				t.Errorf("the request under way failed: %v", err)
			}
		})
	}
}

// configured is the answer of /status/ready.
func (l *lab) configured(t *testing.T) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.addresses[statPort]+"/status/ready", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, _ := do(t, http.DefaultClient, request)
	return response.StatusCode
}

// Seen on APISIX 3.16.0: a gateway that is restarted while etcd answers refuses
// connections for about 0.24 s and then serves, with no window of 404s. One that
// starts without etcd opens its port, answers 404, refuses handshakes with
// internal_error, and is not ready by /status/ready; when etcd is back,
// certificates come first (12 s) and routes after them (15.5 s).
func TestRestart(t *testing.T) {
	ca := newAuthority(t)
	ssl := ca.issue(t, "*.example.local")
	// restarted is a gateway that was restarted with the bugs, as soon as it is ready,
	// and when its start began.
	restarted := func(t *testing.T, bugs string) (gateway *lab, began time.Time) {
		t.Helper()
		dir := t.TempDir()
		gateway = start(t, dir)
		gateway.put(t, adminapi.KindRoute, "hello", adminapi.Route{URIs: []string{"/*"}, Upstream: upstream(backend(t, says("hello")))})
		gateway.put(t, adminapi.KindSSL, "wild", ssl)
		gateway.served(t, "hello.example.local", serialOf(t, ssl), ca.pool())
		gateway.show(t, bugs)
		gateway.stop()
		if _, err := gateway.handshake(t.Context(), "hello.example.local", ca.pool()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a stopped gateway: %v, want a refused connection", err)
		}
		began = time.Now()
		gateway = start(t, dir)
		<-gateway.ready
		return gateway, began
	}
	for _, c := range []struct {
		bugs           string
		status, ready  int
		alertOfNothing string
	}{
		{"", http.StatusOK, http.StatusOK, ""},
		{"etcd-unanswered-at-start=1h", http.StatusNotFound, http.StatusServiceUnavailable, internalError},
	} {
		t.Run("bugs="+c.bugs, func(t *testing.T) {
			gateway, _ := restarted(t, c.bugs)
			response, _ := gateway.plain(t, http.MethodGet, "hello.example.local", "/")
			_, err := gateway.handshake(t.Context(), "hello.example.local", ca.pool())
			if got := gateway.configured(t); response.StatusCode != c.status || got != c.ready || alert(err) != c.alertOfNothing || (err == nil) != (c.alertOfNothing == "") {
				t.Errorf("status = %d, /status/ready = %d, handshake: %v; want %d, %d and alert %q", response.StatusCode, got, err, c.status, c.ready, c.alertOfNothing)
			}
		})
	}
	t.Run("end of the window", func(t *testing.T) {
		const window = 300 * time.Millisecond
		gateway, began := restarted(t, "etcd-unanswered-at-start="+window.String())
		gateway.served(t, "hello.example.local", serialOf(t, ssl), ca.pool())
		certificates := time.Since(began)
		eventually(t, "the route", func() bool {
			response, _ := gateway.plain(t, http.MethodGet, "hello.example.local", "/")
			return response.StatusCode == http.StatusOK
		})
		routes := time.Since(began)
		if certificates < window || routes < window*31/24 {
			t.Errorf("certificates after %v, routes after %v; want at least %v and %v", certificates, routes, window, window*31/24)
		}
		eventually(t, "/status/ready", func() bool { return gateway.configured(t) == http.StatusOK })
	})
}

// A gateway that has no store yet is ready when the control plane has written
// everything, and not before.
func TestReadyAfterFirstSync(t *testing.T) {
	gateway := start(t, t.TempDir())
	select {
	case <-gateway.ready:
		t.Fatal("ready before the control plane has spoken")
	default:
	}
	ca := newAuthority(t)
	ssl := ca.issue(t, "*.example.local")
	gateway.put(t, adminapi.KindSSL, "wild", ssl)
	gateway.show(t, "")
	<-gateway.ready
	for range 6 {
		if _, err := gateway.handshake(t.Context(), "hello.example.local", ca.pool()); err != nil {
			t.Fatal(err)
		}
	}
}

// Without a control plane a gateway gets ready all the same, with nothing.
func TestReadyWithoutControlPlane(t *testing.T) {
	t.Parallel() // it waits for two seconds, on nothing
	gateway := start(t, t.TempDir(), func(o *dataplane.Options) { o.Contact = 0 })
	select {
	case <-gateway.ready:
	case <-time.After(time.Minute):
		t.Fatal("not ready")
	}
}

// The window can be asked for with the first word to a new gateway, as after a
// pod's replacement.
func TestWindowOfANewGateway(t *testing.T) {
	ca := newAuthority(t)
	ssl := ca.issue(t, "*.example.local")
	begun := func(window string) *lab {
		gateway := start(t, t.TempDir())
		bugs, err := adminapi.ParseBugs("etcd-unanswered-at-start=" + window)
		if err != nil {
			t.Fatal(err)
		}
		if err := gateway.admin.PutState(t.Context(), adminapi.State{Bugs: bugs}); err != nil {
			t.Fatal(err)
		}
		gateway.put(t, adminapi.KindSSL, "wild", ssl)
		<-gateway.ready
		return gateway
	}
	if _, err := begun("1h").handshake(t.Context(), "hello.example.local", ca.pool()); alert(err) != internalError {
		t.Errorf("handshake: %v, want alert %q", err, internalError)
	}
	begun("100ms").served(t, "hello.example.local", serialOf(t, ssl), ca.pool())
}
