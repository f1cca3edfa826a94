package netproxy

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"
)

// connectTimeout bounds one attempt to reach a target; everything is on
// loopback.
const connectTimeout = 10 * time.Second

// NewServer returns a forward proxy: it answers CONNECT with a tunnel, and
// requests for absolute URLs with the target's answer (RFC 9110, sections
// 3.7 and 9.3.6). The reason phrase of a refusal has the reason, because that is the
// only part of it that Go's clients show.
//
// On a port of loopback, which every user of the machine can reach, it wants the
// password (RFC 7617): behind it is Vault, which the first client can initialise. The
// user name is the namespace whose short names count, see [Directory.Qualify]. On a
// Unix socket it wants neither.
func NewServer(d *Directory, password string, logger *log.Logger) *http.Server {
	refusals := &refusalLog{logger: logger, last: make(map[string]string)}
	plain := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetXForwarded()
			r.Out.Host = r.In.Host
			r.Out.URL.Host = d.Qualify(namespace(r.In), r.Out.URL.Host)
		},
		Transport: &http.Transport{
			DialContext: d.Dial, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute,
		},
		FlushInterval: -1,
		ErrorLog:      logger,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			refusals.note(r.URL.Host, err)
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	return &http.Server{
		ErrorLog:          logger,
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case !allowed(r, password):
				w.Header().Set("Proxy-Authenticate", `Basic realm="lab"`)
				http.Error(w, "the lab's network is for its own components", http.StatusProxyAuthRequired)
			case r.Method == http.MethodConnect:
				connect(d, refusals, w, r)
			case r.URL.IsAbs():
				plain.ServeHTTP(w, r)
			default:
				http.Error(w, "this is the lab's forward proxy: ask for an absolute URL or CONNECT", http.StatusBadRequest)
			}
		}),
	}
}

// allowed reports whether a request may use the proxy.
func allowed(r *http.Request, password string) bool {
	if _, unix := r.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr); unix {
		return true
	}
	_, given := credentials(r)
	return subtle.ConstantTimeCompare([]byte(given), []byte(password)) == 1
}

// credentials returns those for the proxy.
func credentials(r *http.Request) (user, password string) {
	asked := http.Request{Header: http.Header{"Authorization": r.Header.Values("Proxy-Authorization")}}
	user, password, _ = asked.BasicAuth()
	return user, password
}

// namespace is that of the pod that asks, "" if it is not known.
func namespace(r *http.Request) string {
	user, _ := credentials(r)
	return user
}

func connect(d *Directory, refusals *refusalLog, w http.ResponseWriter, r *http.Request) {
	addr := r.URL.Host
	if addr == "" {
		addr = r.Host
	}
	ctx, cancel := context.WithTimeout(r.Context(), connectTimeout)
	target, dialErr := d.Dial(ctx, "tcp", d.Qualify(namespace(r), addr))
	cancel()
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		if target != nil {
			target.Close()
		}
		http.Error(w, "CONNECT needs HTTP/1.1", http.StatusHTTPVersionNotSupported)
		return
	}
	if dialErr != nil {
		refusals.note(addr, dialErr)
		fmt.Fprintf(client, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
			refusalStatus(dialErr), strings.NewReplacer("\r", " ", "\n", " ").Replace(dialErr.Error()))
		client.Close()
		return
	}
	refusals.forget(addr)
	if _, err := fmt.Fprint(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		client.Close()
		target.Close()
		return
	}
	Splice(client, target)
}

func refusalStatus(err error) int {
	if errors.Is(err, errUnknownName) {
		return http.StatusNotFound
	}
	return http.StatusBadGateway
}

// Listen opens the proxy's two listeners: for containers on a free port of addr,
// for the API server on a Unix socket.
func Listen(addr, socket string) (containers, apiServer net.Listener, err error) {
	containers, err = net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		return nil, nil, fmt.Errorf("lab proxy: %w", err)
	}
	apiServer, err = ListenUnix(socket)
	if err != nil {
		containers.Close()
		return nil, nil, fmt.Errorf("lab proxy: %w", err)
	}
	return containers, apiServer, nil
}
