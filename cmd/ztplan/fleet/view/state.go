package view

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/drive"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/hub"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/engine/display"
)

// A Fleet is the round of a run that is shown.
type Fleet struct {
	Run   record.Run
	Names map[string][]string // of the clusters of each wave, by index
}

// name returns the name of a cluster of a wave, as it is shown.
func (f *Fleet) name(wave string, index int) string {
	if names := f.Names[wave]; index >= 0 && index < len(names) {
		return display.Text(names[index])
	}
	return fmt.Sprintf("cluster %d", index)
}

// again is the state of a cluster that failed and is tried again.
const again = "to be tried again"

// Counts are the numbers of clusters of a wave, by state.
type Counts struct {
	Clusters    int `json:"clusters"`
	Settled     int `json:"settled"`
	Running     int `json:"running"`
	Again       int `json:"again"` // failed and tried again
	Failed      int `json:"failed"`
	Held        int `json:"held"`
	ToCome      int `json:"toCome"`
	CannotStart int `json:"cannotStart"` // of those to come
}

func countsOf(s *drive.Snapshot) Counts {
	c := Counts{Clusters: s.Clusters, Settled: len(s.Succeeded), Running: len(s.Running), Failed: len(s.Failed), Held: len(s.Held), CannotStart: len(s.Waiting)}
	running := make(map[int]bool, len(s.Running))
	for _, p := range s.Running {
		running[p.Index] = true
	}
	for _, p := range lastFailures(s) {
		if !s.Failed[p.Index] && !running[p.Index] {
			c.Again++
		}
	}
	c.ToCome = max(0, c.Clusters-c.Settled-c.Running-c.Again-c.Failed-c.Held)
	return c
}

// lastFailures returns the newest failed pod of each cluster that is not settled.
func lastFailures(s *drive.Snapshot) []hub.Pod {
	seen := make(map[int]bool)
	var out []hub.Pod
	for _, p := range s.Failing {
		if !seen[p.Index] && !s.Succeeded[p.Index] && !s.Held[p.Index] {
			seen[p.Index] = true
			out = append(out, p)
		}
	}
	return out
}

// causes groups the failures of a wave.
func (f *Fleet) causes(s *drive.Snapshot) []ledger.Group {
	var leaves []ledger.Leaf
	for _, p := range lastFailures(s) {
		state := again
		if s.Failed[p.Index] {
			state = ledger.Failed
		}
		leaves = append(leaves, ledger.Leaf{Cluster: f.name(s.Name, p.Index), State: state, Verdict: p.Verdict, Cause: p.Cause(), Pod: p.Name})
	}
	slices.SortFunc(leaves, func(a, b ledger.Leaf) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return display.Copy(ledger.Causes(leaves))
}

// text lists the numbers that are not 0.
func (c Counts) text() string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{c.Settled, "settled"}, {c.Running, "running"}, {c.Again, again}, {c.Failed, "failed"}, {c.Held, "held"}, {c.ToCome, "to come"}} {
		if p.n > 0 {
			parts = append(parts, ledger.Number(p.n)+" "+p.word)
		}
	}
	if len(parts) == 0 {
		return "no clusters"
	}
	return strings.Join(parts, ", ")
}

// holds returns why no further cluster of a wave is touched; "" if one may be.
func holds(s *drive.Snapshot) string {
	switch {
	case s.Stopped != "":
		return "stopped: " + display.Text(s.Stopped)
	case s.Invalid != "":
		return "the pods found the plan invalid: " + display.Text(s.Invalid)
	case s.Exceeded():
		return fmt.Sprintf("no further cluster is touched: %d of %d clusters failed, and %s may", len(s.Failed), s.Clusters, s.Limit)
	}
	return ""
}

// waiting groups the pods of a wave that cannot start by their reason, the largest group
// first.
func waiting(s *drive.Snapshot) []string {
	counts, first := make(map[string]int), make(map[string]string)
	for _, p := range s.Waiting {
		reason, _, _ := strings.Cut(p.Reason, "\n")
		// Messages of a kubelet name the pod.
		reason = strings.ReplaceAll(reason, p.Name, "…")
		if counts[reason]++; counts[reason] == 1 {
			first[reason] = p.Name
		}
	}
	var reasons []string
	for r := range counts {
		reasons = append(reasons, r)
	}
	slices.SortFunc(reasons, func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	for i, r := range reasons {
		text := "pod " + first[r] + " cannot start"
		if n := counts[r]; n > 1 {
			text = fmt.Sprintf("%s pods cannot start", ledger.Number(n))
		}
		reasons[i] = display.Text(text + ": " + r)
	}
	return reasons
}

// WaveLine describes a wave in one line.
func WaveLine(s drive.Snapshot) string {
	text := fmt.Sprintf("wave %s: %s", s.Name, countsOf(&s).text())
	if why := holds(&s); why != "" {
		text += "; " + why
	} else if !s.Soaking.IsZero() {
		text += "; soaking until " + s.Soaking.Local().Format(time.TimeOnly)
	}
	for _, w := range waiting(&s) {
		text += "; " + w
	}
	return text
}

// A pace is how long clusters take, by those that are done.
type pace struct {
	seen  map[string]bool // pods
	total time.Duration
}

func (p *pace) add(pods []hub.Pod) {
	for _, pod := range pods {
		if pod.Verdict == nil || p.seen[pod.Name] {
			continue
		}
		if took := pod.Verdict.Ended.Sub(pod.Created); took > 0 {
			p.seen[pod.Name] = true
			p.total += took
		}
	}
}

func (p *pace) mean() time.Duration {
	if len(p.seen) == 0 {
		return 0
	}
	return p.total / time.Duration(len(p.seen))
}

// left estimates how long a round still takes: the wave of the snapshot and those after
// it. It is not known before a cluster is done.
func (p *pace) left(run record.Run, s *drive.Snapshot, now time.Time) (left time.Duration, ok bool) {
	each := p.mean()
	if each == 0 || s.Stopped != "" {
		return 0, false
	}
	c := countsOf(s)
	for _, pod := range s.Running {
		left = max(left, each-now.Sub(pod.Created))
	}
	if holds(s) != "" {
		return left, true
	}
	left += rounds(c.ToCome+c.Again, s.Parallel, each)
	soak := s.Soak.Std()
	if s.Over {
		soak = max(0, s.Ended.Add(soak).Sub(now))
	}
	found := false
	for _, w := range run.Waves {
		if found && w.Clusters > 0 {
			left += soak + rounds(w.Clusters, w.Parallel, each)
			soak = w.Soak.Std()
		}
		found = found || w.Name == s.Name
	}
	return left, true
}

// rounds is how long n clusters take, so many at once.
func rounds(n, parallel int, each time.Duration) time.Duration {
	return time.Duration(math.Ceil(float64(n)/float64(max(parallel, 1)))) * each
}
