package evidence

import (
	"github.com/ztplan/ztplan/engine"
)

// A Subject describes where a run was and who ran it. Facts that could not be read
// are left out with a remark.
type Subject struct {
	Cluster   *Cluster       `json:"cluster,omitempty"`
	User      string         `json:"user,omitempty"` // who ran it, as the API server knows them (SelfSubjectReview)
	Host      string         `json:"host,omitempty"` // name of the machine that ran it
	Job       *Job           `json:"job,omitempty"`  // of the CI system that ran it
	Checkout  *Checkout      `json:"checkout,omitempty"`
	Variables map[string]any `json:"variables"`       // values of the plan's variables; those of secret ones are left out
	Secret    []string       `json:"secretVariables"` // names of the secret ones
	Only      []string       `json:"only"`            // --only
	Skip      []string       `json:"skip"`            // --skip
	Mirrors   []Mirror       `json:"mirrors"`
	Images    []Image        `json:"images"`           // of the pods in the namespaces of the plan's releases, as they were at the end of the run
	Binary    string         `json:"binary,omitempty"` // SHA-256 of the ztplan that ran
	Remarks   []string       `json:"remarks"`
}

// A Cluster is a Kubernetes cluster.
type Cluster struct {
	Server  string `json:"server"`            // address of the API server
	UID     string `json:"uid,omitempty"`     // of the namespace kube-system, which stands for the cluster
	Version string `json:"version,omitempty"` // of the API server
}

// A Job is a job of a CI system.
type Job struct {
	System string            `json:"system"` // "GitHub Actions"
	Facts  map[string]string `json:"facts"`  // by the name of the system's environment variable
}

// A Checkout is the Git work tree that the plan's file is in.
type Checkout struct {
	Commit  string   `json:"commit"`
	Clean   bool     `json:"clean"`             // whether the work tree is that of the commit
	Changes []string `json:"changes,omitempty"` // the first that differ, as git status --short prints them
}

// A Mirror is an address and the one that was used in its place.
type Mirror struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// An Image is a container image that ran.
type Image struct {
	Namespace  string `json:"namespace"`
	Image      string `json:"image"`        // as the pod names it
	ID         string `json:"id,omitempty"` // as the container runtime reports it, with a digest
	Containers int    `json:"containers"`   // how many ran it
}

// Result returns how the run ended. Evidence of versions that knew only passed
// is read with care: only its steps count.
func (d *Document) Result() engine.Result {
	if d.Run.Result != Passed {
		return engine.Result(d.Run.Result)
	}
	var s engine.Summary
	for _, step := range d.Steps {
		switch step.State {
		case "proved":
			s.Proved++
			s.Proofs++
		case "skipped", "would":
			s.Proofs++ // it may have been one
		}
	}
	return engine.ResultOf(s, engine.Ending{DryRun: d.Run.Mode == ModeDryRun})
}

// Outcome returns the result in words.
func (d *Document) Outcome() string {
	s := d.Summary
	s.Result = d.Result()
	if d.Run.Result == Passed && s.Result == engine.ResultConverged {
		return "converged, and it is not on record whether proofs were skipped"
	}
	return s.Outcome()
}

// ProofsLeft returns the ids of the proofs that were skipped or, in a dry run,
// not run. They are of no interest in a failed run: steps after a failed one are
// skipped.
func (d *Document) ProofsLeft() []string {
	var ids []string
	for _, s := range d.Steps {
		if s.Proof && (s.State == "skipped" || s.State == "would") {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
