package probe

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certs"
)

// A Certificate is a certificate that addresses or pods showed.
type Certificate struct {
	Leaf            *x509.Certificate
	Chain, Verified []*x509.Certificate // as it was first sent, and up to the trusted root

	// Shown counts the handshakes by the name of the address or pod.
	Shown map[string]int
}

// Certificates lists all certificates in the order in which they were first
// shown.
func (r *Record) Certificates() []Certificate {
	first := make(map[string]*sighting)
	shown := make(map[string]map[string]int)
	for _, s := range r.all() {
		for print, g := range s.seen {
			if known := first[print]; known == nil || g.first.Before(known.first) {
				first[print] = g
			}
			if shown[print] == nil {
				shown[print] = make(map[string]int)
			}
			shown[print][s.Name] = s.Shown[print]
		}
	}
	var list []Certificate
	for print, g := range first {
		list = append(list, Certificate{g.cert, g.chain, g.verified, shown[print]})
	}
	slices.SortFunc(list, func(a, b Certificate) int {
		return first[certs.Fingerprint(a.Leaf)].first.Compare(first[certs.Fingerprint(b.Leaf)].first)
	})
	return list
}

// A Span is from the Secret being written until an address showed only its
// certificate. Times count from the beginning of the record.
type Span struct{ From, To time.Duration }

// Endpoints puts the addresses of a record that took length on record. index finds
// certificates by fingerprint; switched returns the switch of an address.
func (r *Record) Endpoints(length time.Duration, index map[string]int, switched func(*Series) Span) []evidence.Endpoint {
	list := make([]evidence.Endpoint, len(r.addresses))
	for i, s := range r.addresses {
		list[i] = r.endpoint(s, length, index, switched(s))
	}
	return list
}

// Pods puts the pods behind the Service on record, as Endpoints does.
func (r *Record) Pods(length time.Duration, index map[string]int, switched func(*Series) Span) []evidence.Endpoint {
	var list []evidence.Endpoint
	for _, g := range r.groups {
		if s := r.at(g.members[0]); g.pod && !g.gone {
			list = append(list, r.endpoint(s, length, index, switched(s)))
		}
	}
	return list
}

// Coverage puts the groups on record.
func (r *Record) Coverage() []evidence.Coverage {
	var list []evidence.Coverage
	for _, g := range r.groups {
		if g.gone {
			continue
		}
		c := evidence.Coverage{Name: g.name, Servers: g.servers, Row: g.row, Others: g.others, Handshakes: max(g.total, g.row+g.others), Doubt: g.doubt()}
		for _, i := range g.members {
			c.Endpoints = append(c.Endpoints, r.at(i).Name)
		}
		list = append(list, c)
	}
	return list
}

// Workers returns the number of workers of one replica, and its source.
func (r *Record) Workers() (n int, from string) { return r.servers.Workers, r.servers.From }

func (r *Record) endpoint(s *Series, length time.Duration, index map[string]int, switched Span) evidence.Endpoint {
	e := evidence.Endpoint{Address: s.Name, Attempts: s.Attempts, Protocols: s.versions, LongestGapSeconds: s.trace.longest(length).Seconds()}
	for _, one := range s.trace.runs {
		if one.cert == "" {
			if e.Failures == nil {
				e.Failures = make(map[string]int)
			}
			e.Failures[one.class] += one.count
		}
	}
	for _, one := range thin(s.trace.runs, mostRecorded, max(neverMerged, r.longestRow())) {
		sample := evidence.Sample{At: one.first.Seconds(), Seconds: one.mean().Seconds(), Cert: -1, Class: one.class}
		if one.cert != "" {
			sample.Cert = index[one.cert]
		}
		if one.count > 1 {
			sample.Count = one.count
		}
		e.Samples = append(e.Samples, sample)
	}
	e.Latency = s.latency(switched)
	return e
}

// latency returns the percentiles before, during and after the switch.
func (s *Series) latency(switched Span) map[string]map[string]float64 {
	out := make(map[string]map[string]float64)
	for name, in := range map[string]func(run) bool{
		"before": func(o run) bool { return o.first < switched.From },
		"during": func(o run) bool { return o.first >= switched.From && o.first < switched.To },
		"after":  func(o run) bool { return o.first >= switched.From && o.first >= switched.To },
	} {
		if p := percentiles(s.trace.runs, in); p != nil {
			out[name] = p
		}
	}
	return out
}
