package tlskit_test

import (
	"net/http"
	"testing"

	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

// BenchmarkConnect measures new verified connections, server included, one
// after another.
func BenchmarkConnect(b *testing.B) {
	root := tlstest.NewCA(b, "Root CA Lab")
	srv := tlstest.NewServer(b, root.Intermediate(b, "Intermediate CA Lab").Issue(b, tlstest.Leaf{Names: []string{host}}), nil)
	e := tlskit.Address(srv.Listen())
	trust, err := tlskit.NewTrust(root.Cert)
	if err != nil {
		b.Fatal(err)
	}
	for _, protocol := range []string{tlskit.HTTP1, tlskit.HTTP2} {
		client := tlskit.NewClient(host, trust, nil, protocol)
		for _, ask := range []bool{false, true} {
			name := protocol + "/handshake"
			if ask {
				name = protocol + "/request"
			}
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					conn, err := client.Connect(b.Context(), e)
					if err != nil {
						b.Fatal(err)
					}
					if ask {
						req, _ := http.NewRequest("GET", "https://"+host+"/", nil)
						if _, err := conn.Do(b.Context(), req); err != nil {
							b.Fatal(err)
						}
					}
					_ = conn.Close()
				}
			})
		}
	}
}
