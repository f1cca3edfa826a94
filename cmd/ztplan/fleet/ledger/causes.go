package ledger

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Group is clusters that are not settled for one cause.
type Group struct {
	State, Cause, Hint string
	Step, Place        string // that failed; empty if none did
	Key                string // of the group, whichever clusters are in it
	Names              []string
	Pod                string // of the first cluster; empty if none ran
}

// Causes groups the clusters that are not settled by their cause, the largest group
// first. Names, addresses and durations within a cause do not keep two apart: where they
// differ, the cause of the group has an ellipsis.
func Causes(leaves []Leaf) []Group {
	index := make(map[string]int)
	var out []Group
	for _, l := range leaves {
		if l.Settled() || l.State == Waiting {
			continue
		}
		g := Group{State: l.State, Cause: l.Cause, Pod: l.Pod}
		if v := l.Verdict; v != nil {
			g.Cause, g.Hint, g.Step, g.Place = v.Cause, v.Hint, v.Step, v.Place
		}
		if g.Cause == "" {
			g.Cause = "no cause is on record"
			if g.State == Differs {
				g.Cause = "differs from the plan"
			}
		}
		g.Cause, _, _ = strings.Cut(g.Cause, "\n")
		general := generalise(g.Cause, l.Cluster)
		g.Key = g.Step + "\x00" + general
		key := g.State + "\x00" + g.Key
		i, ok := index[key]
		if !ok {
			i = len(out)
			index[key] = i
			out = append(out, g)
		}
		if out[i].Cause != g.Cause {
			out[i].Cause = general
		}
		out[i].Names = append(out[i].Names, l.Cluster)
	}
	slices.SortStableFunc(out, func(a, b Group) int { return cmp.Compare(len(b.Names), len(a.Names)) })
	return out
}

// Open reports that nothing went wrong with the clusters, and something is left to do.
func (g Group) Open() bool { return g.State == Held || g.State == Differs || g.State == Awaiting }

// Text is the cause with the step that failed.
func (g Group) Text() string {
	if g.Step == "" {
		return g.Cause
	}
	return "step " + g.Step + ": " + g.Cause
}

// Clusters names at most n of the group's clusters and how many more there are.
func (g Group) Clusters(n int) string {
	if len(g.Names) <= n {
		return strings.Join(g.Names, ", ")
	}
	return fmt.Sprintf("%s and %s more", strings.Join(g.Names[:n], ", "), Number(len(g.Names)-n))
}

// particular matches the parts that differ between clusters in messages about the same
// thing: a word with a UUID, the host of a URL, an IP address, the name that was looked
// up, a digest, and a duration.
var particular = regexp.MustCompile(strings.Join([]string{
	`[^\s"'()]*[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}[^\s"'():]*`,
	`https?://(?:\[[^\]\s]*\]|[^\s"'/:]+)(?::\d+)?`,
	`\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?::\d+)?`,
	`\[[0-9a-fA-F:]{2,}\](?::\d+)?`,
	`lookup [^\s:]+`,
	`\b[0-9a-f]{16,}\b`,
	`\b(?:\d+h)?(?:\d+m)?\d+(?:\.\d+)?(?:ms|µs|s)\b`,
}, "|"))

// generalise replaces the parts of a cause that belong to one cluster by an ellipsis.
func generalise(cause, cluster string) string {
	const ellipsis = "…"
	cause = particular.ReplaceAllStringFunc(cause, func(s string) string {
		switch {
		case strings.HasPrefix(s, "lookup "):
			return "lookup " + ellipsis
		case strings.HasPrefix(s, "http"):
			scheme, _, _ := strings.Cut(s, "//")
			return scheme + "//" + ellipsis
		}
		return ellipsis
	})
	var b strings.Builder
	for cluster != "" {
		i := strings.Index(cause, cluster)
		if i < 0 {
			break
		}
		before, _ := utf8.DecodeLastRuneInString(cause[:i])
		after, _ := utf8.DecodeRuneInString(cause[i+len(cluster):])
		b.WriteString(cause[:i])
		if part(before) || part(after) {
			b.WriteString(cluster) // within a longer word
		} else {
			b.WriteString(ellipsis)
		}
		cause = cause[i+len(cluster):]
	}
	return b.String() + cause
}

// part reports whether a character continues a word.
func part(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }
