package adminapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// BugsAnnotation on a GatewayProxy names the known upstream bugs that the
// stand-ins behind it show, separated by commas. It is read at run time:
//
//	kubectl -n ingress-apisix annotate gatewayproxy apisix-config \
//	  ztlab.ztplan.dev/upstream-bugs=one-worker-stale,drop-connections-on-reload
//
// A bug that takes a time is written name=duration. The bugs are in effect once
// GET [StatePath] of the gateway's Admin API names them.
//
// Removing a bug ends its consequences too: a worker that was left behind or is
// late takes the objects that it misses. Upstream only the next update of the object or a
// restart does that.
const BugsAnnotation = "ztlab.ztplan.dev/upstream-bugs"

// A Bug is a known fault of the real components that the stand-ins can show.
type Bug string

// The bugs.
const (
	// SecretNeverPushed: a changed Secret does not reach the gateway until its
	// ApisixTls changes or the controller is restarted
	// (apache/apisix-ingress-controller#2673, in 2.0.0-rc1 to rc5). The stand-in shows
	// the same for the listeners of a Gateway and for an Ingress.
	SecretNeverPushed Bug = "secret-update-never-pushed"
	// OneWorkerStale: the first worker loses an update of an object for good,
	// and takes the next update of that object (apache/apisix#13067, cause
	// apache/apisix#12514, in 3.14.0 to 3.17.0; seen on 3.16.0).
	//
	// Upstream an update is lost when the worker's watch on etcd is silent for
	// longer than two watch time-outs, so one silence loses one update. The
	// switch has a silence for every second update of an object: the first
	// update after it is set is lost, the second one is taken, the third one
	// is lost. Each object is counted by itself.
	//
	// So a proof with rotations: 1 that starts with equal workers meets the
	// stale worker in that rotation, and one with more rotations meets it in
	// the first, third and so on. A proof that starts while the worker is
	// behind meets it before its own rotation, and that rotation brings the
	// worker up to date. To start again with equal workers, remove the switch
	// and set it again, or restart the gateway.
	//
	// Objects that a new gateway reads while it starts are never lost.
	OneWorkerStale Bug = "one-worker-stale"
	// LateWorker: the first worker takes each update later than the others. It
	// takes a time, by default 50s: an etcd watch that is silent for less than
	// two watch time-outs delays an update by up to one (etcd.watch_timeout,
	// 50 s in APISIX; seen on 3.16.0 with 6 s). With a few milliseconds old
	// and new certificates interleave.
	LateWorker Bug = "late-worker"
	// DropConnections: a worker that takes an update resets its connections.
	DropConnections Bug = "drop-connections-on-reload"
	// EtcdUnanswered: etcd does not answer while the gateway starts. The
	// gateway is ready and has no configuration: it answers 404, refuses
	// handshakes with internal_error, and /status/ready is 503
	// (apache/apisix-helm-chart#1007; seen on 3.16.0). It takes a time, by
	// default 3s, after which certificates are served; routes follow as much
	// later in proportion as was seen: 15.5 s where certificates took 12 s.
	//
	// With an etcd that answers there is no such window: a restarted gateway
	// refuses connections for a quarter of a second and then serves.
	EtcdUnanswered Bug = "etcd-unanswered-at-start"
)

// allBugs maps each bug to its default time, zero for a bug without one.
func allBugs() map[Bug]time.Duration {
	return map[Bug]time.Duration{
		SecretNeverPushed: 0,
		OneWorkerStale:    0,
		LateWorker:        50 * time.Second,
		DropConnections:   0,
		EtcdUnanswered:    3 * time.Second,
	}
}

// Bugs are the bugs that are switched on, with their times. The zero value is
// none.
type Bugs struct {
	on map[Bug]time.Duration
}

// ParseBugs reads the value of [BugsAnnotation].
func ParseBugs(text string) (Bugs, error) {
	on := map[Bug]time.Duration{}
	known := allBugs()
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		name, value, timed := strings.Cut(item, "=")
		bug := Bug(name)
		duration, ok := known[bug]
		if name == "404-window-after-restart" {
			return Bugs{}, fmt.Errorf("bug %s is called %s now", name, EtcdUnanswered)
		}
		if !ok {
			return Bugs{}, fmt.Errorf("unknown bug %q: the known ones are %s", name, list(known))
		}
		if timed {
			if duration == 0 {
				return Bugs{}, fmt.Errorf("bug %s takes no time: %q", name, item)
			}
			parsed, err := time.ParseDuration(value)
			if err != nil || parsed <= 0 {
				return Bugs{}, fmt.Errorf("bug %s: %q is not a positive duration such as 3s", name, value)
			}
			duration = parsed
		}
		on[bug] = duration
	}
	return Bugs{on}, nil
}

func list(bugs map[Bug]time.Duration) string {
	var names []string
	for bug := range bugs {
		names = append(names, string(bug))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Has reports whether a bug is on.
func (b Bugs) Has(bug Bug) bool {
	_, ok := b.on[bug]
	return ok
}

// For returns the time of a bug that is on, else zero.
func (b Bugs) For(bug Bug) time.Duration { return b.on[bug] }

// With returns b with one more bug on.
func (b Bugs) With(bug Bug) Bugs {
	on := maps.Clone(b.on)
	if on == nil {
		on = map[Bug]time.Duration{}
	}
	on[bug] = allBugs()[bug]
	return Bugs{on}
}

// Equal reports whether the same bugs are on for the same times.
func (b Bugs) Equal(other Bugs) bool { return maps.Equal(b.on, other.on) }

// String returns the text that [ParseBugs] reads.
func (b Bugs) String() string {
	var items []string
	for bug, duration := range b.on {
		item := string(bug)
		if duration != 0 {
			item += "=" + duration.String()
		}
		items = append(items, item)
	}
	slices.Sort(items)
	return strings.Join(items, ",")
}

// MarshalJSON writes the bugs as the annotation has them.
func (b Bugs) MarshalJSON() ([]byte, error) { return json.Marshal(b.String()) }

// UnmarshalJSON is the inverse of MarshalJSON.
func (b *Bugs) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	parsed, err := ParseBugs(text)
	if err != nil {
		return err
	}
	*b = parsed
	return nil
}
