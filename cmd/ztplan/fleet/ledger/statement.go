package ledger

import (
	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

// StateOf returns the state of a cluster by its verdict.
func StateOf(v *record.Verdict) string {
	switch {
	case v.Exit == record.ExitHeld:
		return Held
	case v.Result == engine.ResultAwaiting:
		return Awaiting
	case v.Exit == 2:
		return Differs
	case v.Exit != 0:
		return Failed
	case v.Result == engine.ResultProved:
		return Proved
	}
	return Converged
}

// StatementOf returns the in-toto statement about a fleet whose files have the bytes head
// and lines. Its subjects are these files and the evidence of every cluster; its tests are
// the clusters. It is PASSED if every cluster is proved.
func StatementOf(h *Head, leaves []Leaf, head, lines []byte) attest.Statement {
	s := attest.NewStatement()
	add := func(name, digest string) { s.Subject = append(s.Subject, attest.SHA256(name, digest)) }
	add(HeadFile, evidence.Digest(head))
	add(LeavesFile, evidence.Digest(lines))
	p := &s.Predicate
	for _, l := range leaves {
		if l.Verdict != nil && l.Verdict.Evidence != "" {
			add(ClustersDir+"/"+l.Cluster+"/evidence.json", l.Verdict.Evidence)
		}
		switch {
		case l.State == Proved:
			p.PassedTests = append(p.PassedTests, l.Cluster)
		case l.State == Converged:
			p.WarnedTests = append(p.WarnedTests, l.Cluster)
		default:
			p.FailedTests = append(p.FailedTests, l.Cluster)
		}
	}
	p.Configuration = append(p.Configuration, attest.SHA256("fleet:"+h.Fleet, h.Digest))
	switch {
	case len(p.FailedTests) > 0 || len(leaves) == 0:
		p.Result = "FAILED"
	case len(p.WarnedTests) > 0:
		p.Result = "WARNED"
	default:
		p.Result = "PASSED"
	}
	return s
}
