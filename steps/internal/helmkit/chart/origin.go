package chart

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/ztplan/ztplan/engine"
)

// maxRedirects is how many redirects are followed, as package net/http does.
const maxRedirects = 10

// sameOrigin reports whether both addresses have the same scheme, host and port
// (RFC 6454 4).
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// redirect follows a redirect without the credentials unless it stays where the
// first request went. Package net/http keeps them for another port, for a
// subdomain and for plain HTTP. It is a CheckRedirect of [http.Client].
func redirect(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	if from := via[len(via)-1].URL; from.Scheme == "https" && req.URL.Scheme != "https" {
		return downgrade(from, req.URL)
	}
	if !sameOrigin(req.URL, via[0].URL) {
		req.Header.Del("Authorization")
	}
	return nil
}

func downgrade(from, to *url.URL) error {
	return engine.WithHint(engine.Permanent(fmt.Errorf("%s leads from https to %s, which is not encrypted: not followed", from.Host, to.Redacted())),
		"ask the server's owner for a redirect to https, or name a mirror: --mirror URL=URL")
}

// tokenGuard keeps the password of a registry from a token server that is not
// the registry's. A registry names its token server itself, in a challenge
// (distribution.github.io/distribution/spec/auth/token), and that may be another
// host: auth.docker.io for registry-1.docker.io. So the password goes to the
// registry and to an https server of the same registered domain on port 443.
type tokenGuard struct {
	registry *url.URL // scheme and host
	next     http.RoundTripper
}

var errTokenServer = errors.New("the password is not sent there")

// RoundTrip refuses before anything is sent.
func (g tokenGuard) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.check(r); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	return g.next.RoundTrip(r)
}

func (g tokenGuard) check(r *http.Request) error {
	_, _, password := r.BasicAuth()
	switch {
	case g.registry.Scheme == "https" && r.URL.Scheme != "https":
		return downgrade(g.registry, r.URL)
	case !password || sameOrigin(g.registry, r.URL) || sameDomain(g.registry, r.URL):
		return nil
	}
	return engine.WithHint(
		engine.Permanent(refusal{fmt.Errorf("registry %s names the token server %s, which is not its own: %w", g.registry.Host, r.URL.Host, errTokenServer)}),
		"leave username and password away if the chart is public, or name a mirror that issues its own tokens: --mirror URL=URL")
}

// sameDomain reports whether to is an https server, on its usual port, of the
// registered domain of from.
func sameDomain(from, to *url.URL) bool {
	if to.Scheme != "https" || portOf(to) != "443" || net.ParseIP(to.Hostname()) != nil {
		return false
	}
	a, errA := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(from.Hostname()))
	b, errB := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(to.Hostname()))
	return errA == nil && errB == nil && a == b
}
