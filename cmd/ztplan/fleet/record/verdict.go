package record

import (
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/ztplan/ztplan/engine"
)

// MaxVerdict is how many bytes of a termination message a kubelet keeps
// (k8s.io/kubernetes/pkg/kubelet/container: MaxContainerTerminationMessageLength).
const MaxVerdict = 4096

// A Verdict is the outcome of a try of a cluster. A pod writes it as its termination
// message. A pod without one crashed, or was killed.
type Verdict struct {
	Schema   string        `json:"schema"`
	Run      string        `json:"run"`
	Round    int           `json:"round"`
	Wave     string        `json:"wave"`
	Cluster  string        `json:"cluster"`
	Exit     int           `json:"exit"`
	Result   engine.Result `json:"result,omitempty"`   // of the run; empty if it did not begin
	Evidence string        `json:"evidence,omitempty"` // SHA-256 of evidence.json; empty if there is none
	Began    time.Time     `json:"began,omitzero"`
	Ended    time.Time     `json:"ended,omitzero"`
	Steps    int           `json:"steps,omitempty"`
	Changed  int           `json:"changed,omitempty"`
	Proved   int           `json:"proved,omitempty"`
	Step     string        `json:"step,omitempty"`  // that failed first
	Place    string        `json:"place,omitempty"` // of that step in the plan
	Cause    string        `json:"cause,omitempty"` // its error, or why the cluster was not touched
	Hint     string        `json:"hint,omitempty"`
	Version  string        `json:"version,omitempty"`    // of ztplan
	Server   string        `json:"kubernetes,omitempty"` // version of the cluster
	UID      string        `json:"uid,omitempty"`        // of the cluster's namespace kube-system
	Rotation *Rotation     `json:"rotation,omitempty"`   // the slowest one
}

// A Rotation sums up a rotation proof.
type Rotation struct {
	Step       string  `json:"step"`
	Switch     float64 `json:"switch"` // seconds, as observed
	Handshakes int     `json:"handshakes"`
	Failures   int     `json:"failures"`
	Doubt      float64 `json:"doubt"` // the greatest of all groups of servers
}

// Settled reports whether the cluster is as its fleet wants it.
func (v *Verdict) Settled() bool { return v.Exit == 0 }

// Encode returns the verdict with its longest texts cut so that a kubelet keeps all of
// it.
func (v Verdict) Encode() []byte {
	for {
		data, err := json.Marshal(v)
		if err != nil {
			panic(err) // it has no values that cannot be encoded
		}
		over := len(data) - MaxVerdict
		if over <= 0 {
			return data
		}
		longest := &v.Cause
		for _, s := range []*string{&v.Hint, &v.Place} {
			if len(*s) > len(*longest) {
				longest = s
			}
		}
		*longest = cut(*longest, max(0, len(*longest)-over-len("…")))
	}
}

// cut returns the first bytes of a text, at most n and an ellipsis, without a broken
// character.
func cut(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	if n == 0 {
		return ""
	}
	return s[:n] + "…"
}

// ParseVerdict reads a termination message; nil if it is no verdict.
func ParseVerdict(message string) *Verdict {
	v, err := Parse[Verdict]([]byte(message))
	if err != nil || v.Schema != VerdictSchema {
		return nil
	}
	return v
}
