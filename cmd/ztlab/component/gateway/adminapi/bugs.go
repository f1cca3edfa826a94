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
// Removing it ends the bugs. A bug that takes a time is written name=duration.
// The bugs are in effect once GET [StatePath] of the gateway's Admin API names
// them.
const BugsAnnotation = "ztlab.ztplan.dev/upstream-bugs"

// A Bug is a known fault of the real components that the stand-ins can show.
type Bug string

// The bugs.
const (
	// SecretNeverPushed: a changed Secret does not reach the gateway until its
	// ApisixTls changes or the controller is restarted
	// (apache/apisix-ingress-controller#2673, in 2.0.0-rc1 to rc5).
	SecretNeverPushed Bug = "secret-update-never-pushed"
	// OneWorkerStale: the first worker takes no update any more, until it is
	// restarted (apache/apisix#12514, in 3.14.0 to 3.17.0).
	OneWorkerStale Bug = "one-worker-stale"
	// DropConnections: a worker that takes an update resets its connections.
	DropConnections Bug = "drop-connections-on-reload"
	// Window404: after a restart the gateway is ready and has no configuration
	// yet (apache/apisix-helm-chart#1007). Takes a time, by default 3s.
	Window404 Bug = "404-window-after-restart"
)

// defaultWindow is how long [Window404] lasts when nothing else is said.
const defaultWindow = 3 * time.Second

// allBugs maps each bug to its default time, zero for a bug without one.
func allBugs() map[Bug]time.Duration {
	return map[Bug]time.Duration{
		SecretNeverPushed: 0,
		OneWorkerStale:    0,
		DropConnections:   0,
		Window404:         defaultWindow,
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

// Has says whether a bug is on.
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

// Equal says whether the same bugs are on for the same times.
func (b Bugs) Equal(other Bugs) bool { return maps.Equal(b.on, other.on) }

// String is what [ParseBugs] reads.
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

// UnmarshalJSON reads what MarshalJSON writes.
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
