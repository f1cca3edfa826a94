package assertrotation

import (
	"context"
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/probe"
	"github.com/ztplan/ztplan/steps/internal/rivals"
)

// showsOurs reports whether every address shows a certificate that the Secret holds or held:
// then no object with another Secret serves the host there, whatever the proof finds.
func (p *proof) showsOurs() bool {
	return !slices.ContainsFunc(p.rec.Addresses(), func(s *probe.Series) bool { return s.Current == nil || !p.state.History.Held(s.Current) })
}

// conclude adds a finding if another object decides the certificate of the host, or will
// after a restart of the gateway, and returns the verdict; advice returns the hint and the
// command for the other findings. While the wire shows the right certificate such a finding
// does not hold either: the next restart may change it, so that nothing is proved.
func (p *proof) conclude(ctx context.Context, secretName string, findings []engine.Finding, advice func() (hint, next string)) ([]engine.Finding, error) {
	ours := certwatch.Ref{Namespace: p.spec.Certificate.Namespace, Name: secretName}
	if c := rivals.Find(ctx, p.client, p.env, p.url.Hostname(), ours, p.showsOurs()); c != nil {
		findings = append(findings, c.Finding)
		p.withDeadline(findings)
		return findings, p.verdict(findings, c.Hint, c.Next)
	}
	if allHold(findings) {
		return findings, nil
	}
	p.withDeadline(findings)
	if f := p.rec.Unreached(); f != nil {
		return findings, engine.WithUntil(engine.WithHint(f, f.Hint), f.Until()) // as in curlTLS
	}
	hint, next := advice()
	return findings, p.verdict(findings, hint, next)
}
