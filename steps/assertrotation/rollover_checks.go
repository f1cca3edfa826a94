package assertrotation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// A progress is what a rotation knows of the rollover.
type progress struct {
	rollover *caRollover // nil unless the intermediate changes
	state    string      // what it is at
	begun    bool        // the measured certificate has arrived, the others follow
	unfit    bool        // what was measured by then is not as it should be
	settled  bool        // it is over
	through  bool        // the new intermediate has taken the old one's place
}

// pending reports whether the intermediate may still change.
func (i *progress) pending() bool { return i.rollover != nil && !i.settled && !i.unfit }

// follow takes in what the rollover told.
func (r *rotation) follow(n news) {
	if n.state != "" {
		r.state = n.state
	}
	if n.hop != "" {
		r.line.mark(n.hop, n.at, n.note)
	}
	if n.done {
		r.settled, r.through = true, r.rollover.err == nil
	}
}

// arrive lets the rollover go on when the measured certificate has arrived and
// all is well so far; if it is not, the rotation ends and the old intermediate
// signs again.
func (r *rotation) arrive() {
	if !r.pending() || r.begun || !r.arrived() {
		return
	}
	now := r.proof.env.Now()
	so := *r
	so.ended = now
	so.gap, _, _ = r.rec.LongestGap(now)
	for _, c := range slices.Concat(r.issuance(), []check{checkServed}, r.clients()) {
		if !c(&so).Holds {
			r.unfit = true
			return
		}
	}
	r.begun = true
	close(r.rollover.proceed)
}

// part ends the rollover. It returns when the old intermediate signs again or
// cannot be made to, unless the new one has taken its place.
func (r *rotation) part(cancel context.CancelFunc) {
	cancel()
	h := r.rollover
	<-h.over
	switch env := r.proof.env; {
	case h.err == nil || h.authorities == nil:
	case h.retiring:
		env.Warnf("the new intermediate signs for %s, and the old one may not be retired: %v", r.proof.spec.Intermediate.Mount, h.err)
	case h.back != nil:
		env.Warnf("the new intermediate is still the default issuer of %s: making the old one the default again failed (%v); the next run of the pkiIntermediate step does it",
			r.proof.spec.Intermediate.Mount, h.back)
	default:
		env.Logf("the old intermediate signs for %s; a new one that was made stays there, without a name, for the next try", r.proof.spec.Intermediate.Mount)
	}
}

// checkOverlap: for a while both intermediates could sign, and clients trusted
// what either signed.
func checkOverlap(r *rotation) engine.Finding {
	h := r.rollover
	f := engine.Finding{Rule: "old and new intermediate sign side by side, both leading to " + r.proof.trust.String(), Want: "a certificate by either"}
	if h.overlap[0] == nil || h.overlap[1] == nil {
		f.Detail = h.why()
		return f
	}
	was, is := h.authorities.Old()[0], h.authorities.Next()[0]
	f.Holds = tlskit.KeyDigest(was) != tlskit.KeyDigest(is)
	f.Have = fmt.Sprintf("serial %s by the old one, serial %s by the new one", tlskit.Serial(h.overlap[0][0]), tlskit.Serial(h.overlap[1][0]))
	f.Detail = fmt.Sprintf("the old one is %s until %s, the new one %s until %s", tlskit.Serial(was), stamp(was.NotAfter), tlskit.Serial(is), stamp(is.NotAfter))
	return f
}

// checkSigner: the new intermediate signed what was measured.
func checkSigner(r *rotation) engine.Finding {
	f := engine.Finding{Rule: "the new intermediate signed the certificate", Have: "signed by " + r.target.Issuer.String()}
	if r.rollover.overlap[1] == nil {
		f.Detail = r.rollover.why()
		return f
	}
	next := r.rollover.authorities.Next()[0]
	f.Holds, f.Want = r.target.CheckSignatureFrom(next) == nil, "serial "+tlskit.Serial(next)
	if !f.Holds {
		f.Detail = "the issuer uses another mount, another role, or a role that names its issuer"
	}
	return f
}

// checkReissued: the other certificates changed sides.
func checkReissued(r *rotation) engine.Finding {
	h, list := r.rollover, r.proof.spec.Intermediate.Certificates
	f := engine.Finding{
		Rule:  fmt.Sprintf("%s issued anew under it, %d at a time", others(len(list)), r.proof.spec.Intermediate.wave()),
		Holds: len(h.reissued) == len(list), Have: len(h.reissued), Want: len(list),
	}
	var parts []string
	for _, one := range h.reissued {
		parts = append(parts, fmt.Sprintf("%s: serial %s", one.ref, tlskit.Serial(one.chain[0])))
	}
	if !f.Holds {
		parts = append(parts, h.why())
	}
	f.Detail = strings.Join(parts, "; ")
	return f
}

// checkRetired: the old intermediate signs no more, and the new one does.
func checkRetired(r *rotation) engine.Finding {
	h := r.rollover
	f := engine.Finding{Rule: "the old intermediate is retired and refuses to sign", Want: "refused, by the retired one alone"}
	switch {
	case r.unfit:
		f.Detail = "not retired, because what was measured before is not as it should be; " + h.instead()
	case h.status == 0 || h.control == nil:
		f.Detail = h.why()
	case !h.refused():
		f.Have = fmt.Sprintf("vault answered %d", h.status)
		if h.answer != "" {
			f.Have = fmt.Sprintf("vault answered %d: %s", h.status, h.answer)
		}
	default:
		f.Holds = true
		f.Have = fmt.Sprintf("vault answered %d: %s", h.status, h.answer)
		f.Detail = "the same request was signed by the new one, serial " + tlskit.Serial(h.control[0])
	}
	return f
}

// why says why the new intermediate has not taken the old one's place, and what
// is the case instead.
func (h *caRollover) why() string {
	text := "given up while " + h.stage
	if h.err != nil && !errors.Is(h.err, context.Canceled) {
		text += ": " + h.err.Error()
	}
	return text + "; " + h.instead()
}

func (h *caRollover) instead() string {
	switch {
	case h.back != nil:
		return fmt.Sprintf("the new one is still the default issuer: %v", h.back)
	case !h.retiring:
		return "the old one signs again"
	}
	return "the new one signs from now on"
}

// evidence puts the change on record; false if there was none.
func (r *rotation) recordRollover() (evidence.Rollover, bool) {
	h := r.rollover
	if h == nil || h.authorities == nil || h.authorities.Next() == nil {
		return evidence.Rollover{}, false
	}
	place := r.proof.spec.Intermediate.place()
	out := evidence.Rollover{
		Rotation: r.index + 1, Mount: place.Mount, Issuer: place.Issuer, Role: place.Role,
		Server: r.proof.url.Hostname(), Planned: len(r.proof.spec.Intermediate.Certificates),
		Old: tlskit.Record(h.authorities.Old()), New: tlskit.Record(h.authorities.Next()),
		Status: h.status, Answer: h.answer, Expected: []evidence.Refusal{h.authorities.Refusal()}, Retired: h.retired,
	}
	var verified [][]*x509.Certificate
	for i, to := range []**evidence.Certificate{&out.ByOld, &out.ByNew} {
		if h.overlap[i] != nil {
			record := tlskit.Record(h.overlap[i])
			*to = &record
			if chain, err := r.proof.trust.Verify(h.overlap[i], out.Server, r.proof.env.Now); err == nil {
				verified = append(verified, chain)
			}
		}
	}
	for _, one := range h.reissued {
		out.Reissued = append(out.Reissued, evidence.Reissued{
			Namespace: one.ref.Namespace, Name: one.ref.Name, Certificate: tlskit.Record(one.chain), At: one.at,
		})
	}
	if h.control != nil {
		record := tlskit.Record(h.control)
		out.Control = &record
	}
	out.Trust = r.proof.trust.Record(verified...)
	return out, true
}
