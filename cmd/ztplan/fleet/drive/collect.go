package drive

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/hub"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// A Result is what is known of the clusters of a run.
type Result struct {
	Leaves []ledger.Leaf
	Tries  map[string]hub.Try // by cluster: the one that counts
	Waves  []hub.Wave         // of the last round
}

// Collect reads what became of every cluster of a run, without the evidence itself.
func Collect(ctx context.Context, h *hub.Hub, rounds []record.Run) (*Result, error) {
	r := &Result{Tries: make(map[string]hub.Try)}
	leaves := make(map[string]*ledger.Leaf)
	tries, err := h.Tries(ctx, rounds[0])
	if err != nil {
		return nil, err
	}
	pods, err := podsOf(ctx, h, rounds[0])
	if err != nil {
		return nil, err
	}
	for _, round := range rounds {
		names, err := h.Names(ctx, round)
		if err != nil {
			return nil, err
		}
		r.Waves = nil
		for _, w := range round.Waves {
			if w.Clusters == 0 {
				continue
			}
			state, err := h.Wave(ctx, round, w)
			if err != nil {
				return nil, err
			}
			r.Waves = append(r.Waves, state)
			for i, name := range names[w.Name] {
				if name == "" {
					return nil, fmt.Errorf("wave %s of run %s: cluster %d has no entry", w.Name, round.ID, i)
				}
				last := pods.last[indexKey(state.Job, i)]
				l := &ledger.Leaf{Cluster: name, Wave: w.Name, State: ledger.Waiting, Pod: last.Name}
				switch {
				case state.Held[i]:
					l.State, l.Cause = ledger.Held, last.Cause()
				case state.Failed[i] && last.Verdict != nil && !last.Verdict.Settled():
					l.State, l.Verdict = ledger.StateOf(last.Verdict), last.Verdict
				case state.Failed[i]:
					l.State, l.Cause = ledger.Crashed, last.Cause()
				}
				leaves[name] = l
			}
		}
	}
	for _, t := range tries {
		l := leaves[t.Verdict.Cluster]
		if l == nil {
			return nil, fmt.Errorf("ConfigMap %s: cluster %q is not in the run", t.ConfigMap, t.Verdict.Cluster)
		}
		if said := pods.byName[t.ConfigMap].Verdict; said != nil && said.Evidence != t.Verdict.Evidence {
			return nil, fmt.Errorf("ConfigMap %s is not the evidence that its pod wrote: its SHA-256 is %s, the pod said %s", t.ConfigMap, t.Verdict.Evidence, said.Evidence)
		}
		l.Tries++
		if best, ok := r.Tries[t.Verdict.Cluster]; !ok || better(t, best) {
			r.Tries[t.Verdict.Cluster] = t
		}
	}
	for name, l := range leaves {
		if t, ok := r.Tries[name]; ok {
			l.State, l.Cause, l.Verdict, l.Pod = ledger.StateOf(&t.Verdict), "", &t.Verdict, t.ConfigMap
		}
		r.Leaves = append(r.Leaves, *l)
	}
	slices.SortFunc(r.Leaves, func(a, b ledger.Leaf) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return r, nil
}

// better reports whether a try counts instead of another one: one that settled the
// cluster, then the later one.
func better(t, than hub.Try) bool {
	if t.Verdict.Settled() != than.Verdict.Settled() {
		return t.Verdict.Settled()
	}
	return cmp.Or(cmp.Compare(t.Round, than.Round), t.Verdict.Ended.Compare(than.Verdict.Ended)) > 0
}

// Owed returns the names of the clusters that a resumption takes up.
func (r *Result) Owed() map[string]bool {
	out := make(map[string]bool)
	for _, l := range r.Leaves {
		if !l.Settled() {
			out[l.Cluster] = true
		}
	}
	return out
}

// podList is the pods of a run that are still there.
type podList struct {
	byName map[string]hub.Pod
	last   map[string]hub.Pod // by Job and index
}

func podsOf(ctx context.Context, h *hub.Hub, run record.Run) (*podList, error) {
	p := &podList{byName: make(map[string]hub.Pod), last: make(map[string]hub.Pod)}
	opts := metav1.ListOptions{LabelSelector: labels.Set{record.LabelFleet: run.Fleet, record.LabelRun: run.ID, record.LabelKind: "pod"}.String(), Limit: 500}
	for {
		list, err := h.Client.CoreV1().Pods(h.Namespace).List(ctx, opts)
		if err != nil {
			return nil, fmt.Errorf("the hub: %w", err)
		}
		for i := range list.Items {
			p.add(&list.Items[i])
		}
		if opts.Continue = list.Continue; opts.Continue == "" {
			return p, nil
		}
	}
}

func (p *podList) add(pod *corev1.Pod) {
	out := hub.PodOf(pod)
	p.byName[out.Name] = out
	key := indexKey(pod.Labels["batch.kubernetes.io/job-name"], out.Index)
	if have, ok := p.last[key]; !ok || out.Created.After(have.Created) {
		p.last[key] = out
	}
}

func indexKey(job string, index int) string { return fmt.Sprintf("%s/%d", job, index) }
