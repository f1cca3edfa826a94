package curltls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// A call is one connection with its request, as far as it came.
type call struct {
	name     string // of the endpoint
	at       time.Time
	conn     *tlskit.Conn     // nil if there was no verified connection
	response *tlskit.Response // nil if there was no answer
	failure  *tlskit.Failure  // why the call ended early

	secret        *x509.Certificate // the first certificate in the Secret of equalsSecret
	secretProblem string            // why there is none

	transcript []string
}

func (v *call) protocol() string {
	if p := v.conn.State.NegotiatedProtocol; p != "" {
		return p
	}
	return tlskit.HTTP1 // without negotiation there is nothing else
}

// excerpt returns the beginning of the body, for messages.
func (v *call) excerpt() string {
	const most = 120
	text := strings.Join(strings.Fields(string(v.response.Body)), " ")
	if text == "" {
		return "the body is empty"
	}
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return "the body begins with " + text
}

func (v *call) outputs() Outputs {
	var out Outputs
	if v.conn != nil {
		leaf := v.conn.Leaf()
		out = Outputs{
			Protocol:        v.protocol(),
			TLSVersion:      tls.VersionName(v.conn.State.Version),
			RemoteAddress:   v.conn.Remote,
			PeerSerial:      certs.Serial(leaf),
			PeerFingerprint: certs.Fingerprint(leaf),
			PeerKey:         certs.KeyDigest(leaf),
			PeerCertificate: certs.Encode(leaf),
			Issuer:          leaf.Issuer.String(),
			NotAfter:        certs.Stamp(leaf.NotAfter),
		}
	}
	if v.response != nil {
		out.Status = v.response.Code
	}
	return out
}

// A caller makes the calls of one attempt.
type caller struct {
	spec   *Spec
	url    *url.URL
	env    *engine.Env
	client *tlskit.Client
}

// callAll calls every endpoint at once, or the first that can be reached.
// There is always at least one call.
func (c *caller) callAll(ctx context.Context, endpoints []tlskit.Endpoint) []*call {
	if c.spec.Endpoints != tlskit.EndpointsAll {
		return []*call{c.call(ctx, endpoints)}
	}
	calls := make([]*call, len(endpoints))
	var wg engine.Group
	for i := range endpoints {
		wg.Go(func() { calls[i] = c.call(ctx, endpoints[i:i+1]) })
	}
	wg.Wait()
	return calls
}

func (c *caller) call(ctx context.Context, endpoints []tlskit.Endpoint) *call {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	v := &call{at: c.env.Now()}
	v.say("%s: dialling %s", c.url.Hostname(), tlskit.EndpointNames(endpoints))
	conn, err := c.client.ConnectFirst(ctx, endpoints)
	if err != nil {
		v.name = tlskit.EndpointNames(endpoints)
		v.fail(err)
		return v
	}
	defer conn.Close()
	v.conn, v.name = conn, conn.Endpoint.String()
	v.transcript = append(v.transcript, conn.Describe(v.at)...)

	req, err := c.request(ctx)
	if err != nil {
		v.fail(err)
		return v
	}
	proto := "HTTP/1.1"
	if v.protocol() == tlskit.HTTP2 {
		proto = "HTTP/2.0"
	}
	v.transcript = append(v.transcript, tlskit.DescribeRequest(req, proto)...)
	if v.response, err = conn.Do(ctx, req); err != nil {
		v.fail(err)
		return v
	}
	v.transcript = append(v.transcript, v.response.Describe()...)
	return v
}

func (c *caller) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, c.spec.Method, c.url.String(), strings.NewReader(c.spec.Body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "ztplan")
	for name, value := range c.spec.Headers {
		req.Header.Set(name, value)
	}
	return req, nil
}

func (v *call) say(format string, args ...any) {
	v.transcript = append(v.transcript, fmt.Sprintf(format, args...))
}

// fail records why the call ended early.
func (v *call) fail(err error) {
	var f *tlskit.Failure
	if !errors.As(err, &f) {
		f = &tlskit.Failure{Class: tlskit.ClassDial, Endpoint: v.name, Reason: err.Error()}
	} else if joined := err.Error(); joined != f.Error() {
		f = &tlskit.Failure{Class: f.Class, Reason: strings.ReplaceAll(joined, "\n", "; "), Hint: f.Hint}
	}
	v.failure = f
	v.say("%s", f.Error())
	if len(f.Chain) > 0 {
		v.transcript = append(v.transcript, tlskit.DescribeChain(f.Chain, v.at)...)
	}
}

// readSecret reads the Secret of equalsSecret for all calls.
func (c *caller) readSecret(ctx context.Context, calls []*call) error {
	ref := c.spec.Expect.Certificate.EqualsSecret
	cluster, err := kubekit.Connect(ctx, c.env)
	if err != nil {
		return err
	}
	secret, err := cluster.Client().CoreV1().Secrets(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	var (
		leaf    *x509.Certificate
		problem string
	)
	switch {
	case apierrors.IsNotFound(err):
		problem = "the Secret does not exist: has its Certificate been issued?"
	case err != nil:
		return fmt.Errorf("secret %s: %w", ref, kubekit.Classify(err))
	default:
		chain, err := certs.Parse(string(secret.Data["tls.crt"]))
		if err != nil {
			problem = fmt.Sprintf("tls.crt of the Secret: %v", err)
		} else {
			leaf = chain[0]
		}
	}
	for _, v := range calls {
		v.secret, v.secretProblem = leaf, problem
	}
	return nil
}
