// Package record has the messages between the driver of a fleet and its pods: the
// record of a run, the entry of a cluster, and the verdict of a pod.
package record

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// Schemas of the documents.
const (
	RunSchema     = "ztplan.dev/fleet-run/v1"
	VerdictSchema = "ztplan.dev/fleet-verdict/v1"
)

// Exit codes of a pod, beside those of a run.
const (
	ExitHeld  = 4 // held by the stop rule: nothing was touched
	ExitAgain = 5 // of a driver: it ended before its run, and another one goes on
)

// Labels and annotations of the objects of a fleet.
const (
	LabelFleet = "ztplan.dev/fleet"
	LabelRun   = "ztplan.dev/run"
	LabelWave  = "ztplan.dev/wave"
	LabelRound = "ztplan.dev/round"
	LabelKind  = "ztplan.dev/object" // record, clusters, access, job, pod, evidence or driver

	// AnnotationStop on a Job holds its clusters that have not begun; its value is the
	// reason.
	AnnotationStop = "ztplan.dev/stop"
	// AnnotationMade marks the ConfigMap of a record when all objects of its round are
	// there. Nothing is let go before.
	AnnotationMade = "ztplan.dev/made"
	// AnnotationVerdict on a ConfigMap of evidence is the verdict: it is read without the
	// evidence.
	AnnotationVerdict = "ztplan.dev/verdict"
)

// A Run is the record of a run of a fleet, the file run.json of its ConfigMap.
type Run struct {
	Schema  string    `json:"schema"`
	Fleet   string    `json:"fleet"`
	ID      string    `json:"id"`     // of the run
	Digest  string    `json:"digest"` // SHA-256 of plan, files, fleet and image, which the pods run
	Created time.Time `json:"created"`
	Mode    string    `json:"mode"`
	Plan    string    `json:"plan"` // the plan's file in the bundle
	Image   string    `json:"image"`
	Waves   []Wave    `json:"waves"`
	Round   int       `json:"round"` // 0 for the run, 1 for its first resumption
	Retries int       `json:"retries"`
	Timeout Duration  `json:"timeout"`
	// Pull is true for a Job that was delivered into its cluster: it runs with the
	// cluster's own ServiceAccount, and there is no stop rule.
	Pull bool `json:"pull,omitempty"`
	// Registry takes the evidence; nil if ConfigMaps do.
	Registry *Registry `json:"registry,omitempty"`
}

// A Registry is a repository of an OCI registry.
type Registry struct {
	Repository string `json:"repository"`
	Secret     string `json:"secret,omitempty"` // with the credentials, in the namespace of the fleet
	PlainHTTP  bool   `json:"plainHTTP,omitempty"`
}

// A Wave is a wave of a run.
type Wave struct {
	Name     string   `json:"name"`
	Clusters int      `json:"clusters"` // in this round
	Parallel int      `json:"parallel"`
	Limit    string   `json:"limit"`    // of failures, as the fleet has it
	Failures int      `json:"failures"` // that are allowed: the limit for the wave of the first round
	Soak     Duration `json:"soak"`
}

// A Duration is written as in "30m0s".
type Duration = engine.Duration

// Wave returns the wave of a name.
func (r *Run) Wave(name string) (Wave, error) {
	for _, w := range r.Waves {
		if w.Name == name {
			return w, nil
		}
	}
	return Wave{}, fmt.Errorf("run %s has no wave %q", r.ID, name)
}

// An Entry describes its cluster to a pod.
type Entry struct {
	Name          string `json:"name"`
	Server        string `json:"server,omitempty"`
	CA            []byte `json:"ca,omitempty"` // PEM
	TLSServerName string `json:"tlsServerName,omitempty"`
	Audience      string `json:"audience,omitempty"` // of the token, with access.keyless
	Login         []byte `json:"login,omitempty"`    // kubeconfig that runs a command, with access.providers
	Vars          string `json:"vars,omitempty"`     // YAML
}

// Parse reads one of these documents strictly.
func Parse[T any](data []byte) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(data, v); err != nil {
		return nil, err
	}
	return v, nil
}
