package verify

import (
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

// subject verifies the form of the subject.
func (v *verifier) subject() Check {
	c := Check{Name: "subject"}
	s := v.doc.Subject
	if s == nil {
		c.Open, c.Did = true, "not on record"
		return c
	}
	c.Did = "where and by whom: form of what is on record, " + display.Count(len(s.Remarks), "remark")
	if s.Cluster != nil && s.Cluster.Server == "" {
		c.add("the cluster has no address")
	}
	if s.Job != nil && (s.Job.System == "" || len(s.Job.Facts) == 0) {
		c.add("the job has no system or no facts")
	}
	if g := s.Checkout; g != nil {
		if !isCommit(g.Commit) {
			c.add("the commit %q is none", g.Commit)
		}
		if g.Clean != (len(g.Changes) == 0) {
			c.add("the checkout is clean: %v, and has %s", g.Clean, display.Count(len(g.Changes), "change"))
		}
	}
	if s.Binary != "" && !evidence.IsDigest(s.Binary) {
		c.add("binary is no SHA-256")
	}
	for _, i := range s.Images {
		if i.Namespace == "" || i.Image == "" || i.Containers < 1 {
			c.add("an image has no namespace, no name or no container")
		}
	}
	return c
}

func isCommit(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 40 || len(s) == 64
}
