package tlskit

// The values of the plan's key http, besides "auto".
const (
	OnlyHTTP1 = "1.1"
	OnlyHTTP2 = "2"
)

// Protocols returns the versions of HTTP to offer for the plan's key http, as ALPN
// calls them, the preferred one first: both unless it is OnlyHTTP1 or OnlyHTTP2.
func Protocols(http string) []string {
	switch http {
	case OnlyHTTP1:
		return []string{HTTP1}
	case OnlyHTTP2:
		return []string{HTTP2}
	default:
		return []string{HTTP2, HTTP1}
	}
}
