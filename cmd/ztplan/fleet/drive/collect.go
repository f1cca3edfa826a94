package drive

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/hub"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// A Result has the outcomes of the clusters of a run.
type Result struct {
	Leaves []ledger.Leaf
	Tries  map[string]hub.Try // by cluster: the one whose evidence counts
	Waves  []hub.Wave         // of the last round
}

// Collect reads the outcome of every cluster of a run, without the evidence itself.
//
// Pods may add evidence for any cluster, so that the Job and the pod decide: a cluster is
// settled when its Job says that its index succeeded, and the evidence that counts is the
// one of its last pod, with the verdict that the node keeps of it.
func Collect(ctx context.Context, h *hub.Hub, rounds []record.Run) (*Result, error) {
	// The Jobs are read first, so that the pods and the evidence that they count are there
	// when these are read.
	names, waves := make([]map[string][]string, len(rounds)), make([][]hub.Wave, len(rounds))
	for i, round := range rounds {
		var err error
		if names[i], err = h.Names(ctx, round); err != nil {
			return nil, err
		}
		for _, w := range round.Waves {
			if w.Clusters == 0 {
				continue
			}
			state, err := h.Wave(ctx, round, w)
			if err != nil {
				return nil, err
			}
			waves[i] = append(waves[i], state)
		}
	}
	pods, err := podsOf(ctx, h, rounds[0])
	if err != nil {
		return nil, err
	}
	tries, err := triesOf(ctx, h, rounds[0])
	if err != nil {
		return nil, err
	}
	r := &Result{Tries: make(map[string]hub.Try), Waves: waves[len(rounds)-1]}
	leaves := make(map[string]*ledger.Leaf)
	for i, round := range rounds {
		for _, w := range waves[i] {
			for index, name := range names[i][w.Name] {
				if name == "" {
					return nil, fmt.Errorf("wave %s of run %s: cluster %d has no entry", w.Name, round.ID, index)
				}
				l := &ledger.Leaf{Cluster: name, Wave: w.Name}
				if before := leaves[name]; before != nil {
					l.Tries = before.Tries
				}
				for _, p := range pods.of[indexKey(w.Job, index)] {
					if _, ok := tries.of[p.Name]; ok {
						l.Tries++
					}
				}
				delete(r.Tries, name)
				if t := judge(l, round, w, index, pods, tries); t != nil {
					r.Tries[name] = *t
				}
				leaves[name] = l
			}
		}
	}
	for _, l := range leaves {
		r.Leaves = append(r.Leaves, *l)
	}
	slices.SortFunc(r.Leaves, func(a, b ledger.Leaf) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return r, nil
}

// judge gives a leaf its state in a round, and returns the try whose evidence counts, if
// there is one.
func judge(l *ledger.Leaf, round record.Run, w hub.Wave, index int, pods *podList, tries *tryList) *hub.Try {
	pod, known := pods.last(w.Job, index)
	l.State, l.Pod = ledger.Waiting, pod.Name
	switch {
	case w.Held[index]:
		l.State, l.Cause = ledger.Held, pod.Cause()
		return nil
	case w.Succeeded[index]:
	case w.Failed[index]:
		l.State, l.Cause = ledger.Crashed, pod.Cause()
	case known && pod.Exit >= 0:
		l.Cause = pod.Cause() // it was interrupted, or is tried again
		return nil
	default:
		return nil
	}
	t, kept := tries.of[pod.Name]
	verdict := pod.Verdict
	if !known {
		// Its pod is gone: the evidence itself says which cluster it is of.
		if t, kept = tries.last[clusterKey(round.Round, l.Cluster)]; kept {
			verdict, l.Pod = &t.Verdict, t.ConfigMap
		}
	}
	switch {
	case verdict == nil && w.Failed[index]:
		return nil
	case verdict == nil || w.Succeeded[index] && verdict.Evidence == "":
		l.State, l.Cause = ledger.Failed, "it succeeded, and there is no evidence of it on the hub"
		return nil
	case verdict.Cluster != l.Cluster || verdict.Settled() != w.Succeeded[index]:
		l.State, l.Cause = ledger.Failed, fmt.Sprintf("the verdict of pod %s is not one of this cluster, or not how the pod ended", pod.Name)
		return nil
	case verdict.Evidence != "" && !kept:
		l.State, l.Cause = ledger.Failed, fmt.Sprintf("its evidence is lost: there is no ConfigMap %s", pod.Name)
		return nil
	case verdict.Evidence != "" && !bytes.Equal(t.Verdict.Encode(), verdict.Encode()):
		l.State, l.Cause = ledger.Failed, fmt.Sprintf("its evidence is refused: ConfigMap %s has the verdict of evidence with SHA-256 %s, and its pod said %s", t.ConfigMap, t.Verdict.Evidence, verdict.Evidence)
		return nil
	}
	l.State, l.Cause, l.Verdict = ledger.StateOf(verdict), "", verdict
	if verdict.Evidence == "" {
		return nil
	}
	return &t
}

// tryList is the evidence of a run that is on the hub.
type tryList struct {
	of   map[string]hub.Try // by ConfigMap, which is named as the pod
	last map[string]hub.Try // by round and cluster
}

func triesOf(ctx context.Context, h *hub.Hub, run record.Run) (*tryList, error) {
	list, err := h.Tries(ctx, run)
	return newTryList(list), err
}

func newTryList(list []hub.Try) *tryList {
	l := &tryList{of: make(map[string]hub.Try), last: make(map[string]hub.Try)}
	for _, t := range list {
		l.of[t.ConfigMap] = t
		key := clusterKey(t.Verdict.Round, t.Verdict.Cluster)
		if have, ok := l.last[key]; !ok || t.Verdict.Ended.After(have.Verdict.Ended) {
			l.last[key] = t
		}
	}
	return l
}

func clusterKey(round int, cluster string) string { return fmt.Sprintf("%d/%s", round, cluster) }

// Over reports whether no pod of the last round runs and none will: all its waves are
// over, or one of them holds those after it. stopped reports whether one holds them or will.
func (r *Result) Over() (over, stopped bool) {
	for _, w := range r.Waves {
		switch holds := w.Holds() != ""; {
		case !w.Rests():
			return false, holds
		case holds:
			return true, true
		}
	}
	return true, false
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

// podList is the pods of a run that are still there, the oldest first, by Job and index.
type podList struct {
	of map[string][]hub.Pod
}

func podsOf(ctx context.Context, h *hub.Hub, run record.Run) (*podList, error) {
	p := &podList{of: make(map[string][]hub.Pod)}
	opts := metav1.ListOptions{LabelSelector: labels.Set{record.LabelFleet: run.Fleet, record.LabelRun: run.ID, record.LabelKind: "pod"}.String(), Limit: 500}
	for {
		list, err := h.Client.CoreV1().Pods(h.Namespace).List(ctx, opts)
		if err != nil {
			return nil, fmt.Errorf("the hub: %w", err)
		}
		for i := range list.Items {
			pod := hub.PodOf(&list.Items[i])
			key := indexKey(list.Items[i].Labels[batchv1.JobNameLabel], pod.Index)
			p.of[key] = append(p.of[key], pod)
		}
		if opts.Continue = list.Continue; opts.Continue == "" {
			break
		}
	}
	for _, of := range p.of {
		slices.SortStableFunc(of, func(a, b hub.Pod) int { return a.Created.Compare(b.Created) })
	}
	return p, nil
}

func indexKey(job string, index int) string { return fmt.Sprintf("%s/%d", job, index) }

// last returns the last pod of an index.
func (p *podList) last(job string, index int) (pod hub.Pod, known bool) {
	of := p.of[indexKey(job, index)]
	if len(of) == 0 {
		return hub.Pod{Exit: -1}, false
	}
	return of[len(of)-1], true
}
