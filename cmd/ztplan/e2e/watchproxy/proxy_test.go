package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

const created = `{"result":{"created":true}}`

// An etcd has watches that each get every put.
type etcd struct {
	mu      sync.Mutex
	watches map[chan string]bool
}

func (e *etcd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if !strings.HasSuffix(r.URL.Path, "/watch") {
		fmt.Fprintf(w, "%s %s", r.URL.Path, body)
		return
	}
	events := make(chan string, 10)
	e.mu.Lock()
	e.watches[events] = true
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		delete(e.watches, events)
		e.mu.Unlock()
	}()
	for line := created; ; {
		fmt.Fprintln(w, line)
		_ = http.NewResponseController(w).Flush()
		select {
		case line = <-events:
		case <-r.Context().Done():
			return
		}
	}
}

func (e *etcd) put(event string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for w := range e.watches {
		w <- event
	}
}

// watchOf opens a watch; lines are those that it delivers.
func watchOf(t *testing.T, address string) (lines <-chan string, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/v3/watch", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan string, 1000)
	go func() {
		defer close(out)
		defer response.Body.Close()
		for in := bufio.NewScanner(response.Body); in.Scan(); {
			out <- in.Text()
		}
	}()
	if got := <-out; got != created {
		t.Fatalf("a watch begins with %q", got)
	}
	return out, cancel
}

// until reads lines up to one.
func until(t *testing.T, lines <-chan string, want string) (before int) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case got := <-lines:
			if got == want {
				return before
			}
			before++
		case <-limit:
			t.Fatalf("%q did not come", want)
		}
	}
}

func waitFor(t *testing.T, p *proxy, part string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(p.status(), part); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("status %q, want %q", p.status(), part)
		}
	}
}

func TestSilence(t *testing.T) {
	server := &etcd{watches: map[chan string]bool{}}
	upstream := httptest.NewServer(server)
	t.Cleanup(upstream.Close)
	address, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := newProxy(address, 5*time.Millisecond, 50*time.Millisecond)
	front := httptest.NewServer(p)
	t.Cleanup(front.CloseClientConnections)
	control := httptest.NewServer(p.control())
	t.Cleanup(control.Close)

	response, err := http.Post(front.URL+"/v3/kv/range", "", strings.NewReader("key"))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if string(text) != "/v3/kv/range key" {
		t.Errorf("another request was answered with %q", text)
	}

	good, endGood := watchOf(t, front.URL)
	defer endGood()
	victim, endVictim := watchOf(t, front.URL)
	server.put("one")
	until(t, good, "one")
	until(t, victim, "one")

	var out strings.Builder
	if err := ask(control.URL+"/silence", &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "watches=2 silenced=1 returned=0 strays=0\n" {
		t.Errorf("silenced: %q", got)
	}
	server.put("two")
	until(t, good, "two")
	until(t, good, created) // it is fed, so that it does not time out
	endVictim()
	waitFor(t, p, "watches=1 silenced=0")
	again, endAgain := watchOf(t, front.URL)
	waitFor(t, p, "watches=2 silenced=1 returned=1 strays=0")
	server.put("three")
	until(t, good, "three")

	if err := ask(control.URL+"/thaw", &out); err != nil {
		t.Fatal(err)
	}
	server.put("four")
	until(t, good, "four")
	endAgain()
	for _, lines := range []<-chan string{victim, again} {
		for line := range lines {
			if line != created {
				t.Errorf("a silenced watch brought %q", line)
			}
		}
	}
	waitFor(t, p, "watches=1 silenced=0")
	alive, endAlive := watchOf(t, front.URL)
	defer endAlive()
	server.put("five")
	if before := until(t, alive, "five"); before != 0 {
		t.Errorf("after the thaw %d lines came before the event", before)
	}
}

func TestNothingToSilence(t *testing.T) {
	p := newProxy(&url.URL{}, time.Millisecond, 10*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.silence(ctx); err == nil || p.status() != "watches=0 silenced=0 returned=0 strays=0" {
		t.Errorf("error %v, status %s", err, p.status())
	}
}
