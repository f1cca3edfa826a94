package chart

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
)

// Limits of the answers of a repository.
const (
	maxIndex   = 128 << 20 // the largest public index has some 30 MiB
	maxArchive = 64 << 20  // Helm stores a release in a Secret of at most 1 MiB
)

// httpClient returns a client that trusts the system's roots and those of
// caFile. Certificates are always verified.
func httpClient(caFile engine.File) (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = 30 * time.Second
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if !caFile.IsZero() {
		pem, err := caFile.Read()
		if err != nil {
			return nil, engine.Permanent(fmt.Errorf("caFile %s: %w", caFile, err))
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if err := certs.AddTo(pool, string(pem)); err != nil {
			return nil, engine.Permanent(fmt.Errorf("caFile %s: %w", caFile, err))
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{Transport: t, CheckRedirect: redirect}, nil
}

// A fetcher gets files from one repository.
type fetcher struct {
	client *http.Client
	// base is the address whose scheme, host and port get the credentials; the
	// password goes nowhere else, neither to a mirror nor to where a chart's URL
	// or a redirect points.
	base     *url.URL
	username string
	password engine.Secret
}

// A reply is the answer of a repository: a body, or that nothing has changed since etag
// or modified.
type reply struct {
	body      []byte
	etag      string
	modified  string
	unchanged bool
}

// get fetches address. Every error names the address; it is permanent if
// another try cannot help.
func (f *fetcher) get(ctx context.Context, address, etag, modified string, limit int64) (reply, error) {
	u, err := url.Parse(address)
	if err != nil {
		return reply{}, engine.Permanent(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return reply{}, engine.Permanent(err)
	}
	req.Header.Set("User-Agent", "ztplan")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	if modified != "" {
		req.Header.Set("If-Modified-Since", modified)
	}
	if f.username != "" && sameOrigin(u, f.base) {
		req.SetBasicAuth(f.username, f.password.Reveal())
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return reply{}, unreachable(ctx, u, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && (etag != "" || modified != ""):
		return reply{unchanged: true}, nil
	case resp.StatusCode != http.StatusOK:
		return reply{}, refused(u, resp.StatusCode, f.username != "")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return reply{}, fmt.Errorf("%s: %w", u.Redacted(), err)
	}
	if int64(len(body)) > limit {
		return reply{}, engine.Permanent(fmt.Errorf("%s: larger than %d MiB", u.Redacted(), limit>>20))
	}
	return reply{body: body, etag: resp.Header.Get("ETag"), modified: resp.Header.Get("Last-Modified")}, nil
}

const mirrorHint = "check the network and the address; where there is no way to it, name a mirror: --mirror URL=URL"

// unreachable explains why no answer came.
func unreachable(ctx context.Context, u *url.URL, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%s: %w", u.Redacted(), cause)
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	err = fmt.Errorf("%s: %w", u.Redacted(), err)
	var (
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
		rec  tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, engine.ErrPermanent):
		return err
	case errors.As(err, &cert):
		return engine.WithHint(engine.Permanent(err), "the server's certificate is not trusted: name its CA in caFile")
	case errors.As(err, &rec), errors.Is(err, http.ErrSchemeMismatch):
		return engine.WithHint(engine.Permanent(err), "the server does not speak TLS on that port")
	case errors.As(err, &dns) && dns.IsNotFound, errors.Is(err, syscall.ECONNREFUSED):
		return engine.WithHint(engine.Permanent(err), mirrorHint)
	}
	return engine.WithHint(err, mirrorHint)
}

// errRefused marks a refusal: the cache must not be used behind the repository's back.
var errRefused = errors.New("refused")

type refusal struct{ error }

func (r refusal) Unwrap() error        { return r.error }
func (r refusal) Is(target error) bool { return target == errRefused }

// refused explains an answer other than 200.
func refused(u *url.URL, code int, hadCredentials bool) error {
	err := error(refusal{fmt.Errorf("%s: %d %s", u.Redacted(), code, strings.ToLower(http.StatusText(code)))})
	switch {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		hint := "the repository wants credentials: set username and password"
		if hadCredentials {
			hint = "the repository refuses the credentials: check username and password"
		}
		return engine.WithHint(engine.Permanent(err), hint)
	case code == http.StatusNotFound, code == http.StatusGone:
		return engine.WithHint(engine.Permanent(err), "check the address of the repository")
	case code == http.StatusTooManyRequests, code >= 500:
		return errors.Unwrap(err) // no verdict: the server has other worries
	}
	return engine.Permanent(err)
}
