package carollover

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// End waits until the rollover has ended: ctx of Run must be over, or all of it done.
// It warns unless the new intermediate has replaced the old one, or the old one signs
// again.
func (h *Rollover) End() {
	<-h.over
	switch {
	case h.err == nil || h.authorities == nil:
	case h.retiring:
		h.Env.Warnf("the new intermediate signs for %s, and the old one may not be retired: %v", h.Spec.Mount, h.err)
	case h.back != nil:
		h.Env.Warnf("the new intermediate is still the default issuer of %s: making the old one the default again failed (%v); the next run of the pkiIntermediate step does it",
			h.Spec.Mount, h.back)
	default:
		h.Env.Logf("the old intermediate signs for %s; a new one that was made stays there, without a name, for the next try", h.Spec.Mount)
	}
}

// CheckOverlap: for a while both intermediates could sign, and clients trusted
// the certificates of either.
func (h *Rollover) CheckOverlap() engine.Finding {
	f := engine.Finding{Rule: "old and new intermediate sign side by side, both leading to " + h.Trust.String(), Want: "a certificate by either"}
	if h.overlap[0] == nil || h.overlap[1] == nil {
		f.Detail = h.why()
		return f
	}
	was, is := h.authorities.Old()[0], h.authorities.Next()[0]
	f.Holds = certs.KeyDigest(was) != certs.KeyDigest(is)
	f.Have = fmt.Sprintf("serial %s by the old one, serial %s by the new one", certs.Serial(h.overlap[0][0]), certs.Serial(h.overlap[1][0]))
	f.Detail = fmt.Sprintf("the old one is %s until %s, the new one %s until %s", certs.Serial(was), certs.Stamp(was.NotAfter), certs.Serial(is), certs.Stamp(is.NotAfter))
	return f
}

// CheckSigner: the new intermediate signed the measured certificate.
func (h *Rollover) CheckSigner(cert *x509.Certificate) engine.Finding {
	f := engine.Finding{Rule: "the new intermediate signed the certificate", Have: "signed by " + cert.Issuer.String()}
	if h.overlap[1] == nil {
		f.Detail = h.why()
		return f
	}
	next := h.Next()
	f.Holds, f.Want = cert.CheckSignatureFrom(next) == nil, "serial "+certs.Serial(next)
	if !f.Holds {
		f.Detail = "the issuer uses another mount, another role, or a role that names its issuer"
	}
	return f
}

// CheckReissued: the other certificates were issued by the new intermediate.
func (h *Rollover) CheckReissued() engine.Finding {
	list := h.Spec.Certificates
	f := engine.Finding{
		Rule:  fmt.Sprintf("%s issued anew under it, %d at a time", others(len(list)), h.Spec.wave()),
		Holds: len(h.reissued) == len(list), Have: len(h.reissued), Want: len(list),
	}
	var parts []string
	for _, one := range h.reissued {
		parts = append(parts, fmt.Sprintf("%s: serial %s", one.ref, certs.Serial(one.chain[0])))
	}
	if !f.Holds {
		parts = append(parts, h.why())
	}
	f.Detail = strings.Join(parts, "; ")
	return f
}

// CheckRetired: the old intermediate signs no more, and the new one does. unfit is
// whether the measurement before failed.
func (h *Rollover) CheckRetired(unfit bool) engine.Finding {
	f := engine.Finding{Rule: "the old intermediate is retired and refuses to sign", Want: "refused, by the retired one alone"}
	switch {
	case unfit:
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
		f.Detail = "the same request was signed by the new one, serial " + certs.Serial(h.control[0])
	}
	return f
}

// why renders why the new intermediate has not replaced the old one, and which one
// signs.
func (h *Rollover) why() string {
	text := "given up while " + h.stage
	if h.err != nil && !errors.Is(h.err, context.Canceled) {
		text += ": " + h.err.Error()
	}
	return text + "; " + h.instead()
}

func (h *Rollover) instead() string {
	switch {
	case h.back != nil:
		return fmt.Sprintf("the new one is still the default issuer: %v", h.back)
	case !h.retiring:
		return "the old one signs again"
	}
	return "the new one signs from now on"
}

// Evidence puts the rollover of a rotation on record; false if there was none.
func (h *Rollover) Evidence(rotation int) (evidence.Rollover, bool) {
	if h == nil || h.authorities == nil || h.authorities.Next() == nil {
		return evidence.Rollover{}, false
	}
	place := h.Spec.place()
	out := evidence.Rollover{
		Rotation: rotation, Mount: place.Mount, Issuer: place.Issuer, Role: place.Role,
		Server: h.Server, Planned: len(h.Spec.Certificates),
		Old: tlskit.Record(h.authorities.Old()), New: tlskit.Record(h.authorities.Next()),
		Status: h.status, Answer: h.answer, Expected: []evidence.Refusal{h.authorities.Refusal()}, Retired: h.retired,
	}
	var verified [][]*x509.Certificate
	for i, to := range []**evidence.Certificate{&out.ByOld, &out.ByNew} {
		if h.overlap[i] != nil {
			record := tlskit.Record(h.overlap[i])
			*to = &record
			if chain, err := h.Trust.Verify(h.overlap[i], out.Server, h.Env.Now); err == nil {
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
	out.Trust = h.Trust.Record(verified...)
	return out, true
}
