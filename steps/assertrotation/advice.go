package assertrotation

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/hints"
	"github.com/ztplan/ztplan/steps/internal/disrupt"
)

const (
	adviceNotPushed = "the Secret's certificate does not reach the gateway: look at the ApisixTls and at the log of the ingress controller; " +
		"its versions 2.0.0-rc1 to rc5 never push a changed Secret (see apache/apisix-ingress-controller#2673)"
	adviceLeftBehind = "some workers or replicas do not take the change: APISIX 3.14.0 to 3.17.0 can lose configuration events for good " +
		"(see apache/apisix#13067), 3.18.0 does not; the next update of the object (renew the certificate once more) or a restart of the gateway's pods brings it up to date"
	adviceLate = "a worker or replica took the certificate over late: APISIX notices a lost event when its watch on etcd times out, after 50s by default " +
		"(see apache/apisix#13067); shorten watch_timeout or upgrade; the next update of the object or a restart of the gateway's pods brings it sooner"
	adviceDropped = "the gateway closes its clients' connections when it takes a certificate over: its workers must go on with those that they have, " +
		"or be drained before they end"
	adviceRestarted = "a gateway that is restarted ends the connections of its clients: allow that with maxLost, or leave it with probe.longLived: false"
	adviceSealed    = "Vault comes back sealed: give the shares in during.keys, unseal it in time, or use auto-unseal"
	adviceNoGap     = "its pods take longer to end than to start: shorten their terminationGracePeriodSeconds or preStop hook, or break another part"
	adviceBackFirst = "run the step again: one of its pods was ready before the API server had taken the request for the renewal; " +
		"if that happens each time, let the pods start later (initialDelaySeconds of their readinessProbe)"
	adviceTooSoon = "give the step a timeout beyond the next renewal, or use trigger: renew"
	adviceKey     = "set privateKey.rotationPolicy to Always in the Certificate"
)

// verdict returns an error with the hint if a finding does not hold; nil
// without a hint, because then the findings are enough.
func verdict(findings []engine.Finding, hint string) error {
	if hint == "" || allHold(findings) {
		return nil
	}
	var parts []string
	for _, f := range findings {
		if f.Holds {
			continue
		}
		text := f.Rule
		if f.Have != nil {
			text += fmt.Sprintf(": saw %v", f.Have)
		}
		if f.Detail != "" {
			text += " (" + f.Detail + ")"
		}
		parts = append(parts, text)
	}
	return engine.WithHint(errors.New("does not hold: "+strings.Join(parts, "; ")), hint)
}

func allHold(findings []engine.Finding) bool {
	return !slices.ContainsFunc(findings, func(f engine.Finding) bool { return !f.Holds })
}

// settleAdvice is the hint when the wire does not show the Secret's
// certificate before the renewal.
func (p *proof) settleAdvice() string {
	switch {
	case p.state.Secret != nil:
		return p.wireAdvice()
	case p.state.Certificate != nil:
		return hints.For(p.state.Certificate.Status.Conditions.Get("Ready").Message)
	}
	return ""
}

// advice is the hint for a rotation that went wrong.
func (r *rotation) advice() string {
	switch {
	case r.end == endDown && r.proof.spec.During.Restart == disrupt.Vault && r.proof.spec.During.Keys == nil:
		return adviceSealed
	case r.disruption.Never:
		return adviceNoGap
	case r.target == nil && r.end == endCut && r.proof.spec.Trigger == triggerWait && r.request == nil:
		return adviceTooSoon
	case r.target == nil:
		return hints.For(r.excuse())
	}
	if len(r.kept.Failures) > r.proof.spec.MaxLost {
		if r.proof.spec.During.Last() {
			return adviceRestarted
		}
		return adviceDropped
	}
	if a := r.proof.wireAdvice(); a != "" {
		return a
	}
	if observed, _, _ := r.lag(); r.rec.Settled(r.target) && observed > r.proof.spec.MaxSwitch.Std() {
		return adviceLate
	}
	if f := checkKeyChange(r); !f.Holds && r.proof.spec.NewKey == nil {
		return adviceKey
	}
	if r.backFirst() {
		return adviceBackFirst
	}
	return ""
}

// wireAdvice is the hint for addresses that do not show the Secret's
// certificate, or failed probes.
func (p *proof) wireAdvice() string {
	held := p.state.Secret.Leaf()
	switch hint := p.rec.Hint(); {
	case hint != "":
		return hint
	case p.rec.Failed() > 0 || !p.rec.Behind(held):
		return ""
	}
	if at, _ := p.rec.FirstShown(held.Equal); at.IsZero() {
		return adviceNotPushed
	}
	return adviceLeftBehind
}
