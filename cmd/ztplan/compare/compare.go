// Package compare finds the changes between the evidence of two runs, and the
// regressions among them: the gate before and after an upgrade.
package compare

import (
	"slices"

	"github.com/ztplan/ztplan/steps/evidence"
)

// The kinds of differences.
const (
	Result        = "result"             // of the run
	FailedStep    = "failed-step"        // a step that did not fail before
	MissingProof  = "missing-proof"      // a proof that held before and did not now
	MissingRule   = "missing-rule"       // a rule of a proof that held before and is not checked any more
	DenialHole    = "denial-hole"        // an attempt that is not refused
	MissingDenial = "missing-denial"     // an attempt that was refused before and is not made any more
	Switch        = "switch"             // how long it took until the wire showed a new certificate
	Failures      = "failed-handshakes"  // while certificates were rotated
	Rotations     = "rotations"          // how many were measured
	KeyReuse      = "key-reuse"          // a new certificate with the key of an older one
	Renewal       = "unexpected-renewal" // a certificate that nothing asked for
	Version       = "version"            // of a chart, a component, an image, the cluster or ztplan
	Plan          = "plan"               // its content
)

// A Difference is one change between the runs.
type Difference struct {
	Kind       string `json:"kind"`
	Regression bool   `json:"regression"`
	Step       string `json:"step,omitempty"`
	Subject    string `json:"subject"` // a rule, a certificate, a chart
	Before     any    `json:"before"`  // null if there was none
	After      any    `json:"after"`   // null if there is none

	// Of switch: how often the time before goes into the time after, and how much
	// longer it took.
	Ratio   float64 `json:"ratio,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
}

// Limits bound the time of a switch: one is slower only beyond both.
type Limits struct {
	Ratio   float64 // of the time after to that before
	Seconds float64 // of the difference
}

// A Comparison is two documents and their differences.
type Comparison struct {
	Before, After *evidence.Document
	Differences   []Difference // regressions first
}

// New compares two documents, which must be of runs that are no dry runs.
func New(before, after *evidence.Document, l Limits) *Comparison {
	c := &Comparison{Before: before, After: after, Differences: []Difference{}}
	missing := c.steps()
	c.denials(missing)
	c.rotations(missing, l)
	c.keys()
	c.roots()
	c.versions()
	slices.SortStableFunc(c.Differences, func(a, b Difference) int {
		switch {
		case a.Regression == b.Regression:
			return 0
		case a.Regression:
			return -1
		}
		return 1
	})
	return c
}

// Regressions counts the differences that are regressions.
func (c *Comparison) Regressions() (n int) {
	for _, d := range c.Differences {
		if d.Regression {
			n++
		}
	}
	return n
}

func (c *Comparison) add(d Difference) { c.Differences = append(c.Differences, d) }

// sameCluster reports whether both runs are known to have been on one cluster.
func (c *Comparison) sameCluster() bool {
	uid := func(d *evidence.Document) string {
		if d.Subject == nil || d.Subject.Cluster == nil {
			return ""
		}
		return d.Subject.Cluster.UID
	}
	return uid(c.Before) != "" && uid(c.Before) == uid(c.After)
}
