package verify_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

var update = flag.Bool("update", false, "write the golden files")

func encoded(t *testing.T, d *evidence.Document) []byte {
	t.Helper()
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func problems(checks []verify.Check) []string {
	var out []string
	for _, c := range checks {
		for _, p := range c.Problems {
			out = append(out, c.Name+": "+p)
		}
	}
	return out
}

// The evidence of a good run, of a failed one and of one with a new intermediate
// verifies, is the
// same bytes every time, and fits the schema. The golden files serve the readers'
// tests, too.
func TestGolden(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../../schemas/evidence.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		result engine.Result
		events []engine.Event
	}{
		{"passed", engine.ResultProved, newWorld(t).events(t, 0)},
		{"failed", engine.ResultFailed, newWorld(t).events(t, 4)},
		{"rollover", engine.ResultProved, newWorld(t).rollOver(t, nil)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := encoded(t, collect(t, c.events))
			d, checks := verify.Evidence(got)
			if p := problems(checks); p != nil {
				t.Fatalf("it does not verify:\n%s", strings.Join(p, "\n"))
			}
			if d.Result() != c.result {
				t.Errorf("result = %s, want %s", d.Result(), c.result)
			}
			value, err := jsonschema.UnmarshalJSON(bytes.NewReader(got))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(value); err != nil {
				t.Error(err)
			}
			golden := filepath.Join("../testdata", c.name+".json")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("go test ./steps/evidence/verify -update writes the golden file (-want +got):\n%s", diff)
			}
		})
	}
}

// Every certificate is on record once, and no record holds a copy.
func TestCertificatesOnce(t *testing.T) {
	b := encoded(t, collect(t, newWorld(t).events(t, 0)))
	if got := bytes.Count(b, []byte("BEGIN CERTIFICATE")); got != 9 {
		t.Errorf("%d certificates, want 9: root, intermediate, old, new and impostor, and those of clients: foreign with its authority, expired and another", got)
	}
}

// walk calls visit for every leaf below v, with a function that replaces it.
func walk(path string, v any, set func(any), visit func(path string, leaf any, set func(any))) {
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			walk(path+"."+k, v[k], func(x any) { v[k] = x }, visit)
		}
		if len(keys) == 0 {
			visit(path, v, set)
		}
	case []any:
		for i := range v {
			walk(fmt.Sprintf("%s[%d]", path, i), v[i], func(x any) { v[i] = x }, visit)
		}
		if len(v) == 0 {
			visit(path, v, set)
		}
	default:
		visit(path, v, set)
	}
}

// flip returns another value of the same type.
func flip(v any) any {
	switch v := v.(type) {
	case nil:
		return "x"
	case bool:
		return !v
	case json.Number:
		f, _ := v.Float64()
		return f + 1
	case string:
		if v == "" {
			return "x"
		}
		b := []byte(v)
		for i := len(b) / 2; i < len(b); i++ { // a digit or letter, so that times stay times
			switch c := b[i]; {
			case c >= '0' && c < '9', c >= 'a' && c < 'z', c >= 'A' && c < 'Z':
				b[i]++
				return string(b)
			}
		}
		return v + "x"
	case []any:
		return []any{"x"}
	case map[string]any:
		return map[string]any{"x": 1}
	}
	return "x"
}

func generic(t *testing.T, b []byte) map[string]any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v map[string]any
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// retyped prints a changed document as a careful forger would: canonical.
func retyped(v any, reseal bool) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	d, err := evidence.Decode(b)
	if err != nil {
		return b // not even a document
	}
	if reseal {
		if err := d.Seal(); err != nil {
			return nil
		}
	}
	b, _ = d.Encode()
	return b
}

// Whatever leaf of the document is changed, verification fails.
func TestEveryFlipIsFound(t *testing.T) {
	for name, failures := range map[string]int{"passed": 0, "failed": 4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := generic(t, encoded(t, small(t, failures)))
			n := 0
			walk("", v, nil, func(path string, leaf any, set func(any)) {
				n++
				set(flip(leaf))
				if _, checks := verify.Evidence(retyped(v, false)); problems(checks) == nil {
					t.Errorf("%s: %v was changed to %v and the evidence still verifies", path, leaf, flip(leaf))
				}
				set(leaf)
			})
			if _, checks := verify.Evidence(retyped(v, false)); problems(checks) != nil {
				t.Fatalf("putting every leaf back does not give the original: %v", problems(checks))
			}
			t.Logf("%d leaves", n)
			if n < 300 {
				t.Errorf("only %d leaves were changed", n)
			}
		})
	}
}

// small is the fixture with few samples, so that every leaf can be visited.
func small(t *testing.T, failures int) *evidence.Document {
	t.Helper()
	w := newWorld(t)
	events := w.events(t, failures)
	for i := range events {
		r, ok := events[i].Data.(evidence.Rotation)
		if !ok {
			continue
		}
		for k := range r.Endpoints {
			e := &r.Endpoints[k]
			var kept []evidence.Sample
			for _, s := range e.Samples {
				if s.At == 0 || s.At > 2.3 && s.At < 2.7 && k == 1 || s.At > 2.4 && s.At < 2.6 || s.At > 3.94 {
					kept = append(kept, s)
				}
			}
			e.Samples, e.Attempts, e.LongestGapSeconds = kept, len(kept), longest(kept)
			e.Protocols = map[string]int{"h2": 1, "http/1.1": e.Attempts - 1}
			c := &r.Coverage[k]
			c.Handshakes = 0
			for _, s := range kept {
				if s.Cert == 1 {
					c.Handshakes++
				}
			}
			c.Row = c.Handshakes - 1
			c.Doubt = evidence.Doubt(c.Servers, c.Row, c.Others)
		}
		for k := range r.Rules {
			if r.Rules[k].Name == "maxDoubt" {
				r.Rules[k].Limit, r.Rules[k].Saw = 0.9, max(r.Coverage[0].Doubt, r.Coverage[1].Doubt)
			}
			if r.Rules[k].Name == "maxGap" {
				r.Rules[k].Limit, r.Rules[k].Saw = 30, max(r.Endpoints[0].LongestGapSeconds, r.Endpoints[1].LongestGapSeconds)
			}
		}
		events[i].Data = r
	}
	d := collect(t, events)
	if _, checks := verify.Evidence(encoded(t, d)); problems(checks) != nil {
		t.Fatalf("the small fixture does not verify: %v", problems(checks))
	}
	return d
}

// longest is the longest time between two samples that did not fail.
func longest(samples []evidence.Sample) (gap float64) {
	last := -1.0
	for _, s := range samples {
		if s.Cert < 0 {
			continue
		}
		if last >= 0 {
			gap = max(gap, s.At-last)
		}
		last = s.At
	}
	return gap
}

// A forger who computes the digests anew is found if another part of the record
// contradicts the forgery. A change of a field that nothing else repeats (a
// message, a name, a limit that was kept generously) is found by the signature
// alone; the list here must be found without one.
func TestResealedForgeries(t *testing.T) {
	must := []string{
		".certificates[0].fingerprint", ".certificates[0].serial", ".certificates[0].publicKey", ".certificates[0].notBefore",
		".certificates[0].notAfter", ".certificates[0].pem", ".certificates[0].subject", ".certificates[0].issuer", ".certificates[0].ca",
		".certificates[1].names[0]", ".rotations[0].certificates[0].fingerprint", ".rotations[0].certificates[1].chain[0]", ".rotations[0].trust[0]",
		".rotations[0].server", ".rotations[0].endpoints[0].attempts", ".rotations[0].endpoints[0].protocols.h2", ".rotations[0].endpoints[0].longestGapSeconds",
		".rotations[0].endpoints[0].samples[0].cert", ".rotations[0].endpoints[0].latency.during.p50",
		".rotations[0].rules[0].saw", ".rotations[0].rules[0].holds", ".rotations[0].rules[1].saw", ".rotations[0].rules[2].saw", ".rotations[0].rules[2].holds",
		".rotations[0].rules[3].saw", ".rotations[0].rules[3].limit", ".rotations[0].hops[10].name", ".rotations[0].step",
		".rotations[0].fault.part", ".rotations[0].fault.began", ".rotations[0].fault.ended", ".rotations[0].fault.pods[0]", ".rotations[0].fault.away", ".rotations[0].fault.stillAway",
		".rotations[0].fault.deletions[0].pod", ".rotations[0].fault.deletions[0].deleted", ".rotations[0].fault.deletions[0].gone", ".rotations[0].rules[4].saw", ".rotations[0].rules[4].name",
		".rotations[0].rules[5].saw", ".rotations[0].rules[7].saw", ".rotations[0].rules[7].name", ".rotations[0].rules[6].saw", ".rotations[0].rules[6].name", ".rotations[0].rules[5].name", ".rotations[0].hops[0].name", ".rotations[0].hops[6].at",
		".handshakes[0].certificate.fingerprint", ".handshakes[0].status", ".handshakes[0].rules[0].holds", ".handshakes[0].rules[0].saw", ".handshakes[0].url",
		".denials[0].refused", ".denials[0].step", ".denials[1].refused", ".denials[1].status", ".denials[1].answer", ".denials[1].method", ".denials[1].expected[0].status", ".denials[1].expected[0].text",
		".denials[2].status", ".denials[3].status", ".denials[4].refused", ".denials[4].certificate.fingerprint", ".denials[5].refused", ".denials[5].server", ".denials[5].trust[0]", ".denials[5].controlTrust[0]", ".denials[6].refused", ".denials[6].trust[0]", ".charts[0].step",
		".run.result", ".steps[3].proof", ".summary.result", ".summary.proofs", ".subject.checkout.clean", ".run.mode", ".run.ended", ".schema", ".digests.overall", ".digests.algorithm", ".digests.sections[0].name",
		".steps[0].state", ".steps[0].seconds", ".steps[0].retries", ".steps[0].began", ".steps[0].edits[0].applied", ".steps[3].findings[0].holds", ".steps[1].needs[0]",
		".summary.proved", ".summary.edits", ".summary.failed", ".summary.wallSeconds", ".summary.criticalSeconds", ".summary.criticalPath[0]",
		".timeline[0].step", ".timeline[0].time",
	}
	t.Parallel()
	v := generic(t, encoded(t, small(t, 0)))
	seen := make(map[string]bool)
	found, leaves := 0, 0
	walk("", v, nil, func(path string, leaf any, set func(any)) {
		if strings.Contains(path, "samples[") && !strings.Contains(path, "samples[0]") {
			return
		}
		leaves++
		set(flip(leaf))
		// The digests are computed anew, except where they are forged.
		_, checks := verify.Evidence(retyped(v, !strings.HasPrefix(path, ".digests")))
		if problems(checks) != nil {
			found++
			seen[path] = true
		}
		set(leaf)
	})
	for _, path := range must {
		if !seen[path] {
			t.Errorf("%s can be forged", path)
		}
	}
	t.Logf("%d of %d leaves are found without a signature", found, leaves)
}

// Bytes around, within and beside the document are found.
func TestForm(t *testing.T) {
	good := encoded(t, collect(t, newWorld(t).events(t, 0)))
	for name, bad := range map[string][]byte{
		"empty":         nil,
		"not json":      []byte("hello"),
		"other schema":  bytes.Replace(good, []byte(evidence.Schema), []byte("ztplan.dev/evidence/v9"), 1),
		"unknown field": bytes.Replace(good, []byte(`"plan": {`), []byte(`"more": 1, "plan": {`), 1),
		"a field twice": bytes.Replace(good, []byte(`"file": "plan.yaml"`), []byte(`"file": "other.yaml",`+"\n    "+`"file": "plan.yaml"`), 1),
		"two documents": append(slices.Clone(good), good...),
		"spaces":        append([]byte(" "), good...),
		"truncated":     good[:len(good)-2],
	} {
		if _, checks := verify.Evidence(bad); problems(checks) == nil {
			t.Errorf("%s: it verifies", name)
		}
	}
}

// BenchmarkVerify checks the evidence of a run with 200 000 handshakes.
func BenchmarkVerify(b *testing.B) {
	data, err := os.ReadFile("../testdata/passed.json")
	if err != nil {
		b.Fatal(err)
	}
	d, err := evidence.Decode(data)
	if err != nil {
		b.Fatal(err)
	}
	for k := range d.Rotations[0].Endpoints {
		e := &d.Rotations[0].Endpoints[k]
		var more []evidence.Sample
		for _, s := range e.Samples {
			for i := range 1250 {
				m := s
				m.At += float64(i) / 25000
				more = append(more, m)
			}
		}
		e.Samples, e.Attempts = more, len(more)
	}
	if err := d.Seal(); err != nil {
		b.Fatal(err)
	}
	if data, err = d.Encode(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		verify.Evidence(data)
	}
}
