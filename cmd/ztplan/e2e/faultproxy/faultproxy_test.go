package faultproxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/e2e/faultproxy"
)

// behind returns a proxy before a server that answers "0123456789", with TLS and
// HTTP/2 if secure, a client for it, and the count of requests that came through.
func behind(t *testing.T, secure bool) (*faultproxy.Proxy, *http.Client, *atomic.Int32) {
	t.Helper()
	served := new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		if r.Header.Get("Upgrade") != "" {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_ = rw.Flush()
			line, _ := rw.ReadString('\n')
			fmt.Fprint(rw, line)
			_ = rw.Flush()
			return
		}
		fmt.Fprint(w, "0123456789")
	}))
	t.Cleanup(server.Close)
	to, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if !secure {
		p := faultproxy.New(to, nil, nil)
		t.Cleanup(p.Close)
		return p, &http.Client{Transport: &http.Transport{}}, served
	}
	// The certificate and the client that trusts it are httptest's own.
	lender := httptest.NewUnstartedServer(nil)
	lender.EnableHTTP2 = true
	lender.StartTLS()
	t.Cleanup(lender.Close)
	p := faultproxy.New(to, nil, &lender.TLS.Certificates[0])
	t.Cleanup(p.Close)
	return p, lender.Client(), served
}

func get(c *http.Client, address string) (status int, body string, err error) {
	r, err := c.Post(address, "text/plain", strings.NewReader("x")) // Go repeats no POST by itself
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return r.StatusCode, string(b), err
}

func TestEffects(t *testing.T) {
	for name, c := range map[string]struct {
		effect faultproxy.Effect
		status int
		body   string
		broken bool
		served int32
	}{
		"delay":       {faultproxy.Delay(time.Millisecond), 200, "0123456789", false, 1},
		"reset":       {faultproxy.Reset(), 0, "", true, 0},
		"lost answer": {faultproxy.LoseAnswer(), 0, "", true, 1},
		"truncated":   {faultproxy.Truncate(), 200, "", true, 1},
		"halved":      {faultproxy.Halve(), 200, "01234", false, 1},
		"answered":    {faultproxy.Answer(503, nil, "busy"), 503, "busy", false, 0},
		"shifted":     {faultproxy.Shift(time.Hour), 200, "0123456789", false, 1},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/tls=%t", name, secure), func(t *testing.T) {
				p, client, served := behind(t, secure)
				p.Set(faultproxy.Fault{Times: 1, Effect: c.effect})
				status, body, err := get(client, p.URL)
				// A client that writes when the connection breaks does not read an earlier
				// answer.
				lost := c.broken && secure && status == 0
				if (err != nil) != c.broken || !c.broken && body != c.body || status != c.status && !lost {
					t.Errorf("%d %q %v", status, body, err)
				}
				if name == "reset" && !secure && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
					t.Errorf("%v is no reset", err)
				}
				if n := served.Load(); n != c.served {
					t.Errorf("the server served %d requests, want %d", n, c.served)
				}
				if met, of := p.Happened(); met != 1 || of != 1 {
					t.Errorf("met %d of %d", met, of)
				}
				if _, body, err := get(client, p.URL); err != nil || body != "0123456789" {
					t.Errorf("after the fault: %q, %v", body, err)
				}
			})
		}
	}
}

func TestCounts(t *testing.T) {
	p, client, _ := behind(t, false)
	busy := faultproxy.Answer(503, nil, "")
	for name, c := range map[string]struct {
		fault faultproxy.Fault
		want  string
	}{
		"the first two":      {faultproxy.Fault{Times: 2, Effect: busy}, "xx...."},
		"every third":        {faultproxy.Fault{Every: 3, Effect: busy}, "..x..x"},
		"every second, once": {faultproxy.Fault{Every: 2, Times: 1, Effect: busy}, ".x...."},
		"from the third on":  {faultproxy.Fault{After: 2, Effect: busy}, "..xxxx"},
		"for ever":           {faultproxy.Fault{Effect: busy}, "xxxxxx"},
		"for a while":        {faultproxy.Fault{For: time.Hour, Effect: busy}, "xxxxxx"},
		"no more":            {faultproxy.Fault{For: time.Nanosecond, Effect: busy}, "......"},
		"others only":        {faultproxy.Fault{Match: func(r *http.Request) bool { return r.Method == http.MethodGet }, Effect: busy}, "......"},
	} {
		t.Run(name, func(t *testing.T) {
			p.Set(c.fault)
			var got strings.Builder
			for range c.want {
				status, _, err := get(client, p.URL)
				if err != nil {
					t.Fatal(err)
				}
				got.WriteByte(map[bool]byte{true: 'x', false: '.'}[status == 503])
			}
			if got.String() != c.want {
				t.Errorf("got %s, want %s", got.String(), c.want)
			}
		})
	}
}

// An upgraded connection passes through in both directions, shifted clock or not.
func TestUpgrade(t *testing.T) {
	p, client, _ := behind(t, false)
	p.Set(faultproxy.Fault{Effect: faultproxy.Shift(time.Minute)})
	r, err := http.NewRequest(http.MethodGet, p.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	resp, err := client.Do(r)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	defer resp.Body.Close()
	fmt.Fprintln(resp.Body.(io.Writer), "hello")
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || line != "hello\n" {
		t.Errorf("%q, %v", line, err)
	}
}

// A tunnel is cut while it is in use.
func TestCutAfter(t *testing.T) {
	p, client, _ := behind(t, false)
	r, err := http.NewRequest(http.MethodGet, p.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	var resp *http.Response
	// On a busy machine a short time is over before the tunnel is open.
	for d := 10 * time.Millisecond; d < time.Minute && (resp == nil || err != nil); d *= 4 {
		p.Set(faultproxy.Fault{Effect: faultproxy.CutAfter(d)})
		resp, err = client.Do(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("the tunnel ended in order after %q", b)
	}
}

func TestShift(t *testing.T) {
	p, client, _ := behind(t, false)
	p.Set(faultproxy.Fault{Effect: faultproxy.Shift(-5 * time.Minute)})
	resp, err := client.Get(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if behind := time.Since(date); err != nil || behind < 4*time.Minute || behind > 6*time.Minute {
		t.Errorf("the answer's time is %v behind (%v)", behind, err)
	}
}
