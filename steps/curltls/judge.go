package curltls

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// judge turns calls into findings: one per rule, which holds if it does at
// every address. Rules for a stage that no call reached are left out: the finding
// about the connection has the reason.
//
// The error is not nil when a call ended early or a rule does not hold; it carries the
// hint, and until when the certificate is valid.
func judge(s *Spec, calls []*call, trust *tlskit.Trust) ([]engine.Finding, error) {
	var findings []engine.Finding
	add := func(class tlskit.Class, rule string, want any, have func(*call) any) {
		if f, measured := stage(calls, rule, want, class, have); measured {
			findings = append(findings, f)
		}
	}
	add(tlskit.ClassDial, "a TCP connection is made", nil, func(v *call) any { return v.conn.Remote })
	add(tlskit.ClassTLS, "the TLS handshake succeeds", nil, func(v *call) any { return v.conn.Describe(v.at)[1] })
	add(tlskit.ClassVerify, fmt.Sprintf("the certificate is for %s and leads to %s", hostOf(s), trust), trust.String(), func(v *call) any {
		return certs.Subject(v.conn.Leaf()) + ", issued by " + v.conn.Leaf().Issuer.String()
	})
	add(tlskit.ClassHTTP, "the request is answered", nil, func(v *call) any { return v.response.Status })
	for _, r := range s.rules() {
		if f, measured := r.judge(calls); measured {
			findings = append(findings, f)
		}
	}
	for _, v := range calls {
		if v.failure != nil {
			return findings, engine.WithUntil(engine.WithHint(v.failure, v.failure.Hint), until(calls))
		}
	}
	return findings, engine.WithUntil(engine.Violated(findings), until(calls))
}

// until returns the end of the first certificate to expire of those that were shown, zero
// if none was.
func until(calls []*call) time.Time {
	var first time.Time
	for _, v := range calls {
		var at time.Time
		switch {
		case v.conn != nil:
			at = v.conn.Leaf().NotAfter
		case v.failure != nil:
			at = v.failure.Until()
		}
		if first.IsZero() || !at.IsZero() && at.Before(first) {
			first = at
		}
	}
	return first
}

func hostOf(s *Spec) string {
	u, err := tlskit.ParseURL(s.URL)
	if err != nil {
		return s.URL
	}
	return u.Hostname()
}

// order is the stage that a class belongs to.
func order(c tlskit.Class) int {
	return slices.Index([]tlskit.Class{tlskit.ClassDial, tlskit.ClassTLS, tlskit.ClassVerify, tlskit.ClassHTTP}, c)
}

// stage judges one stage of every call: the call failed in it, passed it, or never
// reached it.
func stage(calls []*call, rule string, want any, class tlskit.Class, have func(*call) any) (f engine.Finding, measured bool) {
	f = engine.Finding{Rule: rule, Want: want, Holds: true}
	for _, v := range calls {
		switch {
		case v.failure == nil || order(v.failure.Class) > order(class):
			measured = true
			if f.Have == nil && v.conn != nil && (class != tlskit.ClassHTTP || v.response != nil) {
				f.Have = have(v)
			}
		case v.failure.Class == class:
			measured = true
			if f.Holds {
				f.Holds, f.Have, f.Detail = false, v.failure.Reason, v.name
			} else {
				f.Detail += ", " + v.name
			}
		}
	}
	return f, measured
}

// judge checks the rule at every address that answered. The finding shows the
// first address that broke it, or the first of all.
func (r rule) judge(calls []*call) (f engine.Finding, measured bool) {
	f = engine.Finding{Rule: r.name, Want: r.want, Holds: true}
	for _, v := range calls {
		if v.response == nil {
			continue
		}
		have, holds, detail := r.check(v)
		if !measured || f.Holds && !holds {
			f.Have = have
		}
		measured = true
		if holds || !f.Holds {
			continue
		}
		f.Holds, f.Detail = false, detail
		if len(calls) > 1 {
			f.Detail = strings.TrimSuffix(v.name+": "+detail, ": ")
		}
	}
	return f, measured
}
