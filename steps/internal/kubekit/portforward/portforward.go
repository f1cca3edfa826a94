// Package portforward opens streams to ports of pods through the API server, as
// kubectl port-forward does, but without a local listener.
package portforward

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// errLost is the error of a stream whose connection broke.
var errLost = fmt.Errorf("connection lost: %w", io.ErrUnexpectedEOF)

// closeGrace bounds how long closing waits for the other side.
const closeGrace = time.Second

// A Dialer holds one multiplexed connection per pod. Streams to ports of the pod are
// opened on it; a connection that broke is replaced by the next Dial.
type Dialer struct {
	config *rest.Config
	core   rest.Interface

	mu     sync.Mutex
	pods   map[Pod]*tunnel
	closed bool
}

// A Pod is one incarnation of a pod: a pod made anew under the same name, as
// StatefulSets do, must not be reached through the old connection. UID may be empty.
type Pod struct{ Namespace, Name, UID string }

// A tunnel is the connection to a pod.
type tunnel struct {
	opened chan struct{} // closed when conn or err is set
	conn   httpstream.Connection
	err    error

	// guarded by Dialer.mu
	nextID  int
	streams int
	retired bool // no further streams; closed with the last one
}

// New returns a Dialer. core is a client of the core API group.
func New(config *rest.Config, core rest.Interface) *Dialer {
	return &Dialer{config: config, core: core, pods: make(map[Pod]*tunnel)}
}

// Dial opens a connection to a port of the pod. ctx bounds the dialling. An answer of
// the API server is in the chain of the error. That nothing listens on the port is the
// first Read's error.
func (d *Dialer) Dial(ctx context.Context, pod Pod, port int) (net.Conn, error) {
	conn, err := d.dial(ctx, pod, port)
	if err != nil {
		return nil, fmt.Errorf("pod %s/%s port %d: %w", pod.Namespace, pod.Name, port, err)
	}
	return conn, nil
}

func (d *Dialer) dial(ctx context.Context, pod Pod, port int) (net.Conn, error) {
	t, id, err := d.acquire(ctx, pod)
	if err != nil {
		return nil, err
	}
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		r.err = engine.Try(func() (err error) { r.conn, err = d.open(t, id, pod, port); return err })
		if r.err != nil {
			d.retire(pod, t)
			d.release(t)
		}
		done <- r
	}()
	select {
	case r := <-done:
		return r.conn, r.err
	case <-t.conn.CloseChan():
		// A stream's reply is waited for half a minute, also when it cannot come any more.
		d.retire(pod, t)
		err = errLost
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	go func() {
		if r := <-done; r.err == nil {
			r.conn.Close()
		}
	}()
	return nil, err
}

// open creates the pair of streams of a port-forward: one for errors and one for data,
// tied together by a request number.
func (d *Dialer) open(t *tunnel, id int, pod Pod, port int) (net.Conn, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(id))
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	errs, err := t.conn.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("port-forward: %w", err)
	}
	errs.Close() // nothing is written to it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := t.conn.CreateStream(headers)
	if err != nil {
		errs.Reset()
		t.conn.RemoveStreams(errs)
		return nil, fmt.Errorf("port-forward: %w", err)
	}
	finished := func(failed bool) {
		t.conn.RemoveStreams(data, errs)
		if failed {
			d.retire(pod, t)
		}
		d.release(t)
	}
	return newConn(address(fmt.Sprintf("%s/%s:%d", pod.Namespace, pod.Name, port)), data, errs, t.conn.CloseChan(), finished), nil
}

// acquire returns the pod's connection, opened if there is none, with one more
// stream counted, and the number of that stream.
func (d *Dialer) acquire(ctx context.Context, pod Pod) (*tunnel, int, error) {
	for {
		d.mu.Lock()
		if d.closed {
			d.mu.Unlock()
			return nil, 0, net.ErrClosed
		}
		t := d.pods[pod]
		if t == nil {
			t = &tunnel{opened: make(chan struct{})}
			d.pods[pod] = t
			go d.connect(pod, t)
		}
		d.mu.Unlock()

		select {
		case <-t.opened:
		case <-ctx.Done():
			return nil, 0, context.Cause(ctx)
		}
		if t.err != nil {
			return nil, 0, t.err
		}
		select {
		case <-t.conn.CloseChan():
			d.retire(pod, t)
		default:
		}
		if id, ok := d.count(t); ok {
			return t, id, nil
		}
	}
}

// count counts one more stream and returns its number; false if the tunnel is retired.
func (d *Dialer) count(t *tunnel) (id int, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.retired {
		return 0, false
	}
	t.streams++
	t.nextID++
	return t.nextID, true
}

func (d *Dialer) connect(pod Pod, t *tunnel) {
	t.err = engine.Try(func() (err error) { t.conn, err = d.upgrade(pod); return err })
	if t.err != nil {
		d.retire(pod, t) // the next Dial tries again
	}
	close(t.opened)
	d.mu.Lock()
	closed := d.closed
	d.mu.Unlock()
	if closed && t.conn != nil {
		t.conn.Close()
	}
}

// upgrade opens the connection: by websocket, which passes through more
// proxies, else by SPDY, which API servers before 1.30 want.
func (d *Dialer) upgrade(pod Pod) (httpstream.Connection, error) {
	url := d.url(pod)
	websocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, d.config)
	if err != nil {
		return nil, err
	}
	fallback, err := d.spdy(url)
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
		return nil, fmt.Errorf("port-forward: %w", upgradeCause(err))
	}
	return conn, nil
}

func (d *Dialer) spdy(url *url.URL) (httpstream.Dialer, error) {
	transport, upgrader, err := spdy.RoundTripperFor(d.config)
	if err != nil {
		return nil, err
	}
	return spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url), nil
}

func (d *Dialer) url(pod Pod) *url.URL {
	return d.core.Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource("portforward").URL()
}

// upgradeCause returns the cause of a failed upgrade, which does not unwrap.
func upgradeCause(err error) error {
	if u := (*httpstream.UpgradeFailureError)(nil); errors.As(err, &u) {
		return u.Cause
	}
	return err
}

// retire keeps further streams away from the tunnel.
func (d *Dialer) retire(pod Pod, t *tunnel) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t.retired = true
	if d.pods[pod] == t {
		delete(d.pods, pod)
	}
}

// release counts one stream less, and closes a retired tunnel with the last.
func (d *Dialer) release(t *tunnel) {
	d.mu.Lock()
	t.streams--
	last := t.retired && t.streams == 0
	d.mu.Unlock()
	if last {
		t.conn.Close()
	}
}

// Close closes the connections to pods.
func (d *Dialer) Close() {
	d.mu.Lock()
	d.closed = true
	pods := d.pods
	d.pods = nil
	d.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, t := range pods {
			select {
			case <-t.opened:
				if t.conn != nil {
					t.conn.Close()
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
