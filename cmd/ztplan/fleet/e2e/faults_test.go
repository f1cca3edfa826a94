package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A fault is a row of the table.
type fault struct {
	name  string
	quick bool // in make test as well
	set   setting
	meet  func(*trial) string // returns the observation
}

// TestFaults lets fleets meet faults of drivers, hubs, members, pods, evidence and stops.
// No cluster may be run twice at once, no evidence be lost, no settled cluster be touched
// by a resumption, and no cluster that is held at all.
func TestFaults(t *testing.T) {
	if !full() {
		t.Skip("every fault: make fleet-faults")
	}
	w := newWorld(t, 3)
	w.faults(t, func(fault) bool { return true })
}

// faults lets a fleet of its own meet each fault, and prints the table.
func (w *world) faults(t *testing.T, wanted func(fault) bool) {
	var rows []fault
	for _, list := range [][]fault{driverFaults(), serverFaults(), podFaults(), accessFaults(), stopFaults(), evidenceFaults()} {
		for _, f := range list {
			if wanted(f) {
				rows = append(rows, f)
			}
		}
	}
	g := newGate(t)
	var table strings.Builder
	var sum toll
	bad := 0
	for i, f := range rows {
		var tr *trial
		seen := "did not end"
		began := time.Now()
		held := t.Run(strings.ReplaceAll(f.name, " ", "-"), func(t *testing.T) {
			tr = w.trial(t, g, fmt.Sprintf("f%02d", i), f.set)
			seen = f.meet(tr)
			tr.count()
		})
		mark := "ok"
		if !held {
			mark = "BAD"
			bad++
		}
		if tr != nil {
			sum.twice, sum.lost = sum.twice+tr.toll.twice, sum.lost+tr.toll.lost
			sum.retouched, sum.unheld = sum.retouched+tr.toll.retouched, sum.unheld+tr.toll.unheld
		}
		fmt.Fprintf(&table, "%-4s%-48s%4.0f s  %s\n", mark, f.name, time.Since(began).Seconds(), seen)
	}
	t.Logf("\n%s%d faults, %d not met as they should be: %v", table.String(), len(rows), bad, sum)
}
