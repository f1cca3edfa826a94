package assertdenied

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

const (
	// briefTTL is the life of the client certificate that is to expire.
	briefTTL = engine.Duration(10 * time.Second)
	// apart is how much later the clock of a server may be.
	apart = 10 * time.Second
	// again is the pause before an expired certificate is presented once more.
	again = time.Second
	// defaultTries is how many connections an attempt makes to each address.
	defaultTries = 16
)

// A brief is a client certificate that expires during the proof.
type brief struct {
	credential *tlskit.Credential
	answers    []evidence.ClientAnswer // while it was valid
}

// tryClient connects with another client certificate than the legitimate one, or with
// none. The legitimate one is served right before and right after, so that a refusal has
// one reason.
func (d *dialler) tryClient(ctx context.Context, a Attempt) error {
	control := d.client.Credential()
	v := d.try(a, d.url.Hostname(), fmt.Sprintf("the client %s is served before and after", control))
	presented, err := d.presented(ctx, a.Dial)
	if err != nil {
		return err
	}
	record := &evidence.ClientDenial{Presents: a.Dial.presents()}
	if record.Presents == evidence.PresentsExpired {
		record.Before = d.brief.answers
		record.Answers, err = d.afterEnd(ctx, presented)
	} else if record.Before, err = d.legitimate(ctx, control, ""); err == nil {
		record.Answers, err = d.connectAll(ctx, presented, d.spec.Dial.tries())
	}
	if err != nil {
		return err
	}
	if record.After, err = d.legitimate(ctx, control, ""); err != nil {
		return err
	}
	v.record.Client, v.record.Server, v.record.At = record, d.url.Hostname(), d.env.Now()
	right := tlskit.Record(control.Chain)
	v.record.ControlCertificate = &right
	if presented != nil {
		shown := tlskit.Record(presented.Chain)
		v.record.Certificate = &shown
	}
	v.judgeClient(record.Answers)
	d.done(v)
	return nil
}

// judgeClient decides whether every answer is a refusal of the client's certificate.
func (v *verdict) judgeClient(answers []evidence.ClientAnswer) {
	v.record.Refused = !slices.ContainsFunc(answers, func(a evidence.ClientAnswer) bool { return !a.Refused() })
	v.record.Answer = describeAnswers(answers)
	v.want, v.have = "a TLS alert about the certificate, a close, or HTTP 400, 401, 403, 495 or 496", v.record.Answer
	switch {
	case v.record.Refused:
	case slices.ContainsFunc(answers, func(a evidence.ClientAnswer) bool { return a.Served() && !a.Asked }):
		v.have = "granted: " + v.have
		v.advice = "the server does not even ask for a client certificate; with APISIX give client.caSecret in the ApisixTls of this host, in a Gateway spec.tls.frontend, for ingress-nginx the annotation auth-tls-secret"
	case slices.ContainsFunc(answers, evidence.ClientAnswer.Served):
		v.have = "granted: " + v.have
		v.advice = "the server asks for a certificate and does not insist on a right one: make it require one of its authority (with APISIX, no skip_mtls_uri_regex that fits the path)"
	default:
		v.advice = "it was refused, but for another reason, which may go away"
	}
}

// afterEnd presents the brief certificate after its end. A server whose clock is behind
// gets a little longer.
func (d *dialler) afterEnd(ctx context.Context, presented *tlskit.Credential) ([]evidence.ClientAnswer, error) {
	end := presented.Leaf().NotAfter
	d.env.Statusf("waiting for the end of a client certificate at %s", certs.Stamp(end))
	for at := end.Add(again); ; at = d.env.Now().Add(again) {
		if err := engine.Pause(ctx, at.Sub(d.env.Now())); err != nil {
			return nil, err
		}
		answers, err := d.connectAll(ctx, presented, d.spec.Dial.tries())
		if err != nil || d.env.Now().Sub(end) > apart || !slices.ContainsFunc(answers, evidence.ClientAnswer.Served) {
			return answers, err
		}
	}
}

// presents returns the kind of the client's certificate, as the evidence names it.
func (a *DialAttempt) presents() string { return cmp.Or(a.Presents, evidence.PresentsOther) }

// presented returns the credential of an attempt; nil for none.
func (d *dialler) presented(ctx context.Context, a *DialAttempt) (*tlskit.Credential, error) {
	switch a.presents() {
	case evidence.PresentsNone:
		return nil, nil
	case evidence.PresentsForeign:
		return foreign(d.client.Credential().Leaf(), d.env.Now())
	case evidence.PresentsExpired:
		if d.brief == nil {
			return nil, engine.Permanent(errors.New("no certificate was signed that could expire"))
		}
		return d.brief.credential, nil
	}
	return a.Client.Load(ctx, d.env)
}

// legitimate connects with a certificate that must be served at each address: else a
// refusal of another one proves nothing. hint is the advice if it is not.
func (d *dialler) legitimate(ctx context.Context, c *tlskit.Credential, hint string) ([]evidence.ClientAnswer, error) {
	what := fmt.Sprintf("%s serves the client %s", d.url, c)
	answers, err := d.connectAll(ctx, c, 1)
	if err != nil {
		return nil, noControl(what, err)
	}
	for _, a := range answers {
		if !a.Served() {
			hint = cmp.Or(hint, "the legitimate client must be served with a status below 400: compare the authority of its certificate with those that the server accepts, and give a path that it answers")
			return nil, noControl(what, engine.WithHint(fmt.Errorf("%s: %s", a.Address, describeAnswer(a)), hint))
		}
	}
	return answers, nil
}

// lookAtClient shows that the legitimate client is served, and the brief certificate while
// it is valid.
func (d *dialler) lookAtClient(ctx context.Context) error {
	credential, err := d.spec.Dial.Client.Load(ctx, d.env)
	if err != nil || credential == nil {
		return err
	}
	d.client = tlskit.NewIdentity(credential)
	answers, err := d.legitimate(ctx, credential, "")
	if err != nil {
		return err
	}
	d.granted(fmt.Sprintf("%s serves the client %s", d.url, credential), describeAnswers(answers))
	if d.brief == nil {
		return nil
	}
	d.brief.answers, err = d.legitimate(ctx, d.brief.credential, "sign.path must be the role that signs the certificates of clients, and sign.name a name that the server lets in")
	return err
}

// connectAll opens some new connections to each address, one after another, and sends a
// request over each. Answers that are alike are counted together.
func (d *dialler) connectAll(ctx context.Context, c *tlskit.Credential, times int) ([]evidence.ClientAnswer, error) {
	var list []evidence.ClientAnswer
	groups := [][]tlskit.Endpoint{d.endpoints}
	if d.spec.Dial.Endpoints == tlskit.EndpointsAll {
		groups = slices.Collect(slices.Chunk(d.endpoints, 1))
	}
	for _, endpoints := range groups {
		for range times {
			one, err := d.connect(ctx, endpoints, c)
			if err != nil {
				return nil, err
			}
			i := slices.IndexFunc(list, func(a evidence.ClientAnswer) bool {
				a.Count, a.First = one.Count, one.First
				return a == one
			})
			if i < 0 {
				list = append(list, one)
			} else {
				list[i].Count++
			}
		}
	}
	return list, nil
}

// connect opens one connection and sends a request. An error is a connection that proves
// nothing about the client's certificate: no server, no answer in time, a server that is
// not verified.
func (d *dialler) connect(ctx context.Context, endpoints []tlskit.Endpoint, c *tlskit.Credential) (evidence.ClientAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	client := tlskit.NewClient(d.url.Hostname(), d.trust, d.env.Now, tlskit.HTTP2, tlskit.HTTP1)
	if c != nil {
		client.Presenting(tlskit.NewIdentity(c))
	}
	a := evidence.ClientAnswer{Address: tlskit.EndpointNames(endpoints), Count: 1, First: d.env.Now()}
	conn, err := client.ConnectFirst(ctx, endpoints)
	if err != nil {
		return a, refusedBy(&a, err)
	}
	defer conn.Close()
	a.Address, a.Asked = conn.Endpoint.String(), conn.Asked
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url.String(), nil)
	if err != nil {
		return a, err
	}
	req.Header.Set("User-Agent", "ztplan")
	// With TLS 1.3 the server judges the certificate after the client's handshake.
	response, err := conn.Do(ctx, req)
	if err != nil {
		return a, refusedBy(&a, err)
	}
	a.Status = response.Code
	return a, nil
}

// refusedBy notes how a server ended a connection. It returns err if that has another
// cause than the client's certificate.
func refusedBy(a *evidence.ClientAnswer, err error) error {
	var f *tlskit.Failure
	if !errors.As(err, &f) || f.Class == tlskit.ClassDial || f.Class == tlskit.ClassVerify {
		return err
	}
	a.Asked, a.Alert, a.Closed = f.Asked, f.Alert(), f.Closed()
	if a.Alert == "" && !a.Closed {
		return err
	}
	return nil
}

func describeAnswer(a evidence.ClientAnswer) string {
	switch {
	case a.Alert != "":
		return "TLS alert " + a.Alert
	case a.Closed:
		return "connection closed"
	}
	return fmt.Sprintf("HTTP %d %s", a.Status, http.StatusText(a.Status))
}

func describeAnswers(list []evidence.ClientAnswer) string {
	parts := make([]string, len(list))
	for i, a := range list {
		parts[i] = fmt.Sprintf("%d × %s at %s", a.Count, describeAnswer(a), a.Address)
	}
	return strings.Join(parts, ", ")
}
