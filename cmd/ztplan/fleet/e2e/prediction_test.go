package e2e

import (
	"container/heap"
	"time"
)

// The prediction is of the time that the waves of a fleet take on the Job controller of a
// hub, for sizes that no test machine holds.
//
// # The model
//
// One controller works through one Job at a time. Read in
// k8s.io/kubernetes/pkg/controller/job/job_controller.go, v1.36:
//
//   - An event of a pod leads to a sync of its Job one second later
//     (SyncJobBatchPeriod); later ones are in the same sync.
//   - A sync first creates pods while there is room, at most 500 (MaxPodCreateDeletePerSync),
//     one request each. Then it takes the finalizer off each pod that ended, one request
//     each, with the status before and after it.
//   - Requests go through the client's limiter: 20 a second and bursts of 30, unless the
//     controller manager has --kube-api-qps and --kube-api-burst. So a pod costs two
//     requests, and a hub does at most about 9 pods a second.
//   - A failed index is tried again 10 s after its failure, and twice as long after each
//     further one, at most 10 min (DefaultJobPodFailureBackOff, MaxJobPodFailureBackOff).
//
// The time from a pod's creation to its start (scheduler, image, kubelet) is given, and so
// is how long a run takes. The API server and etcd are taken to be as fast as the limiter
// lets the controller be.
//
// # Several hubs
//
// Hubs share nothing. A fleet that is divided among n of them takes as long as its nth
// part; ztplan fleet verify merges the reports.

// Facts of the Job controller.
const (
	batch      = time.Second
	mostASync  = 500
	backoff    = 10 * time.Second
	maxBackoff = 10 * time.Minute
)

// requestLimits are those of the controller manager's client.
type requestLimits struct {
	QPS   float64
	Burst int
}

// defaultLimits are the limits of a controller manager without flags for them.
func defaultLimits() requestLimits { return requestLimits{QPS: 20, Burst: 30} }

// A waveLoad is a wave.
type waveLoad struct {
	Clusters int
	Parallel int
	Run      time.Duration // of a pod, from its start to its end
	Start    time.Duration // from a pod's creation to its start
	Retries  int
	// Failing is how many of the clusters fail every try. They are the first ones.
	Failing int
}

// A prediction is that of a wave.
type prediction struct {
	Wall     time.Duration // until the Job is complete
	Ideal    time.Duration // if nothing but the runs took time, and none failed
	Requests int           // of the controller
}

// overhead is the part of the time that is not the runs': 0.1 for ten percent more.
func (p prediction) overhead() float64 { return float64(p.Wall)/float64(p.Ideal) - 1 }

// predict simulates the controller.
func predict(l requestLimits, load waveLoad) prediction {
	rounds := (load.Clusters + load.Parallel - 1) / load.Parallel
	s := simulation{limits: l, load: load, tokens: float64(l.Burst), out: prediction{Ideal: time.Duration(rounds) * load.Run}}
	for s.done < load.Clusters {
		s.sync()
		s.wait()
	}
	// The conditions SuccessCriteriaMet and Complete are two syncs.
	s.now += batch
	s.request()
	s.out.Wall = s.now
	return s.out
}

type simulation struct {
	limits requestLimits
	load   waveLoad
	now    time.Duration
	tokens float64       // of the limiter
	filled time.Duration // when they were counted

	begun   int    // clusters that had a pod
	done    int    // clusters that are settled or failed for good, and counted
	running events // pods, by their end
	delayed events // clusters that are tried again, by the end of their back-off
	out     prediction
}

// An event is something that happens to a cluster.
type event struct {
	at      time.Duration
	failing bool
	tries   int
}

// request waits for the limiter.
func (s *simulation) request() {
	s.out.Requests++
	s.tokens = min(float64(s.limits.Burst), s.tokens+s.limits.QPS*(s.now-s.filled).Seconds())
	if s.tokens < 1 {
		s.now += time.Duration((1 - s.tokens) / s.limits.QPS * float64(time.Second))
		s.tokens = 1
	}
	s.tokens--
	s.filled = s.now
}

// sync creates pods while there is room and counts those that ended.
func (s *simulation) sync() {
	var ended []event
	for len(s.running) > 0 && s.running[0].at <= s.now {
		ended = append(ended, heap.Pop(&s.running).(event))
	}
	for _, e := range ended {
		if e.failing && e.tries <= s.load.Retries {
			heap.Push(&s.delayed, event{at: e.at + min(backoff<<(e.tries-1), maxBackoff), failing: true, tries: e.tries})
		}
	}
	began := s.now
	for range min(s.load.Parallel-len(s.running), mostASync) {
		e, ok := s.next(began)
		if !ok {
			break
		}
		s.request()
		e.at = s.now + s.load.Start + s.load.Run
		heap.Push(&s.running, e)
	}
	if len(ended) > 0 {
		s.request() // the status, before
	}
	for _, e := range ended {
		s.request()
		if !e.failing || e.tries > s.load.Retries {
			s.done++
		}
	}
	s.request() // the status, after
}

// next returns a cluster that can have a pod at a time.
func (s *simulation) next(at time.Duration) (event, bool) {
	if len(s.delayed) > 0 && s.delayed[0].at <= at {
		e := heap.Pop(&s.delayed).(event)
		e.tries++
		return e, true
	}
	if s.begun == s.load.Clusters {
		return event{}, false
	}
	s.begun++
	return event{failing: s.begun <= s.load.Failing, tries: 1}, true
}

// wait goes on to the next sync: a second after the next thing that happens, which may
// have happened during the last sync.
func (s *simulation) wait() {
	next := time.Duration(-1)
	if len(s.running) > 0 {
		next = s.running[0].at + batch
	}
	if len(s.delayed) > 0 && (next < 0 || s.delayed[0].at < next) && len(s.running) < s.load.Parallel {
		next = s.delayed[0].at
	}
	if room := s.load.Parallel - len(s.running); room > 0 && s.begun < s.load.Clusters {
		next = s.now + batch // a sync creates a bounded number
	}
	s.now = max(s.now, next)
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}
