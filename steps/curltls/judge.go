package curltls

import (
	"fmt"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// judge turns calls into findings: one per rule, which holds if it does at
// every address. Rules about what no call came to are left out: the finding
// about the connection says why.
//
// The error is not nil when a call ended early; it carries the hint.
func judge(s *Spec, calls []*call, trust *tlskit.Trust) ([]engine.Finding, error) {
	findings := []engine.Finding{
		stage(calls, "a TCP connection is made", nil, tlskit.ClassDial, func(v *call) any { return v.conn.Remote }),
		stage(calls, "the TLS handshake succeeds", nil, tlskit.ClassTLS, func(v *call) any { return tlsText(v) }),
		stage(calls, fmt.Sprintf("the certificate is for %s and leads to %s", hostOf(s), trust), trust.String(), tlskit.ClassVerify, func(v *call) any {
			return certs.Subject(v.conn.Leaf()) + ", issued by " + v.conn.Leaf().Issuer.String()
		}),
		stage(calls, "the request is answered", nil, tlskit.ClassHTTP, func(v *call) any { return v.response.Status }),
	}
	findings = deleteUnmeasured(findings)
	for _, r := range s.rules() {
		if f, measured := r.judge(calls); measured {
			findings = append(findings, f)
		}
	}
	for _, v := range calls {
		if v.failure != nil {
			return findings, engine.WithHint(v.failure, v.failure.Hint)
		}
	}
	return findings, nil
}

func hostOf(s *Spec) string {
	u, err := tlskit.ParseURL(s.URL)
	if err != nil {
		return s.URL
	}
	return u.Hostname()
}

func tlsText(v *call) string {
	lines := v.conn.Describe(v.at)
	return lines[1]
}

// order is the stage that a class belongs to.
func order(c tlskit.Class) int {
	switch c {
	case tlskit.ClassDial:
		return 0
	case tlskit.ClassTLS:
		return 1
	case tlskit.ClassVerify:
		return 2
	default:
		return 3
	}
}

// stage judges one stage of every call: it failed there, it passed it, or it
// never came that far.
func stage(calls []*call, rule string, want any, class tlskit.Class, have func(*call) any) engine.Finding {
	f := engine.Finding{Rule: rule, Want: want, Holds: true}
	measured := false
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
	if !measured {
		f.Rule = ""
	}
	return f
}

func deleteUnmeasured(findings []engine.Finding) []engine.Finding {
	kept := findings[:0]
	for _, f := range findings {
		if f.Rule != "" {
			kept = append(kept, f)
		}
	}
	return kept
}

// judge checks the rule at every address that answered. What is shown is the
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
			f.Detail = join(v.name, detail)
		}
	}
	return f, measured
}

func join(where, detail string) string {
	if detail == "" {
		return where
	}
	return where + ": " + detail
}
