package engine

import (
	"context"
	"errors"
	"io"
	"sync"
)

// A Session is shared by the steps of one run: connections, and values that were
// fetched through them. The zero value is ready to use; it must not be copied.
type Session struct {
	mu      sync.Mutex
	entries map[string]*sessionEntry
	order   []io.Closer
	closed  bool
}

type sessionEntry struct {
	done  chan struct{}
	value any
	err   error
}

// Share returns the session's value for key and opens it if there is none.
// Concurrent callers wait for the one that opens. An error is returned to
// those who waited and not kept: the next caller opens again. A value that
// implements io.Closer is closed when the session is.
func Share[T any](ctx context.Context, s *Session, key string, open func(context.Context) (T, error)) (T, error) {
	var zero T
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return zero, errors.New("session is closed")
	}
	if e, ok := s.entries[key]; ok {
		s.mu.Unlock()
		select {
		case <-e.done:
		case <-ctx.Done():
			return zero, context.Cause(ctx)
		}
		if e.err != nil {
			return zero, e.err
		}
		return e.value.(T), nil
	}
	if s.entries == nil {
		s.entries = make(map[string]*sessionEntry)
	}
	e := &sessionEntry{done: make(chan struct{})}
	s.entries[key] = e
	s.mu.Unlock()

	opened := false
	defer func() {
		if !opened && e.err == nil {
			e.err = errors.New("opening " + key + " panicked")
		}
		s.mu.Lock()
		if e.err != nil {
			delete(s.entries, key)
		} else if c, ok := e.value.(io.Closer); ok {
			s.order = append(s.order, c)
		}
		s.mu.Unlock()
		close(e.done)
	}()
	v, err := open(ctx)
	opened = true
	e.value, e.err = v, err
	if err != nil {
		return zero, err
	}
	return v, nil
}

// Opened returns the session's value for key if it is open already.
func Opened[T any](s *Session, key string) (value T, ok bool) {
	s.mu.Lock()
	e := s.entries[key]
	s.mu.Unlock()
	if e == nil {
		return value, false
	}
	select {
	case <-e.done:
		value, ok = e.value.(T)
		return value, ok
	default:
		return value, false
	}
}

// Close closes everything opened, last first, and returns all errors joined.
func (s *Session) Close() error {
	s.mu.Lock()
	order := s.order
	s.order, s.closed = nil, true
	s.mu.Unlock()
	var errs []error
	for i := len(order) - 1; i >= 0; i-- {
		errs = append(errs, order[i].Close())
	}
	return errors.Join(errs...)
}
