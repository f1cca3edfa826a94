package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/member"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/cmd/ztplan/report"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/evidence/verify"
	"github.com/ztplan/ztplan/steps/session/lease"
)

// fleetMemberCommand is what the pods of a fleet run.
func (a *app) fleetMemberCommand() *cobra.Command {
	var paths member.Paths
	var wave string
	cmd := &cobra.Command{
		Use:    "member",
		Short:  "Run the plan for one cluster, in a pod of a fleet",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			paths.Kubeconfig = a.kubeconfig
			m, err := member.Open(paths, wave, os.Getenv)
			if err != nil {
				return err
			}
			return a.member(cmd.Context(), m, paths)
		},
	}
	f := cmd.Flags()
	f.StringVar(&paths.Run, "run", "", "folder of the record of the run")
	f.StringVar(&paths.Cluster, "cluster", "", "file with the entry of the cluster")
	f.StringVar(&paths.Work, "work", "", "folder for files")
	f.StringVar(&paths.Identity, "identity", "", "folder of the pod's ServiceAccount")
	f.StringVar(&paths.Verdict, "verdict", "", "file of the termination message")
	f.StringVar(&paths.Registry, "registry", "", "file with the credentials for the registry of the evidence")
	f.StringVar(&wave, "wave", "", "name of the wave")
	return cmd
}

// keepTimeout bounds how long an interrupted pod goes on keeping its evidence. It is
// within the grace period.
const keepTimeout = 8 * time.Minute

// member runs the plan for a cluster unless the stop rule holds it, keeps the evidence,
// and leaves the verdict.
func (a *app) member(ctx context.Context, m *member.Member, paths member.Paths) error {
	v := m.Verdict()
	err := a.memberRun(ctx, m, paths, &v)
	if ctx.Err() != nil && !errors.As(err, new(*exitError)) && err != nil {
		err = &exitError{code: exitInterrupted, text: "interrupted before the run of the plan: " + err.Error()}
	}
	v.Exit = exitCodeOf(err)
	if v.Cause == "" && err != nil {
		v.Cause, v.Hint = err.Error(), hintOf(err)
	}
	document, rerr := engine.ReadFile(filepath.Join(paths.Work, "report", report.EvidenceFile), maxEvidence)
	if rerr == nil {
		keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
		defer cancel()
		if d, _ := verify.Evidence(document); d != nil {
			member.Describe(&v, d, document)
			v.Place = m.Place(v.Place)
		}
		if kerr := m.Keep(keep, v, document); kerr != nil {
			// The cluster is not settled without its evidence: it is tried again.
			err = errors.Join(err, &exitError{code: exitFailed, text: "the evidence is not kept: " + kerr.Error(), hint: engine.HintOf(kerr)})
			v.Exit, v.Evidence, v.Cause, v.Hint = exitFailed, "", "the evidence is not kept: "+kerr.Error(), engine.HintOf(kerr)
		}
	} else if !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	if werr := m.WriteVerdict(v); werr != nil {
		fmt.Fprintln(a.stderr, "ztplan: the verdict is not written:", werr)
		if err == nil {
			err = werr
		}
	}
	return err
}

func (a *app) memberRun(ctx context.Context, m *member.Member, paths member.Paths, v *record.Verdict) error {
	held, err := m.Held(ctx)
	if err != nil {
		return err
	}
	if held != "" {
		v.Cause = held
		return &exitError{code: record.ExitHeld, text: "cluster " + m.Entry.Name + " is held: " + held, hint: "ztplan fleet resume takes it up"}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, m.Run.Timeout.Std(), fmt.Errorf("timeout: %v, as the fleet says, are over", m.Run.Timeout))
	defer cancel()
	if a.kubeconfig, err = m.Access(ctx); err != nil {
		return err
	}
	file, err := m.Plan()
	if err != nil {
		return err
	}
	if m.Entry.Vars != "" {
		src := source.NewFile("the fleet's variables", []byte(m.Entry.Vars))
		a.values = plan.Values{File: src, Node: source.Parse(src, "variables", func(*source.Problem) {})}
	}
	a.report = filepath.Join(paths.Work, "report")
	a.safety.lockNamespace, a.safety.patient = lease.DefaultNamespace, true
	mode := run.Apply
	if m.Run.Mode == fleet.ModeStatus {
		mode = run.DryRun
	}
	return a.run(ctx, file, mode)
}

// exitCodeOf returns the exit code of the program that ends with an error.
func exitCodeOf(err error) int {
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	}
	return exitFailed
}

func hintOf(err error) string {
	var exit *exitError
	if errors.As(err, &exit) && exit.hint != "" {
		return exit.hint
	}
	return engine.HintOf(err)
}
