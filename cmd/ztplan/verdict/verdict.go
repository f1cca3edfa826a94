// Package verdict sums up the checks of evidence for a reader: as text, and as JSON.
package verdict

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// The values of Verdict.Signature.
const (
	Checked   = "checked"
	Unchecked = "not checked" // there is one, and no key to check it with
	Unsigned  = "unsigned"
)

// A Verdict is evidence with the results of its verification.
type Verdict struct {
	Document  *evidence.Document // may be nil
	Checks    []verify.Check
	Signature string
}

// by adds to the result the missing knowledge about the evidence's maker.
func (v Verdict) by() string {
	switch v.Signature {
	case Unsigned:
		return ", UNSIGNED"
	case Unchecked:
		return ", signature NOT CHECKED"
	}
	return ""
}

// Bad counts the checks that do not hold.
func (v Verdict) Bad() (n int) {
	for _, c := range v.Checks {
		if !c.Holds() {
			n++
		}
	}
	return n
}

// remarks returns the notes for a reader beside the result.
func (v Verdict) remarks() []string {
	d := v.Document
	var out []string
	if d.Run.Mode == evidence.ModeDryRun {
		out = append(out, "dry run: nothing was written and no proof was run")
	} else if left := d.ProofsLeft(); len(left) > 0 {
		out = append(out, "proofs skipped: "+strings.Join(left, ", "))
	}
	if d.Run.Remark != "" {
		out = append(out, d.Run.Remark)
	}
	switch v.Signature {
	case Unsigned:
		out = append(out, "unsigned: anybody may have made it or changed it with care")
	case Unchecked:
		out = append(out, "signature not checked: anybody may have made it or changed it with care")
	}
	return out
}

// Text returns a line a check, the remarks and the result.
func (v Verdict) Text() string {
	var b strings.Builder
	for _, c := range v.Checks {
		// On one line: a text of the evidence must not pass for a check of its own.
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("%s %-13s %s", c.Mark(), c.Name, display.OneLine(c.Did)), " "))
		for _, p := range c.Problems {
			fmt.Fprintf(&b, "    %s\n", display.OneLine(p))
		}
	}
	switch bad := v.Bad(); {
	case bad == 0:
	case bad == 1 && !v.Checks[len(v.Checks)-1].Holds() && v.Checks[len(v.Checks)-1].Name == demands:
		fmt.Fprintf(&b, "\nthe evidence holds"+v.by()+", and is not what is demanded: plan %s, %s\n", v.Document.Plan.Name, v.Document.Outcome())
		return b.String()
	default:
		fmt.Fprintf(&b, "\n%d of %d checks do not hold: do not rely on this evidence\n", bad, len(v.Checks))
		return b.String()
	}
	d := v.Document
	for _, r := range v.remarks() {
		fmt.Fprintf(&b, "remark: %s\n", display.OneLine(r))
	}
	fmt.Fprintf(&b, "\nthe evidence holds%s: plan %s, %s on %s, %s\n", v.by(), d.Plan.Name, d.Run.Mode, d.Run.Began.Format("2006-01-02 15:04:05 UTC"), d.Outcome())
	return b.String()
}

// JSON writes the verdict as one JSON object.
func (v Verdict) JSON(w io.Writer) error {
	type about struct {
		Plan      string        `json:"plan"`
		Mode      string        `json:"mode"`
		Began     time.Time     `json:"began"`
		Ended     time.Time     `json:"ended"`
		Result    engine.Result `json:"result"`
		Outcome   string        `json:"outcome"`
		Signature string        `json:"signature"`
		Remarks   []string      `json:"remarks"`
	}
	out := struct {
		Holds  bool `json:"holds"`
		Signed bool `json:"signed"` // by the key of --key
		*about
		Checks []verify.Check `json:"checks"`
	}{Holds: v.Bad() == 0, Signed: v.Signature == Checked, Checks: v.Checks}
	if d := v.Document; d != nil {
		out.about = &about{d.Plan.Name, d.Run.Mode, d.Run.Began, d.Run.Ended, d.Result(), d.Outcome(), v.Signature, append([]string{}, v.remarks()...)}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}
