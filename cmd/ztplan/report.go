package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/planrun"
	"github.com/ztplan/ztplan/cmd/ztplan/report"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/durable"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/session"
)

// reportFlags are the flags of commands that write a report.
func (a *app) reportFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.report, "report", "", "write evidence.json, report.html, junit.xml and summary.md into this `directory`")
	cmd.Flags().StringVar(&a.signKey, "sign-key", "", "with --report: sign the evidence with this private `key`: a PEM file (PKCS#8, Ed25519 or ECDSA P-256), or a Vault transit key of the plan's Vault, hashivault://[MOUNT/]KEY")
}

// A reporting collects the contents of a run's report. A nil one does nothing.
type reporting struct {
	dir       string
	key       signingKey // nil without --sign-key
	kill      context.Context
	out       io.Writer
	env       engine.Env // of the run
	plan      *plan.Plan
	collector *evidence.Collector

	room *room // in dir, for the files written at the end

	about      evidence.Subject // as far as it is known before the run
	namespaces []string         // of the plan's releases
}

// A signingKey returns the key to sign with once the run is over.
type signingKey func(ctx context.Context, env *engine.Env, res *run.Result) (*attest.Key, error)

// newReporting makes sure, before anything is contacted, that there can be a
// report.
func (a *app) newReporting(p *plan.Plan, mode run.Mode) (*reporting, error) {
	if a.report == "" {
		if a.signKey != "" {
			return nil, &cli.Error{Code: cli.Invalid, Text: "--sign-key: there is nothing to sign", Hint: "add --report DIR"}
		}
		return nil, nil
	}
	r := &reporting{dir: a.report, kill: a.Kill, out: a.Stderr, plan: p}
	var err error
	if a.signKey != "" {
		if r.key, err = a.signingKey(p, mode); err != nil {
			return nil, &cli.Error{Code: cli.Invalid, Text: "--sign-key: " + err.Error(), Hint: engine.HintOf(err)}
		}
	}
	if r.room, err = takeRoom(r.dir); err != nil {
		return nil, &cli.Error{Code: cli.Invalid, Text: "--report: " + err.Error(),
			Hint: "give --report a directory that this user may write to, with some megabytes of room; nothing was contacted"}
	}
	return r, nil
}

// close gives up the room of a report that was not written.
func (r *reporting) close() {
	if r != nil {
		r.room.release()
	}
}

// begin records the subject of the run.
func (a *app) begin(ctx context.Context, r *reporting, p *plan.Plan, mode run.Mode, env engine.Env) error {
	if r == nil {
		return nil
	}
	r.env = env
	r.env.Warnf = func(format string, args ...any) { fmt.Fprintf(r.out, "ztplan: warning: "+format+"\n", args...) }
	about, err := planEvidence(p)
	if err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	how := evidence.Run{Mode: evidence.ModeApply, Version: a.Version, Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if mode == run.DryRun {
		how.Mode = evidence.ModeDryRun
	}
	if a.Entered != nil {
		how.Remark = "on the embedded lab: its APISIX gateway and nginx are stand-ins, so this shows nothing about the real ones"
		how.Versions = a.Entered.Versions
	}
	r.collector = evidence.NewCollector(about, how)
	r.about, r.namespaces = a.aboutRun(ctx, p, session.Of(&env).Mirrors), planrun.ReleaseNamespaces(p)
	return nil
}

func (r *reporting) event(e engine.Event) {
	if r != nil {
		r.collector.Event(e)
	}
}

// write writes the report; the run may have failed or been interrupted. The
// evidence is there, without a signature, when signing it fails. When its directory
// cannot be written after all, it goes to another place, and that is an error.
func (r *reporting) write(ctx context.Context, res *run.Result) error {
	if r == nil || res == nil {
		return nil
	}
	var about *evidence.Subject
	var wg engine.Group
	wg.Go(func() { about = r.subject(ctx, res) })
	state := r.diagnose(ctx, res)
	wg.Wait()
	r.collector.About(about)
	r.collector.Diagnose(state)
	d, err := r.collector.Document(res.Interrupted)
	if err != nil {
		return err
	}
	r.room.release()
	data, dir, err := r.files(d)
	if dir == "" {
		return err
	}
	errs := []error{err}
	if r.key != nil {
		envelope, err := r.sign(ctx, res, d, data)
		if err == nil {
			err = durable.WriteFile(filepath.Join(dir, attest.FileName), envelope, 0o644)
		}
		if err != nil {
			errs = append(errs, engine.WithHint(fmt.Errorf("--sign-key: the evidence is written and NOT signed: %w", err), engine.HintOf(err)))
		}
	}
	errs = append(errs, cli.GitHubSummary(report.Summary(d)))
	fmt.Fprintf(r.out, "report: %s\n", filepath.Join(dir, "report.html"))
	return errors.Join(errs...)
}

// files writes the files of the report and returns the evidence and where it is:
// the report's directory, else a temporary one; "" if it is only on standard error.
func (r *reporting) files(d *evidence.Document) (data []byte, dir string, err error) {
	// The statement of an earlier run must not lie beside this evidence.
	err = os.Remove(filepath.Join(r.dir, attest.FileName))
	if err == nil || errors.Is(err, os.ErrNotExist) {
		data, err = report.Write(r.dir, d)
	}
	if err == nil {
		return data, r.dir, nil
	}
	err = fmt.Errorf("--report: %w", err)
	dir, other := os.MkdirTemp("", "ztplan-report-")
	if other == nil {
		data, other = report.Write(dir, d)
	}
	if other == nil {
		return data, dir, engine.WithHint(err, "the evidence of this run is in "+dir+" instead: keep it")
	}
	if _, serr := os.Stat(filepath.Join(dir, report.EvidenceFile)); data != nil && serr == nil {
		return data, dir, engine.WithHint(errors.Join(err, other), "the evidence of this run is in "+dir+" instead: keep it")
	}
	if dir != "" {
		_ = os.RemoveAll(dir)
	}
	if data == nil {
		unsealed := d.Seal()
		text, unwritten := d.Encode()
		if unsealed != nil || unwritten != nil {
			return nil, "", errors.Join(err, other, unsealed, unwritten)
		}
		data = text
	}
	fmt.Fprintf(r.out, "ztplan: the evidence of this run, which no file could take:\n%s\n", data)
	return nil, "", errors.Join(err, other)
}

// planEvidence identifies the plan: the digests of the plan and of every file
// that it reads, as they were read. Files that secrets are written to are not read;
// charts are on record with their releases.
func planEvidence(p *plan.Plan) (evidence.Plan, error) {
	data, err := p.Inputs.ReadGiven(p.File)
	if err != nil {
		return evidence.Plan{}, err
	}
	out := evidence.Plan{Name: p.Name, File: p.File, Digest: evidence.Digest(data)}
	files := make(map[string]engine.File)
	for _, f := range p.Fragments() {
		files[f.Name] = f
	}
	for _, s := range p.Steps {
		spec, _ := s.Draft()
		for _, f := range engine.InputFiles(spec) {
			files[f.Name] = f
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		data, err := files[name].Read()
		if err != nil {
			return evidence.Plan{}, err
		}
		out.Files = append(out.Files, evidence.FileDigest{Name: name, Digest: evidence.Digest(data)})
	}
	return out, nil
}
