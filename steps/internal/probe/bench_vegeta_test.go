//go:build unix

package probe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// BenchmarkVegeta measures whole probes against vegeta with the same server in
// the same run: as many new, verified connections with one request each as as
// many workers can make. Both agree on keys by X25519 and speak HTTP/1.1.
// Processor time is that of client and server together.
//
// It needs vegeta on the PATH:
// go install github.com/tsenart/vegeta/v12@latest
func BenchmarkVegeta(b *testing.B) {
	vegeta, err := exec.LookPath("vegeta")
	if err != nil {
		b.Skip("vegeta is not installed: go install github.com/tsenart/vegeta/v12@latest")
	}
	root, address, p := serve(b, tlskit.HTTP1, nil)
	dir := b.TempDir()
	for name, text := range map[string]string{"ca.pem": root.PEM(), "targets": "GET " + p.URL.String() + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	// In turns, so that a busy machine is as busy for both.
	const turns = 3
	n := max(b.N, 1500)/turns + 1
	var probes, attack cost
	for range turns {
		probes.add(b, n, func() error {
			if s, _ := p.probe(b.Context(), p.clients[0], target{0, p.Endpoints[0]}, time.Now(), func() {}); s.Failure != nil {
				return s.Failure
			}
			return nil
		})
		attack.attack(b, vegeta, dir, p.URL.Hostname()+":443:"+address)
	}
	b.ReportMetric(probes.rate(), "probes/s")
	b.ReportMetric(attack.rate(), "vegeta/s")
	b.ReportMetric(probes.rate()/attack.rate(), "ratio")
	b.ReportMetric(probes.each(), "cpu-µs/probe")
	b.ReportMetric(attack.each(), "cpu-µs/vegeta")
	b.ReportMetric(attack.each()/probes.each(), "cpu-ratio")
}

// attack adds the cost of vegeta in two seconds.
func (c *cost) attack(b *testing.B, vegeta, dir, connectTo string) {
	results := filepath.Join(dir, "results")
	cmd := exec.CommandContext(b.Context(), vegeta, "attack", "-targets", "targets", "-output", results, "-duration", "2s",
		"-rate", "0", "-max-workers", fmt.Sprint(4*runtime.GOMAXPROCS(0)), "-keepalive=false", "-http2=false",
		"-root-certs", "ca.pem", "-connect-to", connectTo)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GODEBUG=tlsmlkem=0,tlssecpmlkem=0")
	used := processors(b)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("vegeta: %v\n%s", err, out)
	}
	used = processors(b) - used + cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	text, err := exec.CommandContext(b.Context(), vegeta, "report", "-type", "json", results).Output()
	if err != nil {
		b.Fatal(err)
	}
	var r struct {
		Requests int            `json:"requests"`
		Duration int64          `json:"duration"` // ns
		Wait     int64          `json:"wait"`
		Codes    map[string]int `json:"status_codes"`
		Errors   []string       `json:"errors"`
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&r); err != nil {
		b.Fatal(err)
	}
	if r.Requests == 0 || r.Codes["200"] != r.Requests {
		b.Fatalf("vegeta: %d requests, %v: %s", r.Requests, r.Codes, strings.Join(r.Errors, "; "))
	}
	c.n += r.Requests
	c.wall += time.Duration(r.Duration + r.Wait)
	c.cpu += used
}
