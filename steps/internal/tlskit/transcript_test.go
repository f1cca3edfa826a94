package tlskit_test

import (
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"

	"github.com/ztplan/ztplan/steps/internal/certs"
)

func TestDescribeChain(t *testing.T) {
	root := tlstest.NewCA(t, "Root CA Lab")
	at := time.Date(2026, 1, 18, 17, 0, 0, 0, time.UTC)
	leaf := root.Issue(t, tlstest.Leaf{CommonName: "*.example.local", Names: []string{"*.example.local", "10.0.0.1"}, NotBefore: at, Lifetime: time.Hour}).Leaf()
	want := []string{
		"certificate 0: CN=*.example.local",
		"  issuer CN=Root CA Lab",
		"  valid  2026-01-18T17:00:00Z to 2026-01-18T18:00:00Z (30m0s left)",
		"  names  *.example.local, 10.0.0.1",
		"  key    ECDSA P-256, signed with ECDSA-SHA256",
		"  serial " + certs.Serial(leaf),
		"  sha256 " + certs.Fingerprint(leaf),
	}
	got := tlskit.DescribeChain([]*x509.Certificate{leaf}, at.Add(30*time.Minute))
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	for after, want := range map[time.Duration]string{-time.Second: "not valid yet", 2 * time.Hour: "expired"} {
		if got := strings.Join(tlskit.DescribeChain([]*x509.Certificate{leaf}, at.Add(after)), "\n"); !strings.Contains(got, "("+want+")") {
			t.Errorf("after %s: %s, want %q", after, got, want)
		}
	}
}

// Credentials must not reach a log.
func TestDescribeRequestHidesCredentials(t *testing.T) {
	req, _ := http.NewRequest("GET", "https://"+host+"/a?b=c", nil)
	req.Header.Set("Authorization", "Bearer canary")
	req.Header.Set("Accept", "*/*")
	want := []string{"> GET /a?b=c HTTP/1.1", "> Host: " + host, "> Accept: */*", "> Authorization: (not shown)"}
	if d := cmp.Diff(want, tlskit.DescribeRequest(req, "HTTP/1.1")); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	resp := &tlskit.Response{Proto: "HTTP/1.1", Status: "200 OK", Size: 3, Header: http.Header{"Set-Cookie": {"canary"}}}
	if d := cmp.Diff([]string{"< HTTP/1.1 200 OK", "< Set-Cookie: (not shown)", "body of 3 bytes"}, resp.Describe()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
