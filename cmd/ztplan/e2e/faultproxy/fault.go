package faultproxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// A Fault says which requests go wrong, and how.
type Fault struct {
	// Match says which requests count; nil means all.
	Match func(*http.Request) bool
	// After is how many of the requests that count go by first.
	After int
	// Every is how many of the requests that count go by until one goes wrong: 3
	// means every third. 0 and 1 mean each.
	Every int
	// Times is how many requests go wrong in all; 0 means without end.
	Times int
	// For, if it is not 0, ends the fault so long after the first request that
	// counts.
	For time.Duration

	Effect Effect
}

// armed is a Fault with its counts. The proxy's lock guards it.
type armed struct {
	Fault
	counted, happened int
	until             time.Time
}

func (f *armed) strikes(r *http.Request) bool {
	if f.Match != nil && !f.Match(r) {
		return false
	}
	if f.For > 0 && f.until.IsZero() {
		f.until = time.Now().Add(f.For)
	}
	f.counted++
	switch {
	case f.counted <= f.After,
		f.Every > 1 && (f.counted-f.After)%f.Every != 0,
		f.Times > 0 && f.happened >= f.Times,
		f.For > 0 && time.Now().After(f.until):
		return false
	}
	f.happened++
	return true
}

// An Effect handles a request in place of the server.
type Effect func(w http.ResponseWriter, r *http.Request, forward http.Handler)

// Delay forwards the request after d.
func Delay(d time.Duration) Effect {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if engine.Pause(r.Context(), d) != nil {
			panic(http.ErrAbortHandler)
		}
		forward.ServeHTTP(w, r)
	}
}

// Reset cuts the connection before the request reaches the server.
func Reset() Effect {
	return func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { cut(r) }
}

// LoseAnswer lets the server carry the request out and cuts the connection
// instead of answering.
func LoseAnswer() Effect {
	return func(_ http.ResponseWriter, r *http.Request, forward http.Handler) {
		forward.ServeHTTP(httptest.NewRecorder(), r)
		cut(r)
	}
}

// Truncate lets the server carry the request out and cuts the connection in the
// middle of the answer's body.
func Truncate() Effect { return half(false) }

// Halve lets the server carry the request out and delivers the first half of the
// answer's body as if it were the whole.
func Halve() Effect { return half(true) }

func half(whole bool) Effect {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		r = r.Clone(r.Context())
		r.Header.Del("Accept-Encoding") // half of the text, not of its archive
		got := httptest.NewRecorder()
		forward.ServeHTTP(got, r)
		body := got.Body.Bytes()
		for name, values := range got.Header() {
			w.Header()[name] = values
		}
		length := len(body)
		if whole {
			length /= 2
		}
		w.Header().Set("Content-Length", strconv.Itoa(length))
		if len(body) == 0 {
			cut(r)
		}
		w.WriteHeader(got.Code)
		_, _ = w.Write(body[:len(body)/2])
		if !whole {
			_ = http.NewResponseController(w).Flush()
			cut(r)
		}
	}
}

// CutAfter forwards the request and cuts its connection after d, whatever passes
// through it then: a stream, a tunnel, a watch.
func CutAfter(d time.Duration) Effect {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		timer := time.AfterFunc(d, func() { reset(r) })
		defer timer.Stop()
		forward.ServeHTTP(w, r)
	}
}

// Answer answers in the server's place.
func Answer(status int, header http.Header, body string) Effect {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}
}

// Shift forwards the request and puts the time in the answer ahead by d.
func Shift(d time.Duration) Effect {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		forward.ServeHTTP(&shifted{ResponseWriter: w, by: d}, r)
	}
}

type shifted struct {
	http.ResponseWriter
	by time.Duration
}

// WriteHeader changes the Date header first.
func (s *shifted) WriteHeader(code int) {
	if date, err := http.ParseTime(s.Header().Get("Date")); err == nil {
		s.Header().Set("Date", date.Add(s.by).UTC().Format(http.TimeFormat))
	}
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap lets an upgrade take the connection over.
func (s *shifted) Unwrap() http.ResponseWriter { return s.ResponseWriter }
