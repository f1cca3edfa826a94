//go:build unix

package probe

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

// BenchmarkProber measures whole probes (new connection, verified handshake,
// request, answer) and, in the same run, the work of crypto/tls alone against
// the same server with the same key exchange: new connections that are verified
// and closed, and ask nothing. The ratio is the share that the prober reaches.
// The server shares the machine; with an RSA key it is the server's signatures
// that count.
func BenchmarkProber(b *testing.B) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name, protocol string
		key            crypto.Signer
	}{
		{"ecdsa/h1", tlskit.HTTP1, tlstest.NewKey(b)},
		{"ecdsa/h2", tlskit.HTTP2, tlstest.NewKey(b)},
		{"rsa/h1", tlskit.HTTP1, rsaKey},
		{"rsa/h2", tlskit.HTTP2, rsaKey},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkProber(b, c.protocol, c.key) })
	}
}

// serve starts a server whose certificate leads to root and returns its address
// and a prober of it.
func serve(b *testing.B, protocol string, key crypto.Signer) (root *tlstest.CA, address string, p *Prober) {
	root = tlstest.NewCA(b, "Root CA Lab")
	pair := root.Intermediate(b, "Intermediate CA Lab").Issue(b, tlstest.Leaf{Names: []string{"hello.example.local"}, Key: key})
	address = tlstest.NewServer(b, pair, nil).Listen()
	trust, err := tlskit.NewTrust(root.Cert)
	if err != nil {
		b.Fatal(err)
	}
	u, err := tlskit.ParseURL("https://hello.example.local/")
	if err != nil {
		b.Fatal(err)
	}
	http := tlskit.OnlyHTTP1
	if protocol == tlskit.HTTP2 {
		http = tlskit.OnlyHTTP2
	}
	return root, address, New(Config{
		URL: u, Trust: trust, HTTP: http, Endpoints: []tlskit.Endpoint{tlskit.Address(address)}, Timeout: 10 * time.Second, Now: time.Now,
	})
}

func benchmarkProber(b *testing.B, protocol string, key crypto.Signer) {
	root, address, p := serve(b, protocol, key)
	pool := x509.NewCertPool()
	pool.AddCert(root.Cert)
	config := &tls.Config{ServerName: p.URL.Hostname(), RootCAs: pool, SessionTicketsDisabled: true, CurvePreferences: []tls.CurveID{tls.X25519}}
	raw := func() error {
		conn, err := tls.Dial("tcp", address, config)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	probe := func() error {
		s, _ := p.probe(b.Context(), p.clients[0], target{0, p.Endpoints[0]}, time.Now(), func() {})
		if s.Failure != nil {
			return s.Failure
		}
		return nil
	}
	// In turns, so that a busy machine is as busy for both.
	const turns = 5
	n := max(b.N, 500)/turns + 1
	var probes, limit cost
	b.ResetTimer()
	for range turns {
		b.StartTimer()
		probes.add(b, n, probe)
		b.StopTimer()
		limit.add(b, n, raw)
	}
	b.ReportMetric(probes.rate(), "probes/s")
	b.ReportMetric(limit.rate(), "crypto/tls/s")
	b.ReportMetric(probes.rate()/limit.rate(), "ratio")
	b.ReportMetric(probes.each(), "cpu-µs/probe")
	b.ReportMetric(limit.each(), "cpu-µs/crypto/tls")
	b.ReportMetric(limit.each()/probes.each(), "cpu-ratio")
}

// A cost is that of connections: time, and processor time of both ends, which
// is the better measure on a shared machine.
type cost struct {
	n         int
	wall, cpu time.Duration
}

func (c *cost) add(b *testing.B, n int, one func() error) {
	began, used := time.Now(), processors(b)
	if err := together(b.Context(), n, one); err != nil {
		b.Fatal(err)
	}
	c.n += n
	c.wall += time.Since(began)
	c.cpu += processors(b) - used
}

func (c *cost) rate() float64 { return float64(c.n) / c.wall.Seconds() }
func (c *cost) each() float64 { return float64(c.cpu.Microseconds()) / float64(c.n) }

// processors returns how long the processors have worked for this process.
func processors(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkOpenLoop measures how near the prober comes to a rate.
func BenchmarkOpenLoop(b *testing.B) {
	for _, rate := range []int{1000, 1500} {
		b.Run(fmt.Sprint(rate), func(b *testing.B) { benchmarkOpenLoop(b, rate) })
	}
}

func benchmarkOpenLoop(b *testing.B, rate int) {
	_, _, p := serve(b, tlskit.HTTP1, nil)
	p.Rate, p.Timeout = rate, 5*time.Second
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { p.Run(ctx) })
	failed := 0
	began := time.Now()
	for b.Loop() {
		if s := <-p.Samples(); s.Failure != nil {
			failed++
		}
	}
	took := time.Since(began)
	cancel()
	wg.Wait()
	b.ReportMetric(float64(b.N)/took.Seconds()/float64(rate), "of-the-rate")
	b.ReportMetric(float64(failed), "failed")
}

// together calls one n times from as many goroutines as keep the machine busy.
func together(ctx context.Context, n int, one func() error) error {
	var (
		wg    sync.WaitGroup
		left  atomic.Int64
		first atomic.Pointer[error]
	)
	left.Store(int64(n))
	for range 4 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				if err := one(); err != nil {
					first.CompareAndSwap(nil, &err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := first.Load(); err != nil {
		return *err
	}
	return nil
}
