package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

// A claimView is the assertion of a run: its measurements on the wire, one row for
// each certificate that was rotated, and its other proofs in sentences.
type claimView struct {
	Rows  []claimRow
	Lines []claimLine
}

// A claimRow is the worst that a proof measured over all rotations of a certificate.
type claimRow struct {
	Step, Certificate string
	Held              bool
	Mark              string
	Rotations         string // "2 rotations"
	Switch            string // the longest, at most
	Failed            string // handshakes, of all
	Doubt             string // that a server was left behind
	Where             []string
}

type claimLine struct {
	Mark, Text string
	Held       bool
}

// mostAddresses bounds the addresses of a row.
const mostAddresses = 4

func newClaim(d *evidence.Document) claimView {
	var v claimView
	type subject struct{ step, certificate string }
	of := make(map[subject][]evidence.RotationRecord)
	var order []subject
	for _, r := range d.Rotations {
		k := subject{r.Step, r.Namespace + "/" + r.Name}
		if of[k] == nil {
			order = append(order, k)
		}
		of[k] = append(of[k], r)
	}
	for _, k := range order {
		v.Rows = append(v.Rows, newClaimRow(k.step, k.certificate, held(d, k.step), of[k]))
	}
	add := func(good bool, format string, args ...any) {
		v.Lines = append(v.Lines, claimLine{holdsMark(good), fmt.Sprintf(format, args...), good})
	}
	if n := len(d.Denials); n > 0 {
		refused := 0
		for _, x := range d.Denials {
			if x.Refused {
				refused++
			}
		}
		add(refused == n, "%d of %d attempts that must fail were refused", refused, n)
	}
	var sites []string
	good := true
	for _, h := range d.Handshakes {
		good = good && held(d, h.Step)
		if site := h.URL + " at " + h.Address; !slices.Contains(sites, site) {
			sites = append(sites, site)
		}
	}
	if len(sites) > 0 {
		add(good, "verified to the trusted root: %s", strings.Join(shortened(sites), ", "))
	}
	if s := d.Subject; s != nil && s.Cluster != nil {
		v.Lines = append(v.Lines, claimLine{"-", strings.TrimSuffix("on the cluster at "+s.Cluster.Server+", Kubernetes "+s.Cluster.Version, ", Kubernetes "), true})
	}
	return v
}

// Proofs reports whether the run measured anything.
func (v claimView) Proofs() bool {
	return len(v.Rows) > 0 || slices.ContainsFunc(v.Lines, func(l claimLine) bool { return l.Mark != "-" })
}

func newClaimRow(step, certificate string, good bool, all []evidence.RotationRecord) claimRow {
	row := claimRow{Step: step, Certificate: certificate, Held: good, Mark: holdsMark(good), Rotations: display.Count(len(all), "rotation"), Switch: "not seen", Doubt: "not on record"}
	longest, doubt, failed, handshakes := 0.0, 0.0, 0, 0
	switched, bounded := true, true
	for _, r := range all {
		_, most, ok := evidence.Switch(r.Hops)
		switched, longest = switched && ok, max(longest, most.Seconds())
		bounded = bounded && len(r.Coverage) > 0
		for _, c := range r.Coverage {
			doubt = max(doubt, c.Doubt)
		}
		for _, e := range r.Endpoints {
			handshakes += e.Attempts
			for _, n := range e.Failures {
				failed += n
			}
			if !slices.Contains(row.Where, e.Address) {
				row.Where = append(row.Where, e.Address)
			}
		}
	}
	if switched {
		row.Switch = fmt.Sprintf("%.3f s", longest)
	}
	if bounded {
		row.Doubt = evidence.Percent(doubt)
	}
	row.Failed = fmt.Sprintf("%d of %d", failed, handshakes)
	row.Where = shortened(row.Where)
	return row
}

// held reports whether the proof of a step held.
func held(d *evidence.Document, step string) bool {
	return slices.ContainsFunc(d.Steps, func(s evidence.Step) bool { return s.ID == step && s.State == "proved" })
}

// shortened returns the first of a list, and how many more there are.
func shortened(list []string) []string {
	if len(list) <= mostAddresses+1 {
		return list
	}
	return append(slices.Clone(list[:mostAddresses]), fmt.Sprintf("%d more", len(list)-mostAddresses))
}

// claimTable writes the claim as Markdown.
func claimTable(b *strings.Builder, v claimView) {
	if !v.Proofs() {
		return
	}
	if len(v.Rows) > 0 {
		b.WriteString("\n| | certificate | longest switch | failed handshakes | doubt | where |\n|---|---|--:|--:|--:|---|\n")
	}
	for _, r := range v.Rows {
		fmt.Fprintf(b, "| %s | %s, %s | %s | %s | %s | %s |\n", r.Mark, Markdown(r.Certificate), r.Rotations, r.Switch, r.Failed, r.Doubt, Markdown(strings.Join(r.Where, ", ")))
	}
	b.WriteString("\n")
	for _, l := range v.Lines {
		fmt.Fprintf(b, "- %s\n", strings.TrimPrefix(l.Mark+" "+Markdown(l.Text), "- "))
	}
}
