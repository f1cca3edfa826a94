package kubekit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/ztplan/ztplan/engine"
)

// closeGrace bounds how long closing waits for the other side.
const closeGrace = time.Second

// tunnels holds one multiplexed connection per pod. Streams to a port of the
// pod are opened on it; a connection that broke is replaced by the next dial.
type tunnels struct {
	config *rest.Config
	core   rest.Interface // client of the core API group

	mu     sync.Mutex
	pods   map[podKey]*podTunnel
	closed bool
}

// podKey identifies one incarnation of a pod: a pod made anew under the same
// name, as StatefulSets do, must not be reached through the old connection.
// uid may be empty.
type podKey struct{ namespace, name, uid string }

type podTunnel struct {
	opened chan struct{} // closed when conn or err is set
	conn   httpstream.Connection
	err    error

	// guarded by tunnels.mu
	nextID  int
	streams int
	retired bool // no further streams; closed with the last one
}

func newTunnels(config *rest.Config, core rest.Interface) *tunnels {
	return &tunnels{config: config, core: core, pods: make(map[podKey]*podTunnel)}
}

// dial opens a stream to a port of the pod.
func (t *tunnels) dial(ctx context.Context, pod podKey, port int) (net.Conn, error) {
	tunnel, id, err := t.acquire(ctx, pod)
	if err != nil {
		return nil, fmt.Errorf("pod %s/%s port %d: %w", pod.namespace, pod.name, port, err)
	}
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		var conn net.Conn
		err := engine.Try(func() (err error) { conn, err = t.open(tunnel, id, pod, port); return err })
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			t.retire(pod, tunnel)
			t.release(tunnel)
			return nil, fmt.Errorf("pod %s/%s port %d: %w", pod.namespace, pod.name, port, r.err)
		}
		return r.conn, nil
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				r.conn.Close()
			} else {
				t.release(tunnel)
			}
		}()
		return nil, fmt.Errorf("pod %s/%s port %d: %w", pod.namespace, pod.name, port, context.Cause(ctx))
	}
}

// open creates the pair of streams that port forwarding wants: one for errors
// and one for data, tied together by a request number.
func (t *tunnels) open(tunnel *podTunnel, id int, pod podKey, port int) (net.Conn, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(id))
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	errs, err := tunnel.conn.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("port-forward: %w", err)
	}
	errs.Close() // nothing is written to it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := tunnel.conn.CreateStream(headers)
	if err != nil {
		errs.Reset()
		tunnel.conn.RemoveStreams(errs)
		return nil, fmt.Errorf("port-forward: %w", err)
	}
	return newTunnelConn(tunnelAddr(fmt.Sprintf("%s/%s:%d", pod.namespace, pod.name, port)), data, errs, tunnel.conn.CloseChan(),
		func(failed bool) {
			tunnel.conn.RemoveStreams(data, errs)
			if failed {
				t.retire(pod, tunnel)
			}
			t.release(tunnel)
		}), nil
}

// acquire returns the pod's connection, opened if there is none, with one more
// stream counted, and the number of that stream.
func (t *tunnels) acquire(ctx context.Context, pod podKey) (*podTunnel, int, error) {
	for {
		t.mu.Lock()
		if t.closed {
			t.mu.Unlock()
			return nil, 0, net.ErrClosed
		}
		tunnel := t.pods[pod]
		if tunnel == nil {
			tunnel = &podTunnel{opened: make(chan struct{})}
			t.pods[pod] = tunnel
			go t.connect(pod, tunnel)
		}
		t.mu.Unlock()

		select {
		case <-tunnel.opened:
		case <-ctx.Done():
			return nil, 0, context.Cause(ctx)
		}
		if tunnel.err != nil {
			return nil, 0, tunnel.err
		}
		t.mu.Lock()
		select {
		case <-tunnel.conn.CloseChan():
			tunnel.retired = true
		default:
		}
		if !tunnel.retired {
			tunnel.streams++
			tunnel.nextID++
			id := tunnel.nextID
			t.mu.Unlock()
			return tunnel, id, nil
		}
		if t.pods[pod] == tunnel {
			delete(t.pods, pod)
		}
		t.mu.Unlock()
	}
}

func (t *tunnels) connect(pod podKey, tunnel *podTunnel) {
	tunnel.err = engine.Try(func() (err error) { tunnel.conn, err = t.upgrade(pod); return err })
	t.mu.Lock()
	if tunnel.err != nil && t.pods[pod] == tunnel {
		delete(t.pods, pod) // the next dial tries again
	}
	closed := t.closed
	t.mu.Unlock()
	close(tunnel.opened)
	if closed && tunnel.conn != nil {
		tunnel.conn.Close()
	}
}

// upgrade opens the connection: by websocket, which passes through more
// proxies, else by SPDY, which API servers before 1.30 want.
func (t *tunnels) upgrade(pod podKey) (httpstream.Connection, error) {
	url := t.url(pod)
	websocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, t.config)
	if err != nil {
		return nil, err
	}
	fallback, err := t.spdy(url)
	if err != nil {
		return nil, err
	}
	dialer := portforward.NewFallbackDialerForStreaming(websocket, fallback, func(err error) bool {
		cause := upgradeCause(err)
		return (httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)) &&
			!apierrors.IsNotFound(cause) && !apierrors.IsUnauthorized(cause)
	})
	conn, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, explainUpgrade(upgradeCause(err))
	}
	return conn, nil
}

func (t *tunnels) spdy(url *url.URL) (httpstream.Dialer, error) {
	transport, upgrader, err := spdy.RoundTripperFor(t.config)
	if err != nil {
		return nil, err
	}
	return spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url), nil
}

func (t *tunnels) url(pod podKey) *url.URL {
	return t.core.Post().Namespace(pod.namespace).Resource("pods").Name(pod.name).SubResource("portforward").URL()
}

// upgradeCause returns what is inside a failed upgrade, which does not unwrap.
func upgradeCause(err error) error {
	if u := (*httpstream.UpgradeFailureError)(nil); errors.As(err, &u) {
		return u.Cause
	}
	return err
}

func explainUpgrade(err error) error {
	err = fmt.Errorf("port-forward: %w", err)
	switch {
	case apierrors.IsNotFound(err):
		return err // pods come and go
	case apierrors.IsForbidden(err):
		return engine.Permanent(engine.WithHint(err,
			"the user in the kubeconfig needs create and get on pods/portforward in that namespace"))
	}
	return Classify(err)
}

// retire keeps further streams away from the tunnel.
func (t *tunnels) retire(pod podKey, tunnel *podTunnel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tunnel.retired = true
	if t.pods[pod] == tunnel {
		delete(t.pods, pod)
	}
}

// release counts one stream less, and closes a retired tunnel with the last.
func (t *tunnels) release(tunnel *podTunnel) {
	t.mu.Lock()
	tunnel.streams--
	last := tunnel.retired && tunnel.streams == 0
	t.mu.Unlock()
	if last {
		tunnel.conn.Close()
	}
}

func (t *tunnels) close() {
	t.mu.Lock()
	t.closed = true
	pods := t.pods
	t.pods = nil
	t.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, tunnel := range pods {
			select {
			case <-tunnel.opened:
				if tunnel.conn != nil {
					tunnel.conn.Close()
				}
			default: // connect closes it
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(closeGrace):
	}
}
