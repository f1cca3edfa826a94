package tlskit_test

import (
	"crypto/tls"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"

	"github.com/ztplan/ztplan/steps/internal/certs"
)

// A chain that was verified before is verified again unless it is the same and
// still valid: a chain that a new client would refuse, one that knows the
// server's certificate refuses, too.
func TestKnownChains(t *testing.T) {
	root, other := tlstest.NewCA(t, "Root CA Lab"), tlstest.NewCA(t, "Root CA Lab")
	short := root.Brief(t, "Intermediate CA Lab", 30*time.Minute)
	trust, err := tlskit.NewTrust(root.Cert)
	if err != nil {
		t.Fatal(err)
	}
	good := short.Issue(t, tlstest.Leaf{Names: []string{host}})
	foreign := other.Intermediate(t, "Intermediate CA Lab").Issue(t, tlstest.Leaf{Names: []string{host}, Key: good.Key})
	// chain shows certificates with the key of good.
	chain := func(der ...[]byte) *tlstest.Pair {
		return &tlstest.Pair{Chain: good.Chain, Key: good.Key, TLS: &tls.Certificate{PrivateKey: good.Key, Certificate: der}}
	}
	tests := []struct {
		name   string
		show   *tlstest.Pair
		later  time.Duration
		refuse bool
	}{
		{"the same", good, 0, false},
		{"the same, later", good, 29 * time.Minute, false},
		{"another one", short.Issue(t, tlstest.Leaf{Names: []string{host}}), 0, false},
		{"without the intermediate", chain(good.Chain[0].Raw), 0, true},
		{"with another intermediate", chain(good.Chain[0].Raw, foreign.Chain[1].Raw), 0, true},
		{"with one more certificate", chain(good.Chain[0].Raw, good.Chain[1].Raw, root.Cert.Raw), 0, false},
		{"of another authority", foreign, 0, true},
		{"for another name", short.Issue(t, tlstest.Leaf{Names: []string{"other.example.local"}}), 0, true},
		{"with another key", &tlstest.Pair{Chain: good.Chain, TLS: &tls.Certificate{PrivateKey: tlstest.NewKey(t), Certificate: good.TLS.Certificate}}, 0, true},
		{"when the intermediate has expired", good, 31 * time.Minute, true},
		{"when all have expired", good, 2 * time.Hour, true},
		{"before it is valid", good, -2 * time.Hour, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := tlstest.NewServer(t, good, nil)
			e := tlskit.Address(srv.Listen())
			var later atomic.Int64
			client := tlskit.NewClient(host, trust, func() time.Time { return time.Now().Add(time.Duration(later.Load())) }, tlskit.HTTP1)
			connect := func() error {
				conn, err := client.Connect(t.Context(), e)
				if err != nil {
					return err
				}
				defer conn.Close()
				if n := len(conn.Verified); n != 3 || !conn.Verified[n-1].Equal(root.Cert) || !slices.Equal(conn.Verified[0].Raw, conn.Leaf().Raw) {
					t.Errorf("verified: %d certificates", n)
				}
				return nil
			}
			for range 3 {
				if err := connect(); err != nil {
					t.Fatal(err)
				}
			}
			srv.Use(tt.show)
			later.Store(int64(tt.later))
			for range 2 {
				if err := connect(); (err != nil) != tt.refuse {
					t.Errorf("error = %v", err)
				}
			}
			srv.Use(good)
			later.Store(0)
			if err := connect(); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// Thousands of certificates in turn do not add up.
func TestManyChains(t *testing.T) {
	root := tlstest.NewCA(t, "Root CA Lab")
	trust, err := tlskit.NewTrust(root.Cert)
	if err != nil {
		t.Fatal(err)
	}
	srv := tlstest.NewServer(t, nil, nil)
	e := tlskit.Address(srv.Listen())
	client := tlskit.NewClient(host, trust, nil, tlskit.HTTP1).Classical()
	for range 50 {
		pair := root.Issue(t, tlstest.Leaf{Names: []string{host}})
		srv.Use(pair)
		for range 2 {
			conn, err := client.Connect(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			if !conn.Verified[0].Equal(pair.Leaf()) || conn.State.CurveID != tls.X25519 {
				t.Errorf("%s, key exchange %s", certs.Subject(conn.Verified[0]), conn.State.CurveID)
			}
			_ = conn.Close()
		}
	}
}
