package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/member"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/cmd/ztplan/report"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// memberCommand is the command of the pods of a fleet.
func (a *commands) memberCommand() *cobra.Command {
	var paths member.Paths
	var wave string
	cmd := &cobra.Command{
		Use:    "member",
		Short:  "Run the plan for one cluster, in a pod of a fleet",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			paths.Kubeconfig = a.Kubeconfig
			m, err := member.Open(paths, wave, os.Getenv)
			if err != nil {
				return err
			}
			return a.member(cmd.Context(), m, paths)
		},
	}
	f := cmd.Flags()
	f.StringVar(&a.Kubeconfig, "kubeconfig", "", "kubeconfig `file` of the cluster")
	f.StringArrayVar(&a.mirrors, "mirror", nil, "fetch what is below one address from another, `URL=URL`; repeatable")
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
func (a *commands) member(ctx context.Context, m *member.Member, paths member.Paths) error {
	v := m.Verdict()
	err := a.runMember(ctx, m, paths, &v)
	if ctx.Err() != nil && !errors.As(err, new(*cli.Error)) && err != nil {
		err = &cli.Error{Code: cli.Interrupted, Text: "interrupted before the run of the plan: " + err.Error()}
	}
	v.Exit = cli.CodeOf(err)
	if v.Cause == "" && err != nil {
		v.Cause, v.Hint = err.Error(), cli.HintOf(err)
	}
	document, rerr := engine.ReadFile(filepath.Join(paths.Work, reportFolder, report.EvidenceFile), verify.MaxInput)
	if rerr == nil {
		keep, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
		defer cancel()
		if d, _ := verify.Evidence(document); d != nil {
			member.Describe(&v, d, document)
			v.Place = m.Place(v.Place)
		}
		if kerr := m.Keep(keep, v, document); kerr != nil {
			// The cluster is not settled without its evidence: it is tried again.
			err = errors.Join(err, &cli.Error{Code: cli.Failed, Text: "the evidence is not kept: " + kerr.Error(), Hint: engine.HintOf(kerr)})
			v.Exit, v.Evidence, v.Cause, v.Hint = cli.Failed, "", "the evidence is not kept: "+kerr.Error(), engine.HintOf(kerr)
		}
	} else if !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	if werr := m.WriteVerdict(v); werr != nil {
		fmt.Fprintln(a.Stderr, "ztplan: the verdict is not written:", werr)
		if err == nil {
			err = werr
		}
	}
	return err
}

func (a *commands) runMember(ctx context.Context, m *member.Member, paths member.Paths, v *record.Verdict) error {
	held, err := m.Held(ctx)
	if err != nil {
		return err
	}
	if held != "" {
		v.Cause = held
		return &cli.Error{Code: record.ExitHeld, Text: "cluster " + m.Entry.Name + " is held: " + held, Hint: "ztplan fleet resume takes it up"}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, m.Run.Timeout.Std(), fmt.Errorf("timeout: %v, as the fleet says, are over", m.Run.Timeout))
	defer cancel()
	access, err := m.Access(ctx)
	if err != nil {
		return err
	}
	file, err := m.Plan()
	if err != nil {
		return err
	}
	of := ClusterRun{File: file, Kubeconfig: access, Mirrors: a.mirrors, Report: filepath.Join(paths.Work, reportFolder), Mode: run.Apply}
	if m.Entry.Vars != "" {
		src := source.NewFile("the fleet's variables", []byte(m.Entry.Vars))
		of.Values = plan.Values{File: src, Node: source.Parse(src, "variables", func(*source.Problem) {})}
	}
	if m.Run.Mode == fleet.ModeStatus {
		of.Mode = run.DryRun
	}
	return a.runPlan(ctx, of)
}

// reportFolder is where the run of a pod writes its report, below its folder for files.
const reportFolder = "report"
