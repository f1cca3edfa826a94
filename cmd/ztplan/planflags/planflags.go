// Package planflags has the flags of commands that take a plan. By them it reads the plan
// and makes the environment of its steps: a cluster, or the embedded lab.
package planflags

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/ztlab"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps/session"
)

// Flags are one invocation with the flags of commands that take a plan.
type Flags struct {
	cli.Invocation

	Lab        bool
	LabDir     string
	Charts     string // of a lab that is started
	Keep       bool   // leave a lab that is started up
	Vars       []string
	VarFiles   []string
	Mirrors    []string
	Only, Skip []string
	Parallel   int

	Fragment bool // the file may be a fragment; see [plan.Input]

	Values plan.Values // of a fleet, for the cluster of this pod

	// Detach starts a process that outlives this one; see [engine.Env.Detach].
	Detach func(name string, inherit *os.File) (io.ReadWriteCloser, error)

	// Entered is the lab that the environment is about; nil on a cluster.
	Entered *ztlab.Status
	// Runs is the folder of journals; empty means the user's state directory. It is that
	// of a lab once the lab is entered.
	Runs string
}

// Variables returns the values that --var gives.
func (a *Flags) Variables() (map[string]string, error) {
	vars := make(map[string]string, len(a.Vars))
	for _, v := range a.Vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			return nil, &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("--var %s: there is no value", v), Hint: "write --var name=value"}
		}
		vars[name] = value
	}
	return vars, nil
}

// MirrorList returns the mirrors that --mirror gives.
func (a *Flags) MirrorList() ([]session.Mirror, error) {
	var out []session.Mirror
	for _, m := range a.Mirrors {
		from, to, ok := strings.Cut(m, "=")
		if !ok || from == "" || to == "" {
			return nil, &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("--mirror %s: there are not two addresses", m), Hint: "write --mirror https://charts.example.org=http://127.0.0.1:8080"}
		}
		out = append(out, session.Mirror{From: from, To: to})
	}
	return out, nil
}
