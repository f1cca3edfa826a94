package dataplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// newTransport connects to upstream servers by dial.
func newTransport(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		DialContext:         dial,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     60 * time.Second,
		DisableCompression:  true,
	}
}

// newForwarder sends requests to the nodes of an upstream in turn. It adds
// the container port that the client came by.
func newForwarder(upstream adminapi.Upstream, transport http.RoundTripper, config Config, log *slog.Logger) http.Handler {
	nodes := &turns{transport: transport}
	for _, node := range upstream.Nodes {
		address := net.JoinHostPort(node.Host, strconv.Itoa(node.Port))
		for range node.Weight {
			nodes.hosts = append(nodes.hosts, address)
		}
	}
	return &httputil.ReverseProxy{
		Transport: nodes,
		ErrorLog:  slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "upstream"})
			r.Out.Host = r.In.Host
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			r.SetXForwarded()
			port := config.HTTPPort
			if r.In.TLS != nil {
				port = config.TLSPort
			}
			r.Out.Header.Set("X-Forwarded-Port", strconv.Itoa(port))
			if client, _, err := net.SplitHostPort(r.In.RemoteAddr); err == nil {
				r.Out.Header.Set("X-Real-Ip", client)
			}
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("Server") // the gateway's own is set already
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if errors.Is(err, context.Canceled) {
				return // the client has gone
			}
			status := http.StatusBadGateway
			if errors.Is(err, errNoNodes) {
				status = http.StatusServiceUnavailable
			}
			log.Warn("upstream failed", "host", r.Host, "path", r.URL.Path, "error", err)
			answer(w, status, fmt.Sprintf("%d %s", status, http.StatusText(status)))
		},
	}
}

// answer writes an error as APISIX does: JSON with error_msg, of the type that
// APISIX gives to everything of its own.
func answer(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, "{%q:%q}\n", "error_msg", message)
}

var errNoNodes = errors.New("no valid upstream node: the Service has no endpoint, or the route no weight")

// turns is a round tripper over several hosts. A host that cannot be connected
// to is passed over.
type turns struct {
	transport http.RoundTripper
	hosts     []string // one entry for each unit of weight
	next      atomic.Uint64
}

func (t *turns) RoundTrip(request *http.Request) (*http.Response, error) {
	if len(t.hosts) == 0 {
		return nil, errNoNodes
	}
	// A transport closes the body even when it could not connect, and a body
	// can be sent once: keep it from being closed until it is known to be used.
	body := request.Body
	first := int(t.next.Add(1)-1) % len(t.hosts)
	var failed error
	tried := map[string]bool{}
	for i := range t.hosts {
		host := t.hosts[(first+i)%len(t.hosts)]
		if tried[host] {
			continue
		}
		tried[host] = true
		attempt := request.Clone(request.Context())
		attempt.URL.Host = host
		if body != nil {
			attempt.Body = io.NopCloser(body)
		}
		response, err := t.transport.RoundTrip(attempt)
		if err == nil {
			return response, nil
		}
		failed = err
		var refused *net.OpError
		if !errors.As(err, &refused) || refused.Op != "dial" {
			break
		}
	}
	return nil, failed
}
