package compare

import (
	"maps"
	"slices"

	"github.com/ztplan/ztplan/steps/evidence"
)

// A wire has the measurements of a proof that rotated one certificate.
type wire struct {
	rotations int
	seconds   float64 // the longest switch, at most
	switched  bool    // there was one
	failures  int
	extra     int  // certificates beyond the old and the new one
	reused    bool // a new certificate had the key of the old one
}

type subject struct{ step, certificate string }

func wires(d *evidence.Document) (order []subject, all map[subject]*wire) {
	all = make(map[subject]*wire)
	for _, r := range d.Rotations {
		k := subject{r.Step, r.Namespace + "/" + r.Name}
		w := all[k]
		if w == nil {
			w = new(wire)
			all[k], order = w, append(order, k)
		}
		w.rotations++
		if _, most, ok := evidence.Switch(r.Hops); ok {
			w.seconds, w.switched = max(w.seconds, most.Seconds()), true
		}
		for _, e := range r.Endpoints {
			for _, n := range e.Failures {
				w.failures += n
			}
		}
		w.extra += max(0, len(r.Certs)-2)
		if len(r.Certs) > 1 && keyOf(d, r.Certs[0]) != "" && keyOf(d, r.Certs[0]) == keyOf(d, r.Certs[1]) {
			w.reused = true
		}
	}
	return order, all
}

// rotations compares the measurements of each certificate. Those of a proof that is
// missing are not compared.
func (c *Comparison) rotations(missing map[string]bool, l Limits) {
	had, before := wires(c.Before)
	order, after := wires(c.After)
	for _, k := range had {
		if after[k] == nil {
			order = append(order, k)
		}
	}
	for _, k := range order {
		if missing[k.step] {
			continue
		}
		was, is := before[k], after[k]
		if was == nil {
			was = new(wire)
		}
		if is == nil {
			is = new(wire)
		}
		number := func(kind string, before, after int, worse bool) {
			if before != after {
				c.add(Difference{Kind: kind, Regression: worse, Step: k.step, Subject: k.certificate, Before: before, After: after})
			}
		}
		number(Rotations, was.rotations, is.rotations, is.rotations < was.rotations)
		if is.rotations == 0 {
			continue
		}
		if was.switched && is.switched && was.seconds != is.seconds {
			longer := is.seconds - was.seconds
			d := Difference{Kind: Switch, Step: k.step, Subject: k.certificate, Before: was.seconds, After: is.seconds, Seconds: longer}
			if was.seconds > 0 {
				d.Ratio = is.seconds / was.seconds
			}
			d.Regression = longer > l.Seconds && is.seconds > l.Ratio*was.seconds
			c.add(d)
		}
		number(Failures, was.failures, is.failures, is.failures > was.failures)
		number(Renewal, was.extra, is.extra, is.extra > was.extra)
		if is.reused {
			c.add(Difference{Kind: KeyReuse, Regression: !was.reused, Step: k.step, Subject: k.certificate, Before: kept(was), After: "the key was kept"})
		}
	}
}

func kept(w *wire) any {
	switch {
	case w.reused:
		return "the key was kept"
	case w.rotations > 0:
		return "a new key"
	}
	return nil
}

// keys finds certificates that were rotated now and have the key of another certificate
// of the run before.
func (c *Comparison) keys() {
	older := make(map[string]string) // fingerprint by key
	for _, r := range c.Before.Rotations {
		for _, ref := range r.Certs {
			older[keyOf(c.Before, ref)] = ref.Fingerprint
		}
	}
	seen := make(map[string]bool)
	for _, r := range c.After.Rotations {
		for _, ref := range r.Certs {
			key := keyOf(c.After, ref)
			print, ok := older[key]
			if !ok || key == "" || print == ref.Fingerprint || seen[ref.Fingerprint] {
				continue
			}
			seen[ref.Fingerprint] = true
			c.add(Difference{Kind: KeyReuse, Regression: true, Step: r.Step, Subject: r.Namespace + "/" + r.Name, Before: "certificate " + print, After: "certificate " + ref.Fingerprint + " has the same key"})
		}
	}
}

// roots finds roots that took the place of others on the same cluster.
func (c *Comparison) roots() {
	if !c.sameCluster() {
		return
	}
	before, after := trusted(c.Before), trusted(c.After)
	for _, step := range slices.Sorted(maps.Keys(after)) {
		if len(before[step]) > 0 && !slices.Equal(before[step], after[step]) {
			c.add(Difference{Kind: Renewal, Regression: true, Step: step, Subject: "the trusted roots", Before: before[step], After: after[step]})
		}
	}
}

// trusted returns the fingerprints of the roots that each proof trusted.
func trusted(d *evidence.Document) map[string][]string {
	out := make(map[string][]string)
	add := func(step string, roots []string) {
		for _, r := range roots {
			if !slices.Contains(out[step], r) {
				out[step] = append(out[step], r)
			}
		}
		slices.Sort(out[step])
	}
	for _, r := range d.Rotations {
		add(r.Step, r.Trust)
	}
	for _, h := range d.Handshakes {
		add(h.Step, h.Trust)
	}
	return out
}

func keyOf(d *evidence.Document, ref evidence.CertificateRef) string {
	i := slices.IndexFunc(d.Certificates, func(c evidence.CertificateRecord) bool { return c.Fingerprint == ref.Fingerprint })
	if i < 0 {
		return ""
	}
	return d.Certificates[i].PublicKey
}
