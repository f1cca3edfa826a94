package assertdenied

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// dialLimit bounds one connection.
const dialLimit = 10 * time.Second

// mostRenewals is how often a certificate may be renewed between a look at it
// and the attempt to use it after its end.
const mostRenewals = 3

// A dialler makes the attempts to connect that the client must refuse.
type dialler struct {
	*proof
	url       *url.URL
	trust     *tlskit.Trust
	client    *tlskit.Identity // nil if the client has no certificate
	endpoints []tlskit.Endpoint
	leaf      *x509.Certificate   // last certificate of the server
	verified  []*x509.Certificate // how that led to the trust
	control   string
}

// tryDials connects as it should be, and then makes the attempts.
func (p *proof) tryDials(ctx context.Context, attempts []Attempt) error {
	d := &dialler{proof: p}
	if err := d.prepare(ctx); err != nil {
		return err
	}
	if err := d.lookAtClient(ctx); err != nil {
		return err
	}
	p.env.Statusf("connecting for %s", d.url)
	what := fmt.Sprintf("%s shows a certificate that leads to %s", d.url, d.trust)
	conn, err := d.dial(ctx, d.trust, p.env.Now)
	if err != nil {
		var f *tlskit.Failure
		if errors.As(err, &f) {
			err = engine.WithHint(err, f.Hint)
		}
		return noControl(what, err)
	}
	_ = conn.Close()
	d.leaf, d.verified = conn.Leaf(), conn.Verified
	d.control = fmt.Sprintf("serial %s, valid until %s", certs.Serial(d.leaf), certs.Stamp(d.leaf.NotAfter))
	p.granted(what, d.control)
	for _, a := range attempts {
		if err := d.attempt(ctx, a); err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
	}
	return nil
}

func (d *dialler) prepare(ctx context.Context) (err error) {
	s := d.spec.Dial
	if d.url, err = tlskit.ParseURL(s.URL); err != nil {
		return engine.Permanent(fmt.Errorf("url %q: %w", s.URL, err))
	}
	if d.trust, err = s.TrustInput.Load(ctx, d.env); err != nil {
		return err
	}
	d.endpoints, err = s.Target.Resolve(ctx, d.env, d.url)
	return err
}

func (d *dialler) dial(ctx context.Context, trust *tlskit.Trust, clock tlskit.Clock) (*tlskit.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	return tlskit.NewClient(d.url.Hostname(), trust, clock, tlskit.HTTP2, tlskit.HTTP1).Presenting(d.client).ConnectFirst(ctx, d.endpoints)
}

func (d *dialler) attempt(ctx context.Context, a Attempt) error {
	if a.Dial.aboutClient() {
		return d.tryClient(ctx, a)
	}
	v := d.try(a, "this client's verification of what "+d.url.Hostname()+" shows", d.control)
	if a.Dial.Expired {
		v.want = "certificate has expired"
		v.advice = "what the server shows does not end with its certificate"
		return d.tryExpired(ctx, v)
	}
	v.want = "certificate signed by unknown authority"
	v.advice = "the server's certificate leads to an authority that the attempt trusts: name another in the attempt, or take that authority out of the chain"
	trust, err := d.other(a.Dial.Trust)
	if err != nil {
		return err
	}
	now := d.env.Now()
	conn, err := d.dial(ctx, trust, func() time.Time { return now })
	return d.judge(v, trust, now, conn, err)
}

// tryExpired connects with a clock after the end of the certificate that the
// server showed last. If it was renewed in between, the clock is too early.
func (d *dialler) tryExpired(ctx context.Context, v *verdict) error {
	for renewals := 0; ; renewals++ {
		end := d.leaf.NotAfter.Add(time.Second)
		conn, err := d.dial(ctx, d.trust, func() time.Time { return end })
		if err != nil || conn.Leaf().Equal(d.leaf) || renewals == mostRenewals {
			return d.judge(v, d.trust, end, conn, err)
		}
		_ = conn.Close()
		d.leaf = conn.Leaf()
	}
}

// other returns the trust of an attempt.
func (d *dialler) other(text string) (*tlskit.Trust, error) {
	if text != impostor {
		trust, err := tlskit.ParseTrust(text)
		return trust, engine.Permanent(err)
	}
	root, _, err := impostorOf(d.verified[len(d.verified)-1].RawSubject, d.env.Now())
	if err != nil {
		return nil, err
	}
	return tlskit.NewTrust(root)
}

// judge judges the server's certificate as seen by a client that trusts trust at
// the time now. Only a refusal of the certificate by the client counts: a server
// that cannot be reached, or whose certificate the legitimate client refuses as
// well, proves nothing.
func (d *dialler) judge(v *verdict, trust *tlskit.Trust, now time.Time, conn *tlskit.Conn, err error) error {
	var (
		chain []*x509.Certificate
		f     *tlskit.Failure
	)
	switch {
	case err == nil:
		_ = conn.Close()
		chain = conn.State.PeerCertificates
		v.record.Answer = fmt.Sprintf("a client that trusts %s accepted the certificate with serial %s at %s", trust, certs.Serial(chain[0]), certs.Stamp(now))
		v.have = "granted: " + v.record.Answer
	case errors.As(err, &f) && f.Class == tlskit.ClassVerify:
		chain = f.Chain
		if _, err := d.trust.Verify(chain, d.url.Hostname(), d.env.Now); err != nil {
			return fmt.Errorf("the server now shows what the given trust does not accept either: %w", err)
		}
		v.record.Answer, v.have = f.Reason, f.Reason
		if v.record.Refused = refusedFor(err, trust == d.trust); !v.record.Refused {
			v.advice = "it was refused, but for another reason, which may go away"
		}
	default:
		return err
	}
	shown := tlskit.Record(chain)
	v.record.At, v.record.Server, v.record.Certificate, v.record.Clock = d.env.Now(), d.url.Hostname(), &shown, now
	v.record.Trust, v.record.ControlTrust = trust.Record(d.verified), d.trust.Record(d.verified)
	if trust != d.trust {
		v.record.Trust = trust.Record()
	}
	d.done(v)
	return nil
}

// refusedFor reports whether a certificate was refused because it has expired, or
// else because it leads to no trusted authority.
func refusedFor(err error, expired bool) bool {
	var (
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
	)
	if expired {
		return errors.As(err, &invalid) && invalid.Reason == x509.Expired
	}
	return errors.As(err, &unknown)
}
