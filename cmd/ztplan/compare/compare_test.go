package compare_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/cmd/ztplan/compare"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/evidencetest"
)

// later moves the moment at which the wire showed only the new certificate.
func later(d *evidence.Document, by time.Duration) {
	for i := range d.Rotations[0].Hops {
		if h := &d.Rotations[0].Hops[i]; h.Name == "last-on-wire" {
			h.At = h.At.Add(by)
		}
	}
}

func certificate(d *evidence.Document, print string) *evidence.CertificateRecord {
	return &d.Certificates[slices.IndexFunc(d.Certificates, func(c evidence.CertificateRecord) bool { return c.Fingerprint == print })]
}

func TestDifferences(t *testing.T) {
	const wire = "rotation: ingress-apisix/hello-cert"
	for _, c := range []struct {
		name   string
		change func(before, after *evidence.Document)
		want   []string // kind, ! for a regression, and subject
	}{
		{"the same", func(_, _ *evidence.Document) {}, nil},
		{"a denial that is granted", func(_, d *evidence.Document) { d.Denials[1].Refused, d.Denials[1].Answer = false, "granted" }, []string{"denial-hole! denied: another namespace: refused → granted"}},
		{"a hole that was there before", func(b, d *evidence.Document) { b.Denials[1].Refused, d.Denials[1].Refused = false, false }, []string{"denial-hole denied: another namespace: not refused → "}},
		{"a hole in an attempt that is new", func(b, d *evidence.Document) {
			b.Denials = b.Denials[1:]
			d.Denials[0].Refused, d.Denials[0].Answer = false, "granted"
		}, []string{"denial-hole! denied: a certificate for evil.example.org: none → granted"}},
		{"an attempt that is granted once of twice", func(_, d *evidence.Document) {
			again := d.Denials[1]
			again.Refused = false
			d.Denials = append([]evidence.DenialRecord{again}, d.Denials...)
		}, []string{"denial-hole! denied: another namespace: refused → "}},
		{"an attempt less", func(_, d *evidence.Document) { d.Denials = d.Denials[1:] }, []string{"missing-denial! denied: a certificate for evil.example.org: refused → none"}},
		{"a slower switch", func(_, d *evidence.Document) { later(d, 3*time.Second) }, []string{"switch! " + wire + ": 1.400 s → 4.400 s (+3.000 s, 3.14 times)"}},
		{"a switch that is slower by little", func(_, d *evidence.Document) { later(d, 900*time.Millisecond) }, []string{"switch " + wire + ": 1.400 s → 2.300 s (+0.900 s, 1.64 times)"}},
		{"a switch that is slower by a small part", func(b, d *evidence.Document) { later(b, 10*time.Second); later(d, 14*time.Second) }, []string{"switch " + wire + ": 11.400 s → 15.400 s (+4.000 s, 1.35 times)"}},
		{"a faster switch", func(_, d *evidence.Document) { later(d, -time.Second) }, []string{"switch " + wire + ": 1.400 s → 0.400 s (-1.000 s, 0.29 times)"}},
		{"failed handshakes", func(_, d *evidence.Document) {
			d.Rotations[0].Endpoints[0].Failures = map[string]int{"dial": 2, "verify": 1}
		}, []string{"failed-handshakes! " + wire + ": 0 → 3"}},
		{"the key is kept", func(_, d *evidence.Document) {
			certs := d.Rotations[0].Certs
			certificate(d, certs[1].Fingerprint).PublicKey = certificate(d, certs[0].Fingerprint).PublicKey
		}, []string{"key-reuse! " + wire + ": a new key → the key was kept", "key-reuse! " + wire}},
		{"the key was kept before", func(b, d *evidence.Document) {
			for _, x := range []*evidence.Document{b, d} {
				certs := x.Rotations[0].Certs
				certificate(x, certs[1].Fingerprint).PublicKey = certificate(x, certs[0].Fingerprint).PublicKey
			}
		}, []string{"key-reuse! " + wire, "key-reuse " + wire + ": the key was kept → the key was kept"}},
		{"a third certificate", func(_, d *evidence.Document) {
			d.Rotations[0].Certs = append(d.Rotations[0].Certs, d.Rotations[0].Certs[0])
		}, []string{"unexpected-renewal! " + wire + ": 0 → 1"}},
		{"another root on the same cluster", func(_, d *evidence.Document) { d.Rotations[0].Trust, d.Handshakes[0].Trust = []string{"ab"}, nil }, []string{"unexpected-renewal! rotation: the trusted roots"}},
		{"another root on another cluster", func(_, d *evidence.Document) {
			other := *d.Subject.Cluster
			other.UID = "other"
			d.Subject.Cluster, d.Rotations[0].Trust = &other, []string{"ab"}
		}, nil},
		{"no rotation", func(_, d *evidence.Document) { d.Rotations = nil }, []string{"missing-rule! rotation: maxFailures", "missing-rule!", "missing-rule!", "missing-rule!", "missing-rule!", "missing-rule!", "missing-rule!", "missing-rule!", "missing-rule!", "rotations! " + wire + ": 1 → 0"}},
		{"a rule less", func(_, d *evidence.Document) {
			d.Rotations[0].Rules = slices.DeleteFunc(slices.Clone(d.Rotations[0].Rules), func(r evidence.Rule) bool { return r.Name == "newKey" })
		}, []string{"missing-rule! rotation: newKey: held → none"}},
		{"a proof less", func(_, d *evidence.Document) {
			d.Steps = slices.DeleteFunc(d.Steps, func(s evidence.Step) bool { return s.ID == "denied" })
			d.Denials = nil
		}, []string{"missing-proof! denied: assertDenied: proved → none"}},
		{"a failed step", func(_, d *evidence.Document) { d.Run.Result, d.Steps[0].State = "failed", "failed" }, []string{"result! the run: proved → failed", "failed-step! vault: helmInstall: changed → failed"}},
		{"versions", func(_, d *evidence.Document) {
			d.Plan.Digest, d.Run.Version, d.Charts[0].Version = "new", "v0.2.0", "0.32.0"
			d.Run.Versions = map[string]string{"vault": "1.21.1"}
		}, []string{"plan content", "version chart vault: 0.31.0 → 0.32.0", "version vault: 1.21.0 → 1.21.1", "version ztplan: v0.1.0 → v0.2.0"}},
		{"another content of one version", func(_, d *evidence.Document) { d.Charts[0].Digest = "cd" }, []string{"version content of chart vault 0.31.0"}},
		{"images", func(b, d *evidence.Document) {
			s := *d.Subject
			b.Subject.Images = []evidence.Image{{Image: "r.example:5000/vault:1", ID: "i1"}, {Image: "nginx", ID: "i2"}}
			s.Images = []evidence.Image{{Image: "r.example:5000/vault:2", ID: "i3"}, {Image: "nginx", ID: "i4"}}
			d.Subject = &s
		}, []string{"version image r.example:5000/vault: 1 → 2", "version content of image nginx: i2 → i4"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, after := evidencetest.Document(t, "passed"), evidencetest.Document(t, "passed")
			c.change(before, after)
			var got []string
			for _, d := range compare.New(before, after, compare.Limits{Ratio: 1.5, Seconds: 1}).Differences {
				got = append(got, lineOf(d))
			}
			same := len(got) == len(c.want)
			for i := range min(len(got), len(c.want)) {
				same = same && strings.HasPrefix(got[i], c.want[i])
			}
			if !same {
				t.Errorf("(-want +got):\n%s", cmp.Diff(c.want, got))
			}
		})
	}
}

// lineOf returns a difference as text prints it, without its columns.
func lineOf(d compare.Difference) string {
	var b bytes.Buffer
	c := compare.Comparison{Before: new(evidence.Document), After: new(evidence.Document), Differences: []compare.Difference{d}}
	_ = c.Text(&b)
	line := strings.Split(b.String(), "\n")[3]
	f := strings.Split(strings.Join(strings.FieldsFunc(strings.ReplaceAll(line, "  ", "\x00"), func(r rune) bool { return r == 0 }), "\x00"), "\x00")
	mark, kind, _ := strings.Cut(f[0], " ")
	if mark == "✗" {
		kind += "!"
	}
	return fmt.Sprintf("%s %s: %s", kind, strings.TrimSpace(f[1]), strings.TrimSpace(strings.Join(f[2:], "")))
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := compare.New(evidencetest.Document(t, "passed"), evidencetest.Document(t, "failed"), compare.Limits{Ratio: 1}).JSON(&b); err != nil {
		t.Fatal(err)
	}
	var out struct {
		Regressions   int
		Before, After struct{ Plan, Result, Digest string }
		Differences   []compare.Difference
	}
	if err := json.Unmarshal(b.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	if out.Regressions != 3 || len(out.Differences) != 3 || out.Before.Result != "proved" || out.After.Result != "failed" || out.Before.Digest == out.After.Digest {
		t.Errorf("%+v", out)
	}
}
