package compare

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

// Text writes the differences for a reader, and ends with a line with the verdict.
func (c *Comparison) Text(w io.Writer) error {
	var b strings.Builder
	for _, side := range []struct {
		name string
		d    *evidence.Document
	}{{"before", c.Before}, {"after", c.After}} {
		fmt.Fprintf(&b, "%-8s plan %s, %s, %s\n", side.name, side.d.Plan.Name, side.d.Run.Began.Format("2006-01-02 15:04:05 UTC"), side.d.Outcome())
	}
	if len(c.Differences) > 0 {
		b.WriteString("\n")
	}
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, d := range c.Differences {
		mark := "·"
		if d.Regression {
			mark = "✗"
		}
		subject := d.Subject
		if d.Step != "" {
			subject = d.Step + ": " + subject
		}
		// On one line: a text of the evidence must not pass for a line of its own.
		fmt.Fprintf(t, "%s %s\t%s\t%s\n", mark, d.Kind, display.OneLine(subject), display.OneLine(d.change()))
	}
	_ = t.Flush() // of a strings.Builder
	bad := c.Regressions()
	fmt.Fprintf(&b, "\n%s, %s\n", display.Count(bad, "regression"), display.Count(len(c.Differences)-bad, "other difference"))
	_, err := io.WriteString(w, b.String())
	return err
}

// change describes a difference in words.
func (d Difference) change() string {
	if before, ok := d.Before.(float64); ok && d.Kind == Switch {
		after, _ := d.After.(float64)
		text := fmt.Sprintf("%.3f s → %.3f s (%+.3f s", before, after, d.Seconds)
		if d.Ratio > 0 {
			text += fmt.Sprintf(", %.2f times", d.Ratio)
		}
		return text + ")"
	}
	return plain(d.Before) + " → " + plain(d.After)
}

func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case []string:
		return strings.Join(v, ", ")
	}
	return fmt.Sprint(v)
}

// JSON writes the comparison as one JSON object.
func (c *Comparison) JSON(w io.Writer) error {
	type run struct {
		Plan   string        `json:"plan"`
		Began  time.Time     `json:"began"`
		Result engine.Result `json:"result"`
		Digest string        `json:"digest"` // of the evidence
	}
	of := func(d *evidence.Document) run {
		return run{d.Plan.Name, d.Run.Began, d.Result(), d.Digests.Overall}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(struct {
		Regressions int          `json:"regressions"`
		Before      run          `json:"before"`
		After       run          `json:"after"`
		Differences []Difference `json:"differences"`
	}{c.Regressions(), of(c.Before), of(c.After), c.Differences})
}
