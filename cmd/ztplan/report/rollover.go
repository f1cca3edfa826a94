package report

import (
	"fmt"
	"strings"

	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

// A rolloverView is a new intermediate that took the old one's place during a
// rotation.
type rolloverView struct {
	Lines  []string
	Others []otherView
}

// An otherView is a certificate that was issued anew under it.
type otherView struct{ Name, Serial, At string }

// rolloverOf returns the change of the intermediate during a rotation, nil
// if nothing did.
func rolloverOf(d *evidence.Document, r evidence.RotationRecord) *rolloverView {
	for _, s := range d.Rollovers {
		if s.Step != r.Step || s.Rotation != r.Number {
			continue
		}
		v := &rolloverView{Lines: rolledOver(d, s)}
		for _, o := range s.Reissued {
			v.Others = append(v.Others, otherView{
				o.Namespace + "/" + o.Name, serialOf(d, o.Certificate), fmt.Sprintf("+%.3f s", o.At.Sub(r.Began).Seconds()),
			})
		}
		return v
	}
	return nil
}

// rolledOver states it in sentences.
func rolledOver(d *evidence.Document, s evidence.RolloverRecord) []string {
	lines := []string{fmt.Sprintf("New intermediate %s beside %s (%s in %s)", serialOf(d, s.New), serialOf(d, s.Old), s.Issuer, s.Mount)}
	if s.ByOld != nil && s.ByNew != nil {
		lines = append(lines, "Both signed the same request, and both certificates lead to the trusted root")
	}
	if s.Planned > 0 {
		lines = append(lines, fmt.Sprintf("%d of %s issued anew under the new one", len(s.Reissued), display.Count(s.Planned, "other certificate")))
	}
	if s.Retired.IsZero() {
		return append(lines, "The old one was not retired")
	}
	return append(lines, fmt.Sprintf("The old one was retired and answered %d to the same request: %s", s.Status, strings.TrimSpace(s.Answer)))
}
