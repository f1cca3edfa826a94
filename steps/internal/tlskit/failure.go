package tlskit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/ztplan/ztplan/steps/internal/certs"
)

// A Class is the stage at which a connection failed.
type Class string

// The classes, in the order of the stages.
const (
	ClassDial   Class = "dial"   // no TCP connection
	ClassTLS    Class = "tls"    // no handshake: an alert, no TLS at all, a broken connection
	ClassVerify Class = "verify" // the certificate is not trusted, not valid now, or of another name
	ClassHTTP   Class = "http"   // no answer, or not the expected one
)

// A Failure is a connection that did not come about, explained.
type Failure struct {
	Class    Class
	Endpoint string // where it went
	Reason   string // the event and its meaning, one line
	Hint     string // the next action; may be empty

	// Chain is the server's chain when its certificate was refused.
	Chain []*x509.Certificate

	// Asked reports whether the server had asked for a client certificate.
	Asked bool

	err error
}

// Error returns the endpoint and the reason.
func (f *Failure) Error() string {
	if f.Endpoint == "" {
		return f.Reason
	}
	return f.Endpoint + ": " + f.Reason
}

// Timeout reports whether an answer did not come in time.
func (f *Failure) Timeout() bool { return isTimeout(f.err) }

// Until returns the end of the certificate that was refused, zero if there is none.
func (f *Failure) Until() time.Time {
	if len(f.Chain) == 0 {
		return time.Time{}
	}
	return f.Chain[0].NotAfter
}

// Unwrap returns the error of the network, of crypto/tls or of crypto/x509.
func (f *Failure) Unwrap() error { return f.err }

// ClassOf returns the class of a Failure in err's tree, or "".
func ClassOf(err error) Class {
	var f *Failure
	if errors.As(err, &f) {
		return f.Class
	}
	return ""
}

func newDialFailure(endpoint string, err error, from origin) *Failure {
	f := &Failure{Class: ClassDial, Endpoint: endpoint, Reason: "connect: " + strings.TrimPrefix(trimNet(err), "connect: "), err: err}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && !dns.IsTimeout:
		f.Reason = fmt.Sprintf("the name %s cannot be resolved", dns.Name)
		f.Hint = "give the address to dial, or the service whose node port is to be used: no entry in /etc/hosts is needed"
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Reason = "connection refused: nothing listens there"
		f.Hint = from.refused()
	case isTimeout(err):
		f.Reason = "no answer to the connection attempt"
		f.Hint = from.unanswered(runtime.GOOS)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		f.Reason = "no route to this address"
		f.Hint = "this address is not reachable from here: give one that is"
	}
	return f
}

// refused is the hint when nothing listens at an address.
func (o origin) refused() string {
	switch o {
	case fromNodePort:
		return "is the gateway's pod ready, and does its Service have this node port?"
	case fromTunnel:
		return "is the gateway's pod ready, and does it listen on the port of its Service?"
	}
	return "does the server run there, and are the address and the port in the plan right?"
}

// unanswered is the hint when an attempt to connect gets no answer, on an operating system
// (runtime.GOOS).
func (o origin) unanswered(system string) string {
	switch {
	case o == fromNodePort && (system == "darwin" || system == "windows"):
		return "on macOS and Windows the address of a kind node cannot be reached from the host: map the node port with extraPortMappings " +
			"and give 127.0.0.1 as the address; else look for a firewall"
	case o == fromNodePort:
		return "this machine does not reach the node's address: look for a firewall or a security group, or use service.via: tunnel"
	case o == fromTunnel:
		return "the API server does not reach the pod: look for a network policy, and whether its node is ready"
	}
	return "this machine does not reach the address in the plan: is it right, and is there a firewall in between?"
}

func newHandshakeFailure(endpoint string, err error, serverName string, trust *Trust, now time.Time) *Failure {
	var refused *tls.CertificateVerificationError
	if errors.As(err, &refused) {
		f := newVerifyFailure(refused.Err, refused.UnverifiedCertificates, serverName, trust, now)
		f.Endpoint, f.err = endpoint, err
		return f
	}
	f := &Failure{Class: ClassTLS, Endpoint: endpoint, Reason: "TLS handshake: " + trimNet(err), err: err}
	var record tls.RecordHeaderError
	alert := alertOf(err)
	switch {
	case alert != "":
		f.Reason = fmt.Sprintf("the server ended the handshake with the alert %q", alert)
		f.Hint = alertHint(alert, serverName)
	case errors.As(err, &record):
		f.Reason = "the server does not speak TLS at this port"
		if strings.HasPrefix(string(record.RecordHeader[:]), "HTTP/") {
			f.Reason = "the server speaks plain HTTP at this port"
		}
		f.Hint = "dial the gateway's TLS port (443 behind the Service, not 80)"
	case isTimeout(err):
		f.Reason = "connected, but the TLS handshake was not answered in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		f.Reason = "the connection was closed during the TLS handshake"
		f.Hint = "something accepts connections there without a TLS server behind it: a node port or tunnel without a ready pod, or a gateway that is restarting"
	}
	return f
}

// newVerifyFailure explains an error of crypto/x509 about the chain that a
// server showed.
func newVerifyFailure(err error, chain []*x509.Certificate, name string, trust *Trust, now time.Time) *Failure {
	f := &Failure{Class: ClassVerify, Chain: chain, Reason: "certificate: " + strings.TrimPrefix(err.Error(), "x509: "), err: err}
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &unknown):
		f.Reason, f.Hint = explainAuthority(chain, trust)
	case errors.As(err, &host):
		names := strings.Join(certs.Names(host.Certificate), ", ")
		if names == "" {
			names = "no name at all"
		}
		f.Reason = fmt.Sprintf("the certificate is for %s, not for %s", names, name)
		f.Hint = "add the name to the Certificate's dnsNames (a wildcard covers exactly one label), or ask for a name that it has"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		f.Reason, f.Hint = explainDates(invalid.Cert, now)
	}
	return f
}

func explainAuthority(chain []*x509.Certificate, trust *Trust) (reason, hint string) {
	if len(chain) == 0 {
		return "the certificate leads to no trusted authority; trusted is " + trust.String(), ""
	}
	top := topOf(chain)
	for _, a := range trust.anchors {
		if string(a.RawSubject) == string(top.RawIssuer) {
			return fmt.Sprintf("the certificate leads to an authority called %s, but not to the trusted one: same name, another key", a.Subject),
				"the authority was made anew since the certificate was issued: renew the certificate, or trust the authority that is in use"
		}
	}
	switch {
	case string(top.RawIssuer) == string(top.RawSubject) && len(chain) == 1:
		return fmt.Sprintf("the certificate of %s is self-signed; trusted is %s", certs.Subject(top), trust),
			"the gateway serves a default certificate, or one that another authority made"
	case string(top.RawIssuer) == string(top.RawSubject):
		return fmt.Sprintf("the certificate leads to %s; trusted is %s", top.Subject, trust), "trust the root that issued it, or have it issued by the trusted one"
	case len(chain) == 1:
		return fmt.Sprintf("the certificate is issued by %s, and the server sends no intermediate that leads to the trusted %s", top.Issuer, trust),
			"tls.crt must hold the certificate and its intermediates: import the intermediate as a bundle with its root"
	default:
		return fmt.Sprintf("the chain of %d certificates ends at one issued by %s; trusted is %s", len(chain), top.Issuer, trust),
			"trust the root that issued it, or have it issued by the trusted one"
	}
}

// topOf follows the issuers inside a chain as far as they are there.
func topOf(chain []*x509.Certificate) *x509.Certificate {
	top := chain[0]
	for range chain {
		next := top
		for _, c := range chain {
			if c != top && string(c.RawSubject) == string(top.RawIssuer) {
				next = c
				break
			}
		}
		if next == top {
			break
		}
		top = next
	}
	return top
}

func explainDates(c *x509.Certificate, now time.Time) (reason, hint string) {
	if now.Before(c.NotBefore) {
		return fmt.Sprintf("the certificate of %s is valid from %s on, which is in %s", certs.Subject(c), certs.Stamp(c.NotBefore), c.NotBefore.Sub(now).Round(time.Second)),
			"compare the clocks of this machine and of the issuer"
	}
	return fmt.Sprintf("the certificate of %s expired at %s, %s ago", certs.Subject(c), certs.Stamp(c.NotAfter), now.Sub(c.NotAfter).Round(time.Second)),
		"look at the Certificate's status and the last CertificateRequest: the renewal failed, or the gateway did not take the new certificate over"
}

// newHTTPFailure explains why a request over a connection had no answer. With TLS 1.3 the
// client's handshake is complete before the server judges the client's certificate, so
// that a refusal of it arrives in place of the first answer (RFC 8446, section 4.4.2.4).
func newHTTPFailure(endpoint string, err error, c *Conn) *Failure {
	f := &Failure{Class: ClassHTTP, Endpoint: endpoint, Reason: "HTTP: " + trimNet(err), Asked: c.Asked, err: err}
	alert := alertOf(err)
	switch {
	case alert != "":
		f.Class = ClassTLS
		f.Reason = fmt.Sprintf("the server ended the connection after the handshake with the alert %q", alert)
		f.Hint = alertHint(alert, c.State.ServerName)
	case isTimeout(err):
		f.Reason = "the TLS handshake succeeded, but the request was not answered in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		f.Reason = "the connection was closed before the answer was complete"
	case closedIdle(err):
		f.Reason = "the server has closed the connection since the last answer"
	}
	return f
}

// closedIdle recognises net/http's errors, which are not exported, for a
// connection that ended while no request was under way.
func closedIdle(err error) bool {
	text := err.Error()
	return strings.Contains(text, "server closed idle connection") || strings.Contains(text, "client conn not usable") ||
		strings.Contains(text, "client conn is closed")
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// trimNet leaves out the addresses that package net puts before an error; the
// endpoint has them already.
func trimNet(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}
