package kubekit

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

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/ztplan/ztplan/engine"
)

// explainContact returns why the first contact with the API server failed, with a
// hint.
func explainContact(ctx context.Context, kubeconfig, host string, err error) error {
	where := fmt.Sprintf("cluster %s (kubeconfig %s)", host, kubeconfig)
	reason := plainReason(ctx, err)
	hint := func(h string) error {
		return engine.WithHint(fmt.Errorf("%s: %s%w", where, reason, silent{err}), h)
	}
	var (
		unknownAuthority x509.UnknownAuthorityError
		wrongName        x509.HostnameError
		invalid          x509.CertificateInvalidError
		notTLS           tls.RecordHeaderError
		dns              *net.DNSError
	)
	switch {
	case apierrors.IsUnauthorized(err):
		return hint("the API server refuses the credentials: log in again, or choose another --context")
	case apierrors.IsForbidden(err):
		return hint("the credentials are valid but may not read the server's version: ask for a role that can")
	case errors.As(err, &unknownAuthority):
		return hint("the server's certificate is not signed by the CA in the kubeconfig: was the cluster created anew? fetch its kubeconfig again")
	case errors.As(err, &wrongName):
		return hint("the server's certificate is for other names: use one of them in the kubeconfig, or set tls-server-name there")
	case errors.As(err, &invalid):
		return hint("the server's certificate is not valid now: check the clocks, then the certificate's dates")
	case errors.As(err, &notTLS), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return hint("something other than an API server answers there: check the server address in the kubeconfig")
	case errors.As(err, &dns):
		return hint("the host name cannot be resolved: check the server address in the kubeconfig, and the network")
	case errors.Is(err, syscall.ECONNREFUSED):
		return hint("nothing listens there: start the cluster (kind, minikube), choose another --context, or use the embedded lab with --lab")
	}
	return hint("check that the cluster runs and can be reached from here: kubectl version shows the same")
}

// passing reports whether the reason why the first contact failed may go away
// by itself: an answer with such a code, or a connection that broke half-way.
func passing(ctx context.Context, err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return !final(status.Status())
	}
	return context.Cause(ctx) == nil &&
		(utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) || utilnet.IsHTTP2ConnectionLost(err) || errors.Is(err, io.ErrUnexpectedEOF))
}

// plainReason strips the request and the repeated address from err.
func plainReason(ctx context.Context, err error) string {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.DeadlineExceeded) {
		return cause.Error()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	if s := apierrors.APIStatus(nil); errors.As(err, &s) {
		return answerText(s.Status())
	}
	return err.Error()
}

// answerText is the answer of an API server, or of a server before it. client-go drops
// a body that is not plain text.
func answerText(s metav1.Status) string {
	text := s.Message
	if text == "" || text == "unknown" {
		text = strings.ToLower(http.StatusText(int(s.Code)))
	}
	return fmt.Sprintf("answered %d: %s", s.Code, text)
}

// silent keeps an error in the chain without repeating its text.
type silent struct{ err error }

func (s silent) Error() string { return "" }
func (s silent) Unwrap() error { return s.err }
