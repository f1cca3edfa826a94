package assertrotation

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// A group is one or more servers that share the connections to some addresses,
// and what the handshakes there say about them. With one stale server among them
// each new handshake shows it with a probability of at least 1/servers.
type group struct {
	name    string
	members []int // indexes for record.at
	servers int
	look    bool // it is one pod, to which no client connects
	gone    bool // the pod is not behind the Service any more

	// waving says that a burst of connections is under way; pause is how long
	// the next one waits.
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
func (g *group) aim(r *record, target string) {
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
func (g *group) recount(r *record) {
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
// showed another certificate, or a pod refused the handshake that no client
// asked for.
func (g *group) other(one run) bool {
	return one.cert != "" && one.cert != g.target || one.shown != "" && one.shown != g.target || g.look && one.class != "" && one.class != "dial"
}

func (g *group) runs(r *record) []run {
	var list []run
	for _, i := range g.members {
		list = append(list, r.at(i).trace.runs...)
	}
	return list
}

// add takes a probe in that the trace holds already. Another certificate ends
// the row, whenever it was shown: no handshake counts for two rows. The one that
// shows the certificate first begins the first row and does not count for it: that
// it would show it was sure.
func (g *group) add(r *record, one run) {
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

// aim begins to count for another certificate, nil for none.
func (r *record) aim(target *x509.Certificate) {
	print := ""
	if target != nil {
		print = tlskit.Fingerprint(target)
	}
	r.target = print
	for _, g := range r.groups {
		g.aim(r, print)
	}
}

// doubtful lists the groups whose doubt is above limit.
func (r *record) doubtful(limit float64) []*group {
	var list []*group
	for _, g := range r.groups {
		if g.missing(limit) > 0 {
			list = append(list, g)
		}
	}
	return list
}

// doubt returns the largest doubt of all groups, and the group.
func (r *record) doubt() (most float64, where *group) {
	for _, g := range r.groups {
		if d := g.doubt(); !g.gone && (where == nil || d > most) {
			most, where = d, g
		}
	}
	return most, where
}

// missing says how many handshakes in a row a group still needs.
func (g *group) lacks(limit float64) string {
	text := fmt.Sprintf("%s showed it in the newest %d handshakes in a row; %d are needed before a stale server among %d would have been seen",
		g.name, g.row, evidence.LeastRow(g.servers, g.others, limit), g.servers)
	if g.others > 0 {
		text += fmt.Sprintf(" (%d handshakes showed another certificate in between)", g.others)
	}
	return text
}

// evidence puts the group on record.
func (g *group) evidence(r *record) evidence.Coverage {
	c := evidence.Coverage{Name: g.name, Servers: g.servers, Row: g.row, Others: g.others, Handshakes: max(g.total, g.row+g.others), Doubt: g.doubt()}
	for _, i := range g.members {
		c.Endpoints = append(c.Endpoints, r.at(i).name)
	}
	return c
}

// longestRow returns the longest row of all groups.
func (r *record) longestRow() int {
	most := 0
	for _, g := range r.groups {
		most = max(most, g.row)
	}
	return most
}

// certainty says how sure it is that no server was left behind.
func (p *proof) certainty() string {
	doubt, g := p.rec.doubt()
	return fmt.Sprintf("%d handshakes in a row at %s; a stale server among %d would have been seen with %s: %s",
		g.row, g.name, g.servers, evidence.Percent(1-doubt), p.servers)
}
