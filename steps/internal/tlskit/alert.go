package tlskit

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
)

// alerts maps crypto/tls's words for the alerts about a client's certificate to their
// names in RFC 8446, section 6.
var alerts = map[string]string{
	"handshake failure":             "handshake_failure",
	"bad certificate":               "bad_certificate",
	"unsupported certificate":       "unsupported_certificate",
	"revoked certificate":           "certificate_revoked",
	"expired certificate":           "certificate_expired",
	"unknown certificate":           "certificate_unknown",
	"unknown certificate authority": "unknown_ca",
	"access denied":                 "access_denied",
	"error decrypting message":      "decrypt_error",
	"certificate required":          "certificate_required",
}

// alertOf returns the alert with which the server ended a connection, in the words of
// crypto/tls; "" if there was none.
func alertOf(err error) string {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return ""
	}
	return strings.TrimPrefix(op.Err.Error(), "tls: ")
}

// Alert returns the alert with which the server ended the connection, by its name in RFC
// 8446 if it is one about a client's certificate; "" if there was none.
func (f *Failure) Alert() string {
	alert := alertOf(f.err)
	if name, ok := alerts[alert]; ok {
		return name
	}
	return strings.ReplaceAll(alert, " ", "_")
}

// Closed reports whether the server closed the connection without an alert or an answer.
func (f *Failure) Closed() bool {
	return alertOf(f.err) == "" && !isTimeout(f.err) &&
		(errors.Is(f.err, io.EOF) || errors.Is(f.err, io.ErrUnexpectedEOF) || errors.Is(f.err, syscall.ECONNRESET) || errors.Is(f.err, syscall.EPIPE) || closedIdle(f.err))
}

// alertHint explains the alerts that servers really send (RFC 8446 section
// 6.2). APISIX answers a server name without certificate with internal_error,
// other servers with unrecognized_name or handshake_failure.
func alertHint(alert, serverName string) string {
	switch {
	case strings.Contains(alert, "internal error"), strings.Contains(alert, "unrecognized name"), strings.Contains(alert, "handshake failure"):
		return fmt.Sprintf("the server probably has no certificate for the name %s: look at the hosts of the ApisixTls "+
			"(a wildcard covers exactly one label), at spec.tls of the Ingress or at the conditions of the Gateway's listener, "+
			"or wait until the gateway has taken it over", serverName)
	case strings.Contains(alert, "certificate required"):
		return "the server wants a client certificate: give client, with a Secret or with files"
	case strings.Contains(alert, "unknown certificate authority"):
		return "the server does not know the authority of the client certificate: compare it with the authorities that the server accepts"
	case strings.Contains(alert, "expired certificate"):
		return "the client certificate has expired: look at the status of its Certificate"
	case strings.Contains(alert, "bad certificate"), strings.Contains(alert, "unknown certificate"):
		return "the server wants a client certificate, or another than the one that was presented: compare client with the authorities that the server accepts"
	case strings.Contains(alert, "protocol version"):
		return "client and server have no TLS version in common"
	case strings.Contains(alert, "no application protocol"):
		return "the server does not offer the HTTP version that the plan asks for"
	}
	return ""
}
