package assertrotation

import (
	"fmt"
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/hints"
	"github.com/ztplan/ztplan/steps/internal/disrupt"
)

const (
	adviceNotPushed = "the Secret's certificate does not reach the gateway: look at the log of what pushes it there, with APISIX its ingress controller, whose versions " +
		"2.0.0-rc1 to rc5 never push a changed Secret (see apache/apisix-ingress-controller#2673), and at ResolvedRefs of a Gateway's listener; " +
		"a server that reads a mounted Secret must read it again when the files change, up to two minutes later, and a subPath never changes"
	adviceLeftBehind = "some workers or replicas do not take the change: APISIX 3.14.0 to 3.17.0 can lose configuration events for good " +
		"(see apache/apisix#13067), 3.18.0 does not; the next update of the object (renew the certificate once more) or a restart of the gateway's pods brings it up to date"
	adviceLate = "a worker or replica took the certificate over late: APISIX notices a lost event when its watch on etcd times out, after 50s by default " +
		"(see apache/apisix#13067); shorten watch_timeout or upgrade; the next update of the object or a restart of the gateway's pods brings it sooner"
	adviceDropped = "the gateway closes its clients' connections when it takes a certificate over: its workers must go on with those that they have, " +
		"or be drained before they end"
	adviceBusy = "this machine was too busy to begin probes when they were due, and may have been the reason why answers came late: " +
		"run the step again when less runs beside it, or lower probe.rate"
	adviceRestarted = "a gateway that is restarted ends the connections of its clients: allow that with maxLost, or leave it with probe.longLived: false"
	adviceSealed    = "Vault comes back sealed: give the shares in during.keys, unseal it in time, or use auto-unseal"
	adviceNoGap     = "its pods take longer to end than to start: shorten their terminationGracePeriodSeconds or preStop hook, or break another part"
	adviceBackFirst = "run the step again: one of its pods was ready before the API server had taken the request for the renewal; " +
		"if that happens each time, let the pods start later (initialDelaySeconds of their readinessProbe)"
	adviceTooSoon = "give the step a timeout beyond the next renewal, or use trigger: renew"
	adviceKey     = "set privateKey.rotationPolicy to Always in the Certificate"
)

// verdict returns an error with the hint, the command and the deadline if a finding does
// not hold.
func (p *proof) verdict(findings []engine.Finding, hint, next string) error {
	err := engine.Violated(findings)
	if hint != "" {
		err = engine.WithHint(err, hint)
	}
	return engine.WithUntil(engine.WithNext(err, next), p.until())
}

func allHold(findings []engine.Finding) bool {
	return !slices.ContainsFunc(findings, func(f engine.Finding) bool { return !f.Holds })
}

// settleAdvice is the hint, and the command, when the wire does not show the Secret's
// certificate before the renewal.
func (p *proof) settleAdvice() (hint, next string) {
	switch {
	case p.state.Secret != nil:
		return p.wireAdvice()
	case p.state.Certificate != nil:
		return hints.For(p.state.Certificate.Status.Conditions.Get("Ready").Message), p.describe("certificate", p.spec.Certificate.Name)
	}
	return "", p.describe("certificate", p.spec.Certificate.Name)
}

// advice is the hint, and the command, for a rotation that went wrong.
func (r *rotation) advice() (hint, next string) {
	p := r.proof
	switch {
	case r.end == endDown && p.spec.During.Restart == disrupt.Vault && p.spec.During.Keys == nil:
		return adviceSealed, ""
	case r.disruption.Never:
		return adviceNoGap, ""
	case r.target == nil && r.end == endCut && p.spec.Trigger == triggerWait && r.request == nil:
		return adviceTooSoon, ""
	case r.target == nil && r.request != nil:
		return hints.For(r.excuse()), p.describe("certificaterequest", r.request.Metadata.Name)
	case r.target == nil:
		return hints.For(r.excuse()), p.describe("certificate", p.spec.Certificate.Name)
	case r.late > 0 && r.rec.TimedOut():
		return adviceBusy, ""
	case len(r.kept.Failures) > p.spec.MaxLost && p.spec.During.Last():
		return adviceRestarted, ""
	case len(r.kept.Failures) > p.spec.MaxLost:
		return adviceDropped, ""
	}
	if hint, next := p.wireAdvice(); hint != "" {
		return hint, next
	}
	if observed, _, _ := r.lag(); r.rec.Settled(r.target) && observed > p.spec.MaxSwitch.Std() {
		return adviceLate, ""
	}
	if f := r.renewal().CheckKey(); !f.Holds && p.spec.NewKey == nil {
		return adviceKey, fmt.Sprintf("kubectl -n %s edit certificate %s", p.spec.Certificate.Namespace, p.spec.Certificate.Name)
	}
	if r.backFirst() {
		return adviceBackFirst, ""
	}
	return "", ""
}

// wireAdvice is the hint, and the command, for addresses that do not show the Secret's
// certificate, or failed probes.
func (p *proof) wireAdvice() (hint, next string) {
	held := p.state.Secret.Leaf()
	switch hint := p.rec.Hint(); {
	case hint != "":
		return hint, ""
	case p.rec.Failed() > 0 || !p.rec.Behind(held):
		return "", ""
	}
	if at, _ := p.rec.FirstShown(held.Equal); at.IsZero() {
		return adviceNotPushed, fmt.Sprintf("kubectl -n %s logs -l app.kubernetes.io/name=ingress-controller --all-containers --tail=50", p.gatewayNamespace())
	}
	return adviceLeftBehind, fmt.Sprintf("cmctl renew -n %s %s", p.spec.Certificate.Namespace, p.spec.Certificate.Name)
}

// gatewayNamespace is the namespace of the gateway, as far as the plan has it.
func (p *proof) gatewayNamespace() string {
	if p.spec.Service != nil {
		return p.spec.Service.Namespace
	}
	return p.spec.Certificate.Namespace
}

// describe is the command that shows an object beside the Certificate and its events.
func (p *proof) describe(kind, name string) string {
	return fmt.Sprintf("kubectl -n %s describe %s %s", p.spec.Certificate.Namespace, kind, name)
}
