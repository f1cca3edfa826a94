package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// maxRequest bounds the body of a request for a watch, in bytes.
const maxRequest = 1 << 20

// A proxy forwards to one etcd. It is safe for concurrent use.
type proxy struct {
	upstream *url.URL
	forward  *httputil.ReverseProxy
	// feed is how often watches that are not silenced are fed during a silence.
	feed time.Duration
	// quiet is how long no watch may have come or gone before one is silenced.
	quiet time.Duration

	mu       sync.Mutex
	watches  []*watch  // the newest last
	changed  time.Time // when a watch came or went
	feeding  bool
	silent   bool   // a silence is on
	client   string // whose watch is silenced
	returned int    // how often it came back since
	strays   int    // watches that ended during the silence without being silenced
}

// A watch is one stream of events.
type watch struct {
	client string
	silent bool // no event is passed on, for good
}

func newProxy(upstream *url.URL, feed, quiet time.Duration) *proxy {
	return &proxy{upstream: upstream, forward: httputil.NewSingleHostReverseProxy(upstream), feed: feed, quiet: quiet}
}

// ServeHTTP forwards a request. Watches are followed line by line.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/watch") {
		p.forward.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	request, err := http.NewRequestWithContext(r.Context(), r.Method, p.upstream.JoinPath(r.URL.Path).String(), bytes.NewReader(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	request.Header = r.Header.Clone()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); kind != "" {
		w.Header().Set("Content-Type", kind)
	}
	w.WriteHeader(response.StatusCode)
	client, _, _ := net.SplitHostPort(r.RemoteAddr)
	one := p.open(client)
	defer p.close(one)
	p.follow(r.Context(), one, w, response.Body)
}

// follow passes the lines of a watch on until either side ends it. The first one,
// which says that the watch was created, passes in any case: a silence begins in a
// stream that lives.
func (p *proxy) follow(ctx context.Context, one *watch, w http.ResponseWriter, events io.Reader) {
	lines := make(chan []byte)
	go func() {
		defer close(lines)
		for in := bufio.NewReader(events); ; {
			line, err := in.ReadBytes('\n')
			if len(line) > 0 {
				select {
				case lines <- line:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	ticker := time.NewTicker(p.feed)
	defer ticker.Stop()
	send := func(line []byte) bool {
		_, err := w.Write(line)
		return err == nil && http.NewResponseController(w).Flush() == nil
	}
	var created []byte
	for {
		select {
		case line, open := <-lines:
			switch {
			case !open:
				return
			case created == nil:
				created = line
			case p.silenced(one):
				continue
			}
			if !send(line) {
				return
			}
		case <-ticker.C:
			// APISIX ignores a second line that says so, and its time-out begins anew.
			if p.fed(one) && created != nil && !send(created) {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// open counts a watch in. During a silence it is the silenced one that has come
// back: all others are fed, so that they do not time out.
func (p *proxy) open(client string) *watch {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := &watch{client: client}
	if p.silent && client == p.client {
		one.silent = true
		p.returned++
	}
	p.watches, p.changed = append(p.watches, one), time.Now()
	return one
}

func (p *proxy) close(one *watch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, w := range p.watches {
		if w == one {
			p.watches = append(p.watches[:i], p.watches[i+1:]...)
			break
		}
	}
	if p.silent && !one.silent && one.client == p.client {
		p.strays++
	}
	p.changed = time.Now()
}

func (p *proxy) silenced(one *watch) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return one.silent
}

func (p *proxy) fed(one *watch) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.feeding && !one.silent
}

// silence silences the newest watch, and those that take its place, until thaw. It
// waits until no watch has come or gone for a while.
func (p *proxy) silence(ctx context.Context) error {
	p.mu.Lock()
	p.feeding, p.changed = true, time.Now()
	p.mu.Unlock()
	ticker := time.NewTicker(p.quiet / 10)
	defer ticker.Stop()
	for !p.begin() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			p.thaw()
			return fmt.Errorf("no watch was silenced: %s: %w", p.status(), context.Cause(ctx))
		}
	}
	return nil
}

func (p *proxy) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.watches) == 0 || time.Since(p.changed) < p.quiet {
		return false
	}
	victim := p.watches[len(p.watches)-1]
	victim.silent = true
	p.silent, p.client, p.returned, p.strays = true, victim.client, 0, 0
	return true
}

// thaw ends the silence: watches that are opened from now on live. A silenced one
// stays dead until its client gives it up.
func (p *proxy) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent, p.feeding = false, false
}

// status is one line: how many watches are open, how many of them are silenced,
// how often the silenced one has come back, and how many others have ended since.
func (p *proxy) status() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	silenced := 0
	for _, w := range p.watches {
		if w.silent {
			silenced++
		}
	}
	return fmt.Sprintf("watches=%d silenced=%d returned=%d strays=%d", len(p.watches), silenced, p.returned, p.strays)
}

// control serves the requests of the commands.
func (p *proxy) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /silence", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeoutCause(r.Context(), time.Minute, errors.New("watches came and went for a minute, or there is none"))
		defer cancel()
		if err := p.silence(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		fmt.Fprintln(w, p.status())
	})
	mux.HandleFunc("POST /thaw", func(w http.ResponseWriter, _ *http.Request) {
		p.thaw()
		fmt.Fprintln(w, p.status())
	})
	mux.HandleFunc("POST /status", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, p.status()) })
	return mux
}
