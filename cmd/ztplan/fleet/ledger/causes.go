package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Group is clusters that failed for one cause.
type Group struct {
	State, Cause, Hint, Step string
	Names                    []string
}

// Causes groups the clusters that are not settled by their cause, the largest group
// first. The name of the cluster within a cause does not keep two apart.
func Causes(leaves []Leaf) []Group {
	index := make(map[string]int)
	var out []Group
	for _, l := range leaves {
		if l.Settled() {
			continue
		}
		g := Group{State: l.State, Cause: l.Cause}
		if v := l.Verdict; v != nil {
			g.Cause, g.Hint, g.Step = v.Cause, v.Hint, v.Step
			if v.Step != "" {
				g.Cause = "step " + v.Step + ": " + v.Cause
			}
		}
		g.Cause, _, _ = strings.Cut(g.Cause, "\n")
		g.Cause = strings.ReplaceAll(g.Cause, l.Cluster, "CLUSTER")
		key := g.State + "\x00" + g.Cause
		i, ok := index[key]
		if !ok {
			i = len(out)
			index[key] = i
			out = append(out, g)
		}
		out[i].Names = append(out[i].Names, l.Cluster)
	}
	slices.SortStableFunc(out, func(a, b Group) int { return cmp.Compare(len(b.Names), len(a.Names)) })
	return out
}

// Clusters names at most n of the group's clusters and how many more there are.
func (g Group) Clusters(n int) string {
	if len(g.Names) <= n {
		return strings.Join(g.Names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(g.Names[:n], ", "), len(g.Names)-n)
}
