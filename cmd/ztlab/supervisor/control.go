package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/controlplane"
	"github.com/ztplan/ztplan/cmd/ztlab/netproxy"
)

// controlSocket is the socket on which a lab takes questions and orders. Its
// directory belongs to the lab's user alone; there is no other access control.
const controlSocket = "control.sock"

// serveControl opens the control socket. The lab's lock makes sure that an old
// socket has no owner.
func (l *Lab) serveControl() (*http.Server, error) {
	listener, err := netproxy.ListenUnix(l.dir.Socket(controlSocket))
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(l.Status(r.Context()))
	})
	mux.HandleFunc("POST /restart", l.answer(func(r *http.Request) error {
		if r.FormValue("name") == "" {
			return errNoName
		}
		return l.restart(r.Context(), r.FormValue("name"))
	}))
	mux.HandleFunc("POST /kill", l.answer(func(r *http.Request) error {
		if r.FormValue("name") == "" {
			return errNoName
		}
		down, err := time.ParseDuration(r.FormValue("for"))
		if err != nil {
			return err
		}
		return l.kill(r.Context(), r.FormValue("name"), down)
	}))
	mux.HandleFunc("POST /down", l.answer(func(*http.Request) error {
		l.stop()
		return nil
	}))
	server := &http.Server{Handler: mux, ErrorLog: l.log}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			l.log.Printf("control socket: %v", err)
		}
	}()
	return server, nil
}

// errNoName keeps an empty name from selecting everything that has none.
var errNoName = errors.New("name a part; ztlab status lists them")

// answer turns an error into a response that a [Client] gives back as an error.
func (l *Lab) answer(f func(*http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		l.log.Printf("asked to %s %s", r.URL.Path[1:], r.FormValue("name"))
		if err := f(r); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
		}
	}
}

// errHold explains why a container cannot be held down.
var errHold = errors.New("only parts of the control plane can be held down: the node starts a container again as a kubelet does")

func (l *Lab) kill(ctx context.Context, name string, down time.Duration) error {
	node, err := l.running()
	if err != nil {
		return err
	}
	err = l.plane.Kill(ctx, name, down)
	if !errors.Is(err, controlplane.ErrUnknownPart) || node == nil {
		return err
	}
	if down > 0 {
		return fmt.Errorf("%s: %w", name, errHold)
	}
	return node.Kill(ctx, name)
}

// running returns the node, or an error while the lab starts.
func (l *Lab) running() (Node, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ready {
		return nil, errors.New("the lab is still starting; try again when it is ready")
	}
	return l.node, nil
}
