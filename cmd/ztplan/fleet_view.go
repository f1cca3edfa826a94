package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/drive"
)

// A fleetView prints the progress of waves: a line when something changed.
type fleetView struct {
	out  io.Writer
	last string
}

func (v *fleetView) show(s drive.Snapshot) {
	line := waveLine(s)
	if line == v.last {
		return
	}
	v.last = line
	fmt.Fprintln(v.out, line)
}

// waveLine describes a wave.
func waveLine(s drive.Snapshot) string {
	var parts []string
	add := func(n int, word string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	add(len(s.Succeeded), "settled")
	add(len(s.Running), "running")
	add(len(s.Failed), "failed")
	add(len(s.Held), "held")
	left := s.Clusters - len(s.Succeeded) - len(s.Failed) - len(s.Held) - len(s.Running)
	add(left, "to come")
	text := fmt.Sprintf("wave %s: %s", s.Name, strings.Join(parts, ", "))
	switch {
	case s.Stopped != "":
		text += "; stopped: " + s.Stopped
	case !s.Soaking.IsZero():
		text += "; soaking until " + s.Soaking.Local().Format(time.TimeOnly)
	case s.Exceeded():
		text += fmt.Sprintf("; no further cluster is touched: %d failed, and %s may", len(s.Failed), s.Limit)
	}
	if len(s.Waiting) > 0 {
		text += fmt.Sprintf("; pod %s cannot start: %s", s.Waiting[0].Name, s.Waiting[0].Reason)
	}
	return text
}
