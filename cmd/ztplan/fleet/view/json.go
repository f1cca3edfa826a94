package view

import (
	"encoding/json"
	"io"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/drive"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/hub"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/engine/display"
)

// JSON writes a run as lines of JSON; see the package doc.
type JSON struct {
	enc   *json.Encoder
	fleet Fleet
	wave  WaveEvent       // that was written last, without its time
	ended map[string]bool // pods
	held  map[string]bool // clusters, by wave and name
}

// A WaveEvent is the state of a wave.
type WaveEvent struct {
	Time   time.Time `json:"time"`
	Action string    `json:"action"` // wave
	Wave   string    `json:"wave"`
	Counts
	Over         bool      `json:"over"`
	Holds        string    `json:"holds,omitempty"`
	SoakingUntil time.Time `json:"soakingUntil,omitzero"`
}

// A ClusterEvent is the end of a try.
type ClusterEvent struct {
	Time    time.Time       `json:"time"`
	Action  string          `json:"action"` // cluster
	Wave    string          `json:"wave"`
	Cluster string          `json:"cluster"`
	Pod     string          `json:"pod,omitempty"`
	State   string          `json:"state"`
	Again   bool            `json:"again"`
	Cause   string          `json:"cause,omitempty"`
	Verdict *record.Verdict `json:"verdict,omitempty"`
}

// An EndEvent is the end of the run.
type EndEvent struct {
	Time   time.Time    `json:"time"`
	Action string       `json:"action"` // end
	Head   *ledger.Head `json:"head"`
	Report string       `json:"report,omitempty"`
}

// NewJSON returns a JSON that writes to w.
func NewJSON(w io.Writer, f Fleet) *JSON {
	enc := json.NewEncoder(display.JSONWriter{W: w})
	enc.SetEscapeHTML(false)
	return &JSON{enc: enc, fleet: f, ended: make(map[string]bool), held: make(map[string]bool)}
}

// Show takes the state of the wave that runs.
func (j *JSON) Show(s drive.Snapshot) {
	now := time.Now().UTC()
	for _, p := range s.Settled {
		j.cluster(now, &s, p)
	}
	for i := len(s.Failing) - 1; i >= 0; i-- { // the newest is first
		j.cluster(now, &s, s.Failing[i])
	}
	for i := range s.Clusters {
		if name := j.clusterName(s.Name, i); s.Held[i] && !j.held[s.Name+"\x00"+name] {
			j.held[s.Name+"\x00"+name] = true
			_ = j.enc.Encode(ClusterEvent{Time: now, Action: "cluster", Wave: s.Name, Cluster: name, State: ledger.Held})
		}
	}
	e := WaveEvent{Action: "wave", Wave: s.Name, Counts: countsOf(&s), Over: s.Over, Holds: holds(&s), SoakingUntil: s.Soaking}
	if e == j.wave {
		return
	}
	j.wave = e
	e.Time = now
	_ = j.enc.Encode(e)
}

func (j *JSON) cluster(now time.Time, s *drive.Snapshot, p hub.Pod) {
	if j.ended[p.Name] {
		return
	}
	j.ended[p.Name] = true
	e := ClusterEvent{Time: now, Action: "cluster", Wave: s.Name, Cluster: j.clusterName(s.Name, p.Index), Pod: p.Name, State: ledger.Crashed, Cause: p.Cause(), Verdict: p.Verdict}
	if p.Verdict != nil {
		e.State, e.Cause = ledger.StateOf(p.Verdict), ""
	}
	e.Again = !s.Failed[p.Index] && e.State != ledger.Proved && e.State != ledger.Converged
	_ = j.enc.Encode(e)
}

// clusterName returns the name without escapes: JSON makes them.
func (j *JSON) clusterName(wave string, index int) string {
	if names := j.fleet.Names[wave]; index >= 0 && index < len(names) {
		return names[index]
	}
	return ""
}

// End takes the end of the run; report is the directory of its report, or empty.
func (j *JSON) End(head *ledger.Head, report string) {
	_ = j.enc.Encode(EndEvent{Time: time.Now().UTC(), Action: "end", Head: head, Report: report})
}
