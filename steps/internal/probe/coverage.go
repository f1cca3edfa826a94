package probe

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certs"
)

// A group is one or more servers that share the connections to some endpoints,
// with the counts of the handshakes there. With one stale server among them
// each new handshake shows it with a probability of at least 1/servers.
type group struct {
	name    string
	members []int // indexes for Record.at
	servers int
	pod     bool // it is one pod, which clients reach through the Service alone
	gone    bool // the pod is not behind the Service any more

	// waving is true while a wave is under way; pause is how long the next one waits.
	waving bool
	pause  time.Duration

	covered
}

// covered counts the handshakes of a group for one certificate. Times count from
// the record's beginning.
type covered struct {
	target string        // its fingerprint; "" while there is none
	any    bool          // it was seen
	first  time.Duration // when it was seen first
	since  time.Duration // when another one was seen last
	row    int           // handshakes that showed it and were begun after since
	others int           // handshakes that showed another one after first
	total  int           // handshakes after first
}

// doubt returns the chance that a stale server was missed.
func (g *group) doubt() float64 { return evidence.Doubt(g.servers, g.row, g.others) }

// missing returns how many more handshakes in a row bring the doubt below limit.
func (g *group) missing(limit float64) int {
	if g.gone {
		return 0
	}
	return max(0, evidence.LeastRow(g.servers, g.others, limit)-g.row)
}

// aim begins to count for another certificate. Handshakes that showed it already
// do not count: the row begins with the next one.
func (g *group) aim(r *Record, target string) {
	if g.target == target {
		return
	}
	g.covered = covered{target: target, since: -1}
	g.pause = 0
	if target == "" {
		return
	}
	for _, one := range g.runs(r) {
		switch shown := one.first + one.took; {
		case g.other(one):
			g.since = max(g.since, shown)
		case one.cert == target && (!g.any || shown < g.first):
			g.any, g.first = true, shown
		}
	}
	g.recount(r)
}

// recount counts the handshakes since the certificate was first seen.
func (g *group) recount(r *Record) {
	g.others, g.total = 0, 0
	for _, one := range g.runs(r) {
		switch shown := one.first + one.took; {
		case !g.any || shown < g.first:
		case g.other(one) && shown > g.first:
			g.others += one.count
			fallthrough
		case one.cert != "":
			g.total += one.count
		}
	}
}

// other reports whether a probe speaks against the servers of the group: it
// showed another certificate, or a pod refused a handshake, which no client asks
// of it.
func (g *group) other(one run) bool {
	return one.cert != "" && one.cert != g.target || one.shown != "" && one.shown != g.target || g.pod && one.class != "" && one.class != "dial"
}

func (g *group) runs(r *Record) []run {
	var list []run
	for _, i := range g.members {
		list = append(list, r.at(i).trace.runs...)
	}
	return list
}

// add counts a probe that the trace holds already. Another certificate ends the
// row, whenever it was shown: no handshake counts for two rows. The first one that
// shows the certificate begins the first row and does not count for it: its result
// was certain.
func (g *group) add(r *Record, one run) {
	shown := one.first + one.took
	switch {
	case g.target == "":
	case g.other(one):
		g.row, g.since = 0, max(g.since, shown)
		if g.any && shown > g.first {
			g.others++
			g.total++
		}
	case one.cert == g.target:
		g.total++
		if g.any && one.first > g.since {
			g.row++
		}
		if !g.any || shown < g.first {
			g.any, g.first = true, shown
			g.recount(r)
		}
	}
}

// lacks renders how many handshakes in a row a group still needs.
func (g *group) lacks(limit float64) string {
	text := fmt.Sprintf("%s showed it in the newest %d handshakes in a row; %d are needed before a stale server among %d would have been seen",
		g.name, g.row, evidence.LeastRow(g.servers, g.others, limit), g.servers)
	if g.others > 0 {
		text += fmt.Sprintf(" (%d handshakes showed another certificate in between)", g.others)
	}
	return text
}

// Aim begins to count for another certificate, nil for none.
func (r *Record) Aim(target *x509.Certificate) {
	r.target = ""
	if target != nil {
		r.target = certs.Fingerprint(target)
	}
	for _, g := range r.groups {
		g.aim(r, r.target)
	}
}

// Aimed reports whether the record counts for cert.
func (r *Record) Aimed(cert *x509.Certificate) bool { return r.target == certs.Fingerprint(cert) }

// doubtful lists the groups whose doubt is too large.
func (r *Record) doubtful() []*group {
	var list []*group
	for _, g := range r.groups {
		if g.missing(r.limits.MaxDoubt) > 0 {
			list = append(list, g)
		}
	}
	return list
}

// Lacking renders, for each group whose doubt is too large, how many handshakes in
// a row it still needs.
func (r *Record) Lacking() []string {
	var parts []string
	for _, g := range r.doubtful() {
		parts = append(parts, g.lacks(r.limits.MaxDoubt))
	}
	return parts
}

// Doubt returns the largest doubt of all groups.
func (r *Record) Doubt() float64 {
	doubt, _ := r.leastCertain()
	return doubt
}

// leastCertain returns the largest doubt of all groups, and the group.
func (r *Record) leastCertain() (most float64, where *group) {
	for _, g := range r.groups {
		if d := g.doubt(); !g.gone && (where == nil || d > most) {
			most, where = d, g
		}
	}
	return most, where
}

// Certainty renders how sure it is that no server was left behind.
func (r *Record) Certainty() string {
	doubt, g := r.leastCertain()
	return fmt.Sprintf("%d handshakes in a row at %s; a stale server among %d would have been seen with %s: %s",
		g.row, g.name, g.servers, evidence.Percent(1-doubt), r.servers)
}

// longestRow returns the longest row of all groups.
func (r *Record) longestRow() int {
	most := 0
	for _, g := range r.groups {
		most = max(most, g.row)
	}
	return most
}
