package ledger

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// A Merged is the reports of several fleets, or of several hubs, as one.
type Merged struct {
	Check    verify.Check
	Clusters int
	Counts   map[string]int
	Result   string
	// Root is the Merkle tree hash (RFC 6962) over the bytes of the fleet.json of the
	// reports, sorted by fleet, hub and run.
	Root string
}

// Merge adds up reports that hold, each by itself. A cluster may be in one of them only:
// clusters are distinguished by their names and, where their evidence has it, by the UID
// of their namespace kube-system.
func Merge(reports []*Report) (*Merged, error) {
	sorted := slices.SortedFunc(slices.Values(reports), func(a, b *Report) int {
		return cmp.Or(cmp.Compare(a.Head.Fleet, b.Head.Fleet), cmp.Compare(a.Head.Hub, b.Head.Hub), cmp.Compare(a.Head.Run, b.Head.Run))
	})
	m := &Merged{Check: verify.Check{Name: "merge"}, Counts: make(map[string]int)}
	names, clusters := make(map[string]*Report), make(map[string]string)
	var t tree
	stopped := ""
	for _, r := range sorted {
		if err := t.add(r.head); err != nil {
			return nil, err
		}
		stopped = cmp.Or(stopped, r.Head.Stopped)
		for _, l := range r.Leaves {
			m.Clusters++
			m.Counts[l.State]++
			if other := names[l.Cluster]; other != nil {
				m.Check.Problems = append(m.Check.Problems, fmt.Sprintf("cluster %s is in %s and in %s", l.Cluster, other.Name(), r.Name()))
				continue
			}
			names[l.Cluster] = r
			if l.Verdict == nil || l.Verdict.UID == "" {
				continue
			}
			if other, ok := clusters[l.Verdict.UID]; ok && names[other] != r {
				m.Check.Problems = append(m.Check.Problems, fmt.Sprintf("%s of %s and %s of %s are one cluster: its namespace kube-system has the UID %s",
					other, names[other].Name(), l.Cluster, r.Name(), l.Verdict.UID))
				continue
			}
			clusters[l.Verdict.UID] = l.Cluster
		}
	}
	m.Result = Result(m.Counts, stopped)
	m.Check.Did = fmt.Sprintf("of %s, each in one report", display.Count(m.Clusters, "cluster"))
	var err error
	m.Root, err = t.root()
	return m, err
}

// Name names the run of a report.
func (r *Report) Name() string {
	return fmt.Sprintf("fleet %s on %s (run %s)", r.Head.Fleet, r.Head.Hub, r.Head.Run)
}
