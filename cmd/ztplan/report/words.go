package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

// plain shows a value in one line.
func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return v
	case json.Number:
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".eE") {
			return strconv.FormatFloat(f, 'g', 4, 64)
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// amount shows a limit or a measurement of a rule with its unit: seconds, or a
// share as a percentage.
func amount(r evidence.Rule, v any) string {
	n, ok := v.(json.Number)
	if !ok {
		return plain(v)
	}
	f, err := n.Float64()
	switch {
	case err != nil:
	case r.InSeconds() && f < 0.01 && f > 0:
		return fmt.Sprintf("%.1f ms", 1000*f)
	case r.InSeconds():
		return strconv.FormatFloat(math.Round(1000*f)/1000, 'f', -1, 64) + " s"
	case r.Name == "maxDoubt":
		return evidence.Percent(f)
	}
	return plain(v)
}

// counts is the line below the result: "2 changed, 3 proved; 3 edits".
func counts(d *evidence.Document) string {
	s := d.Summary
	parts := display.Counts(s)
	if len(parts) == 0 {
		parts = []string{"nothing ran"}
	}
	text := strings.Join(parts, ", ") + "; " + display.Count(s.Edits, "edit")
	if s.ProofEdits > 0 {
		text += ", " + display.Count(s.ProofEdits, "change") + " by proofs"
	}
	return text
}

// position splits "file:line:column".
func position(p string) (file, line, column string) {
	parts := strings.Split(p, ":")
	if n := len(parts); n >= 3 {
		return strings.Join(parts[:n-2], ":"), parts[n-2], parts[n-1]
	}
	return p, "", ""
}

func editMark(e evidence.Edit) string {
	switch {
	case e.Unknown:
		return "?"
	case e.Applied > 0:
		return "+"
	}
	return "~"
}

func holdsMark(holds bool) string {
	if holds {
		return "✓"
	}
	return "✗"
}

func stateMark(state string) string {
	switch state {
	case "changed", "proved":
		return "✓"
	case "unchanged":
		return "="
	case "failed":
		return "✗"
	case "awaiting":
		return "…"
	case "pending":
		return "~"
	case "after", "would":
		return "»"
	}
	return "-"
}

func resultMark(r engine.Result) string {
	switch r {
	case engine.ResultProved:
		return "✓"
	case engine.ResultConverged:
		return "="
	case engine.ResultAwaiting:
		return "…"
	case engine.ResultDiffers:
		return "~"
	case engine.ResultNotRun:
		return "-"
	}
	return "✗"
}

// remark sums up a step in a few words.
func remark(s evidence.Step) string {
	var parts []string
	if s.Reason != "" {
		parts = append(parts, s.Reason)
	}
	if len(s.Edits) > 0 {
		parts = append(parts, display.Count(len(s.Edits), "edit"))
	}
	if n := len(s.Findings); n > 0 {
		held := 0
		for _, f := range s.Findings {
			if f.Holds {
				held++
			}
		}
		parts = append(parts, fmt.Sprintf("%d of %d rules hold", held, n))
	}
	if s.Retries > 0 {
		parts = append(parts, fmt.Sprintf("tried again %d×", s.Retries))
	}
	return strings.Join(append(parts, s.Warnings...), "; ")
}

func failures(e evidence.Endpoint) string {
	n := 0
	for _, c := range e.Failures {
		n += c
	}
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%s)", n, countsOf(e.Failures))
}

// countsOf renders counts by name: "2 dial, 1 verify".
func countsOf(counts map[string]int) string {
	parts := make([]string, 0, len(counts))
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
	}
	return strings.Join(parts, ", ")
}

func certificate(d *evidence.Document, fingerprint string) *evidence.CertificateRecord {
	for i := range d.Certificates {
		if d.Certificates[i].Fingerprint == fingerprint {
			return &d.Certificates[i]
		}
	}
	return nil
}

func serialOf(d *evidence.Document, ref evidence.CertificateRef) string {
	if c := certificate(d, ref.Fingerprint); c != nil {
		return c.Serial
	}
	return ref.Fingerprint
}
