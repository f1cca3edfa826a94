package evidence_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

// Every time on record is in UTC, whatever zone a step used, and no list is null.
func TestTimesAreUTC(t *testing.T) {
	at := time.Date(2026, 1, 18, 18, 0, 0, 0, time.FixedZone("", 3600))
	c := evidence.NewCollector(evidence.Plan{Name: "p"}, evidence.Run{Mode: evidence.ModeApply})
	c.Event(engine.Event{Time: at, Step: "rotation", Action: engine.ActionPlan})
	for name, data := range map[string]any{
		evidence.RecordRotation: evidence.Rotation{
			Began: at, Ended: at, Hops: []evidence.Hop{{Name: "secret", At: at, Seen: at, NotYet: at, Written: at}},
			Fault: evidence.Fault{Part: "vault", Began: at, Deletions: []evidence.Deletion{{Deleted: at, Gone: at}}},
		},
		evidence.RecordDenial: evidence.Denial{At: at, Clock: at},
		"other":               map[string]string{"form": "its own"},
	} {
		c.Event(engine.Event{Time: at, Step: "rotation", Action: engine.ActionEvidence, Name: name, Data: data})
	}
	d, err := c.Document(false)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if text := string(b); strings.Contains(text, "+01:00") || strings.Contains(text, ": null") || !strings.Contains(text, "2026-01-18T17:00:00Z") {
		t.Errorf("the document:\n%s", text)
	}
	if len(d.Rotations) != 1 || len(d.Denials) != 1 || len(d.Records) != 1 {
		t.Errorf("%d rotations, %d denials, %d others are on record", len(d.Rotations), len(d.Denials), len(d.Records))
	}
}
