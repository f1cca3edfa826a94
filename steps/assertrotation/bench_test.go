package assertrotation

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

// BenchmarkProber measures whole probes (new connection, verified handshake,
// request, answer) and, in the same run, what crypto/tls alone can do against
// the same server: the ratio is what the prober leaves of that. The server
// shares the machine.
func BenchmarkProber(b *testing.B) {
	root := tlstest.NewCA(b, "Root CA Lab")
	srv := tlstest.NewServer(b, root.Intermediate(b, "Intermediate CA Lab").Issue(b, tlstest.Leaf{Names: []string{"hello.example.local"}}), nil)
	address := srv.Listen()
	trust, err := tlskit.NewTrust(root.Cert)
	if err != nil {
		b.Fatal(err)
	}
	u, err := tlskit.ParseURL("https://hello.example.local/")
	if err != nil {
		b.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root.Cert)
	config := &tls.Config{ServerName: u.Hostname(), RootCAs: pool, SessionTicketsDisabled: true}
	raw := func() error {
		conn, err := tls.Dial("tcp", address, config)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	for _, protocol := range []string{tlskit.HTTP1, tlskit.HTTP2} {
		b.Run(protocol, func(b *testing.B) {
			p := &prober{
				client:    tlskit.NewClient(u.Hostname(), trust, nil, protocol),
				endpoints: []tlskit.Endpoint{tlskit.Address(address)},
				url:       u, limit: 10 * time.Second, now: time.Now,
			}
			probe := func() error {
				s, _ := p.probe(b.Context(), 0, time.Now())
				if s.failure != nil {
					return s.failure
				}
				return nil
			}
			rate := func(n int, one func() error) float64 {
				began := time.Now()
				if err := together(b.Context(), n, one); err != nil {
					b.Fatal(err)
				}
				return float64(n) / time.Since(began).Seconds()
			}
			b.ResetTimer()
			probes := rate(b.N, probe)
			b.StopTimer()
			limit := rate(max(b.N, 500), raw)
			b.ReportMetric(probes, "probes/s")
			b.ReportMetric(limit, "crypto/tls/s")
			b.ReportMetric(probes/limit, "ratio")
		})
	}
}

// BenchmarkOpenLoop measures how near the prober comes to a rate of 1000 a
// second.
func BenchmarkOpenLoop(b *testing.B) {
	root := tlstest.NewCA(b, "Root CA Lab")
	srv := tlstest.NewServer(b, root.Issue(b, tlstest.Leaf{Names: []string{"hello.example.local"}}), nil)
	trust, err := tlskit.NewTrust(root.Cert)
	if err != nil {
		b.Fatal(err)
	}
	u, err := tlskit.ParseURL("https://hello.example.local/")
	if err != nil {
		b.Fatal(err)
	}
	const rate = 1000
	samples := make(chan sample)
	p := &prober{
		client:    tlskit.NewClient(u.Hostname(), trust, nil, tlskit.HTTP1),
		endpoints: []tlskit.Endpoint{tlskit.Address(srv.Listen())},
		url:       u, interval: time.Second / rate, limit: 5 * time.Second, now: time.Now, samples: samples,
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { p.run(ctx) })
	failed := 0
	began := time.Now()
	for b.Loop() {
		if s := <-samples; s.failure != nil {
			failed++
		}
	}
	took := time.Since(began)
	cancel()
	wg.Wait()
	b.ReportMetric(float64(b.N)/took.Seconds()/rate, "of-the-rate")
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
