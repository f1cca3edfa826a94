package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

// mostRows bounds the tables of summary.md: GitHub shows one mebibyte at most.
const mostRows = 500

// Summary returns summary.md, GitHub-flavoured Markdown.
func Summary(d *evidence.Document) []byte {
	d = display.Copy(d)
	var b strings.Builder
	fmt.Fprintf(&b, "## %s %s: %s\n\n", resultMark(d.Result()), Markdown(d.Plan.Name), d.Outcome())
	fmt.Fprintf(&b, "%s in %s, %s", counts(d), display.Seconds(d.Summary.WallSeconds), d.Run.Began.Format("2006-01-02 15:04:05 UTC"))
	if d.Run.Mode == evidence.ModeDryRun {
		b.WriteString(", dry run: nothing was written")
	}
	b.WriteString(".\n")
	if d.Run.Remark != "" {
		fmt.Fprintf(&b, "\n> %s\n", Markdown(d.Run.Remark))
	}
	if left := d.ProofsLeft(); len(left) > 0 {
		fmt.Fprintf(&b, "\n> Proofs that were not run: %s\n", Markdown(strings.Join(left, ", ")))
	}
	claimTable(&b, newClaim(d))
	for _, s := range d.Steps {
		if s.Error == "" {
			continue
		}
		fmt.Fprintf(&b, "\n### ✗ %s (%s)\n\n`%s`\n", Markdown(s.ID), Markdown(s.Kind), strings.ReplaceAll(s.Position, "`", ""))
		fmt.Fprintf(&b, "\n```text\n%s\n```\n", strings.ReplaceAll(s.Error, "```", "'''"))
		for _, r := range remedy(s) {
			text := Markdown(r.Text)
			if r.Label == "next" {
				text = "`" + strings.ReplaceAll(r.Text, "`", "'") + "`"
			}
			fmt.Fprintf(&b, "\n**%s:** %s\n", capitalised(r.Label), text)
		}
	}
	diagnosisSummary(&b, d.Diagnosis)
	for _, r := range d.Rotations {
		rotationTable(&b, d, r)
	}
	b.WriteString("\n| | step | kind | state | time | |\n|---|---|---|---|--:|---|\n")
	for i, s := range d.Steps {
		if i == mostRows {
			fmt.Fprintf(&b, "\n… and %d more\n", len(d.Steps)-i)
			break
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", stateMark(s.State), Markdown(s.ID), Markdown(s.Kind), s.State, display.Seconds(s.Seconds), Markdown(remark(s)))
	}
	if len(d.Summary.CriticalPath) > 1 {
		fmt.Fprintf(&b, "\nCritical path, %s: %s\n", display.Seconds(d.Summary.CriticalSeconds), Markdown(strings.Join(d.Summary.CriticalPath, " → ")))
	}
	for _, f := range facts(d) {
		fmt.Fprintf(&b, "\n- %s: %s", Markdown(f.Name), Markdown(strings.Join(f.Values, ", ")))
	}
	if d.Subject != nil {
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "\nEvidence `%s`, plan `%s`, ztplan %s\n", d.Digests.Overall, d.Plan.Digest, Markdown(d.Run.Version))
	return []byte(b.String())
}

func rotationTable(b *strings.Builder, d *evidence.Document, r evidence.RotationRecord) {
	fmt.Fprintf(b, "\n### Rotation %d of %s/%s\n\n", r.Number, Markdown(r.Namespace), Markdown(r.Name))
	if len(r.Certs) > 1 {
		fmt.Fprintf(b, "`%s` → `%s`\n\n", serialOf(d, r.Certs[0]), serialOf(d, r.Certs[1]))
	}
	if text := broken(r.Fault); text != "" {
		fmt.Fprintf(b, "%s\n\n", Markdown(text))
	}
	if v := rolloverOf(d, r); v != nil {
		for _, line := range v.Lines {
			fmt.Fprintf(b, "- %s\n", Markdown(line))
		}
		b.WriteString("\n")
	}
	b.WriteString("| | rule | limit | seen |\n|---|---|--:|--:|\n")
	for _, rule := range r.Rules {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", holdsMark(rule.Holds), Markdown(rule.Name), Markdown(amount(rule, rule.Limit)), Markdown(amount(rule, rule.Saw)))
	}
	b.WriteString("\n")
	for _, line := range doubts(r) {
		fmt.Fprintf(b, "- %s\n", Markdown(line))
	}
	b.WriteString("\n| endpoint | handshakes | failures | longest gap |\n|---|--:|--:|--:|\n")
	for _, e := range r.Endpoints {
		fmt.Fprintf(b, "| %s | %d | %s | %s |\n", Markdown(e.Address), e.Attempts, Markdown(failures(e)), display.Seconds(e.LongestGapSeconds))
	}
	if len(r.Hops) > 0 {
		b.WriteString("\n")
		for i, h := range r.Hops {
			if i > 0 {
				b.WriteString(" → ")
			}
			fmt.Fprintf(b, "%s +%s", Markdown(h.Name), offset(h.At.Sub(r.Hops[0].At)))
			if h.Order == evidence.OrderObserved {
				b.WriteString(" (order as observed)")
			}
		}
		b.WriteString("\n")
		if text := switched(r); text != "" {
			fmt.Fprintf(b, "\n%s\n", Markdown(text))
		}
	}
}

// broken names the part that the proof broke on purpose, "" if none.
func broken(f evidence.Fault) string {
	switch {
	case f.Part == "":
		return ""
	case f.Ended.IsZero():
		return fmt.Sprintf("Broken on purpose: %s (pods deleted: %s), which did not come back", f.Part, strings.Join(f.Pods, ", "))
	default:
		return fmt.Sprintf("Broken on purpose: %s (pods deleted: %s), back after %s", f.Part, strings.Join(f.Pods, ", "), display.Seconds(f.Ended.Sub(f.Began).Seconds()))
	}
}

func offset(d time.Duration) string { return fmt.Sprintf("%.2fs", d.Seconds()) }

// Markdown escapes the special characters of Markdown, and makes one line of a text.
func Markdown(s string) string {
	return strings.NewReplacer("\\", "\\\\", "|", "\\|", "\n", " ", "\r", "", "<", "&lt;", ">", "&gt;", "*", "\\*", "_", "\\_", "`", "\\`", "[", "\\[", "@", "&#64;").Replace(s)
}
