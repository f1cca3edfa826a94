package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/steps/evidence"
)

// Totals sum up the verdicts of the clusters.
type Totals struct {
	Handshakes, Failures int       // of all rotation proofs
	Slowest              *Leaf     // with the slowest switch; nil without a rotation proof
	Doubtful             *Leaf     // with the greatest doubt; nil without a rotation proof
	Switches             []float64 // seconds, ascending
	Versions             []Spread  // of Kubernetes and of ztplan; without those that are not known
}

// A Spread is the versions of a program, the most common first.
type Spread struct {
	Of   string
	List []VersionCount
}

// A VersionCount is the number of clusters with a version.
type VersionCount struct {
	Version  string
	Clusters int
}

// Sum returns the totals of a fleet.
func Sum(leaves []Leaf) Totals {
	var t Totals
	versions, kubernetes := make(map[string]int), make(map[string]int)
	for i := range leaves {
		l := &leaves[i]
		v := l.Verdict
		if v == nil {
			continue
		}
		if v.Version != "" {
			versions[v.Version]++
		}
		if v.Server != "" {
			kubernetes[v.Server]++
		}
		r := v.Rotation
		if r == nil {
			continue
		}
		t.Handshakes += r.Handshakes
		t.Failures += r.Failures
		t.Switches = append(t.Switches, r.Switch)
		if t.Slowest == nil || r.Switch > t.Slowest.Verdict.Rotation.Switch {
			t.Slowest = l
		}
		if t.Doubtful == nil || r.Doubt > t.Doubtful.Verdict.Rotation.Doubt {
			t.Doubtful = l
		}
	}
	slices.Sort(t.Switches)
	for _, s := range []Spread{{"Kubernetes", spread(kubernetes)}, {"ztplan", spread(versions)}} {
		if len(s.List) > 0 {
			t.Versions = append(t.Versions, s)
		}
	}
	return t
}

// spread returns versions with the most common first.
func spread(counts map[string]int) []VersionCount {
	var out []VersionCount
	for v, n := range counts {
		out = append(out, VersionCount{v, n})
	}
	slices.SortFunc(out, func(a, b VersionCount) int {
		return cmp.Or(cmp.Compare(b.Clusters, a.Clusters), cmp.Compare(a.Version, b.Version))
	})
	return out
}

// Quantile returns the switch that a share of the clusters did not exceed. There must be
// one.
func (t Totals) Quantile(share float64) float64 {
	return t.Switches[min(int(share*float64(len(t.Switches))), len(t.Switches)-1)]
}

// Claim returns a sentence with the numbers of clusters that are proved, and that are
// not.
func Claim(h *Head) string {
	all := 0
	for _, n := range h.Counts {
		all += n
	}
	good, what := h.Counts[Proved], "proved"
	rest := []phrase{{h.Counts[Converged], "converged without a full proof"}}
	switch {
	case h.Mode == fleet.ModeStatus:
		good, what = good+h.Counts[Converged], "as the plan says, and nothing was written"
		rest = nil
	case good == 0:
		good, what = h.Counts[Converged], "converged, and none is proved"
		rest = nil
	}
	rest = append(rest, phrase{h.Counts[Awaiting], "awaiting what a person has to give"}, phrase{h.Counts[Differs], "differ"}, phrase{h.Counts[Failed], "failed"}, phrase{h.Counts[Crashed], "crashed"},
		phrase{h.Counts[Held], "held and not touched"}, phrase{h.Counts[Waiting], "without a result yet"})
	if good == all && all > 0 {
		switch what {
		case "proved":
			what = "proved: the plan converged on each, and every proof in it held"
		case "converged, and none is proved":
			what = "converged; nothing is proved, for no proof ran or the plan has none"
		}
		if all == 1 {
			return "The one cluster is " + strings.Replace(what, " on each", "", 1) + "."
		}
		return fmt.Sprintf("All %s clusters are %s.", Number(all), what)
	}
	parts := []string{fmt.Sprintf("%s of %s are %s", Number(good), Clusters(all), what)}
	for _, p := range rest {
		if p.n > 0 {
			parts = append(parts, Number(p.n)+" "+p.text)
		}
	}
	return strings.Join(parts, "; ") + "."
}

// Words lists the counts of states that are not 0: "940 proved, 40 failed".
func Words(counts map[string]int) string {
	var parts []string
	for _, s := range States {
		if n := counts[s]; n > 0 {
			parts = append(parts, Number(n)+" "+s)
		}
	}
	return strings.Join(parts, ", ")
}

type phrase struct {
	n    int
	text string
}

// Rotation returns a line with the extremes of the fleet's rotation proofs; "" without
// one.
func (t Totals) Rotation() string {
	if t.Slowest == nil {
		return ""
	}
	return fmt.Sprintf("slowest switch %s (%s), %s of %s handshakes failed, greatest doubt %s (%s)",
		Seconds(t.Slowest.Verdict.Rotation.Switch), t.Slowest.Cluster, Number(t.Failures), Number(t.Handshakes),
		evidence.Percent(t.Doubtful.Verdict.Rotation.Doubt), t.Doubtful.Cluster)
}

// Number writes a count with separators: "182,223".
func Number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Clusters writes a number of clusters.
func Clusters(n int) string {
	if n == 1 {
		return "1 cluster"
	}
	return Number(n) + " clusters"
}
