package probe

import (
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/steps/internal/certs"
)

// OnTheWire returns the serials that the addresses show at present, each once;
// nil if there is none.
func (r *Record) OnTheWire() any {
	var list []string
	for _, s := range r.addresses {
		if s.Current != nil && !slices.Contains(list, certs.Serial(s.Current)) {
			list = append(list, certs.Serial(s.Current))
		}
	}
	if len(list) == 0 {
		return nil
	}
	return strings.Join(list, ", ")
}

// Versions counts the handshakes by version of HTTP: "27 over h2, 26 over
// http/1.1".
func (r *Record) Versions() string {
	all := make(map[string]int)
	for _, s := range r.addresses {
		for version, n := range s.versions {
			all[version] += n
		}
	}
	var parts []string
	for _, version := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, fmt.Sprintf("%d over %s", all[version], version))
	}
	return strings.Join(parts, ", ")
}

// FailureClasses renders the failed probes by class, each with its newest error:
// "2 dial (10.0.0.1:443: connect: connection refused), 1 tls (…)".
func (r *Record) FailureClasses() string {
	var parts []string
	for _, c := range slices.Sorted(maps.Keys(r.failures)) {
		parts = append(parts, fmt.Sprintf("%d %s (%s)", r.failures[c], c, r.newest[c].Error()))
	}
	return strings.Join(parts, ", ")
}

// Counts renders the certificates that the addresses behind cert showed.
func (r *Record) Counts(cert *x509.Certificate) string {
	var parts []string
	for _, s := range r.behind(cert) {
		for _, g := range slices.SortedFunc(maps.Values(s.seen), func(a, b *sighting) int { return a.first.Compare(b.first) }) {
			parts = append(parts, fmt.Sprintf("%d × %s", s.Shown[certs.Fingerprint(g.cert)], certs.Serial(g.cert)))
		}
	}
	if len(parts) == 0 {
		return "no certificate"
	}
	return strings.Join(parts, ", ")
}

// WhyNot names the addresses that are behind cert and the certificates they showed, or
// how many handshakes the doubt still needs.
func (r *Record) WhyNot(cert *x509.Certificate) string {
	var parts []string
	for _, s := range r.behind(cert) {
		parts = append(parts, s.whyNot(cert, r.limits.ConsecutiveNew))
	}
	if len(parts) == 0 && r.Aimed(cert) {
		parts = r.Lacking()
	}
	if len(parts) == 0 {
		return "every address shows it"
	}
	return strings.Join(parts, "; ")
}

// broken renders the failed probes of an address: "2 dial, 1 tls, the newest:
// connect: connection refused".
func (s *Series) broken() string {
	var parts []string
	for _, c := range slices.Sorted(maps.Keys(s.classes)) {
		parts = append(parts, fmt.Sprintf("%d %s", s.classes[c], c))
	}
	if s.failure != nil {
		parts = append(parts, "the newest: "+s.failure.Reason)
	}
	return strings.Join(parts, ", ")
}

func (s *Series) whyNot(cert *x509.Certificate, n int) string {
	total := 0
	for _, c := range s.Shown {
		total += c
	}
	shown := s.Shown[certs.Fingerprint(cert)]
	switch {
	case s.Attempts == 0:
		return s.Name + " has not been probed yet"
	case s.Current == nil && s.refused != nil:
		return fmt.Sprintf("%s: none of %d connections got a verified certificate: %s", s.Name, s.Attempts, s.refused.Reason)
	case s.Current == nil:
		return fmt.Sprintf("%s: none of %d probes got a verified certificate (%s)", s.Name, s.Attempts, s.broken())
	case s.Current.Equal(cert) && s.run == 0:
		return fmt.Sprintf("%s: the newest of %d probes failed (%s)", s.Name, s.Attempts, s.broken())
	case s.mixed(cert):
		return fmt.Sprintf("%s showed it in %d of %d handshakes and other serials in between: one of its workers or replicas was left behind", s.Name, shown, total)
	case s.Current.Equal(cert):
		return fmt.Sprintf("%s showed it in %d of %d handshakes, the newest %d in a row instead of %d", s.Name, shown, total, s.run, n)
	default:
		return fmt.Sprintf("%s never showed it in %d handshakes and shows serial %s: the gateway has not taken the Secret over", s.Name, total, certs.Serial(s.Current))
	}
}
