package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/cmd/ztplan/report"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// verifyFlags are the demands of a user of evidence.
type verifyFlags struct {
	key    string
	signed bool
	plan   string
	proved bool
	steps  []string
	maxAge time.Duration
}

func (a *app) verifyCommand() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify EVIDENCE|DIR",
		Short: "Check the evidence of a run, offline",
		Long: `Verify computes everything again that follows from evidence.json: digests,
certificates and their chains at the time on record, old and new serial and key,
sums, gaps and hops of every rotation, the verdict of every rule from its limit
and what was seen, the states of the steps, the result and the summary.

Given the folder of a report, it also finds a page that was edited, is missing or
belongs to another run, and files that do not belong to the report.

With --key it demands a signature by that key (` + attest.FileName + ` beside the
evidence). Without one, nothing tells who made the evidence. With --plan it also
compares the plan's file and the files that it names.

That evidence verifies does not mean that the run proved anything: the last line
says how it ended. --require-proved demands that the result is "proved", --steps
that each of these steps is a proof that held, --max-age that the run ended no
longer ago. Together with --key they are what a deployment should ask for.

Evidence without a checked signature may be forged as a whole: all that can be
computed from it agrees, and it exits with 0. The last line says "UNSIGNED" then.
With --key or --require-signed it does not hold.

Exit status: 0 everything holds and is as demanded, 1 something is not.`,
		Example: `  ztplan verify report
  ztplan verify report/evidence.json --key release.pub --plan plans/lab.yaml
  ztplan verify report --key release.pub --require-proved --steps rotation,denials --max-age 24h`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return &exitError{code: exitInvalid, text: fmt.Sprintf("%s takes one file or folder, not %d arguments", cmd.CommandPath(), len(args)),
				hint: "for example: " + cmd.CommandPath() + " report"}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if (f.signed || cmd.Flags().Changed("key")) && f.key == "" {
				return &exitError{code: exitInvalid, text: "--key: is empty, and a signature counts only by a key that you trust",
					hint: "give --key the file with the public key of who runs the plan"}
			}
			return a.verify(cmd.Context(), args[0], f)
		},
	}
	cmd.Flags().StringVar(&f.key, "key", "", "demand a signature by the public key in this PEM `file`")
	cmd.Flags().BoolVar(&f.signed, "require-signed", false, "demand a signature, and --key to check it with")
	cmd.Flags().StringVar(&f.plan, "plan", "", "compare this plan `file`, and the files that it names, with the digests on record")
	cmd.Flags().BoolVar(&f.proved, "require-proved", false, "demand that the run's result is proved")
	cmd.Flags().StringSliceVar(&f.steps, "steps", nil, "demand that each of these step `ids` is a proof that held")
	cmd.Flags().DurationVar(&f.maxAge, "max-age", 0, "demand that the run ended no longer ago than this `duration`, such as 24h")
	return cmd
}

// maxEvidence is how many bytes of evidence are read, and of the events of a run.
const maxEvidence = 256 << 20

func (a *app) verify(ctx context.Context, name string, f verifyFlags) error {
	if f.maxAge < 0 {
		return &exitError{code: exitInvalid, text: fmt.Sprintf("--max-age %s: is negative", f.maxAge), hint: "for example: --max-age 24h"}
	}
	file, folder := name, false
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		file, folder = filepath.Join(name, report.EvidenceFile), true
	}
	data, err := engine.ReadFile(file, maxEvidence)
	if err != nil {
		return err
	}
	d, checks := verify.Evidence(data)
	v := verified{doc: d, checks: checks}
	if d != nil {
		own, _ := ownDigest()
		by := report.Renderer{Version: versionString(), Binary: own}
		if folder {
			v.checks = append(v.checks, report.Folder(name, d, by, attest.FileName))
		} else {
			v.checks = append(v.checks, report.Recorded(d, by))
		}
		if f.plan != "" {
			v.checks = append(v.checks, checkPlan(d, f.plan))
		}
		signature, state, err := checkSignature(ctx, d, data, file, f.key)
		if err != nil {
			return err
		}
		v.checks, v.signature = append(v.checks, signature), state
		if f.proved || len(f.steps) > 0 || f.maxAge > 0 {
			v.checks = append(v.checks, f.demands(d, a.now()))
		}
	}
	return a.showChecks(v)
}

// demands is the name of the check of the flags' demands.
const demands = "demands"

// demands checks the demands of the flags.
func (f verifyFlags) demands(d *evidence.Document, now time.Time) verify.Check {
	c := verify.Check{Name: demands}
	add := func(format string, args ...any) { c.Problems = append(c.Problems, fmt.Sprintf(format, args...)) }
	var did []string
	if f.proved {
		did = append(did, "the run is proved")
		if d.Result() != engine.ResultProved {
			add("the run is not proved: %s%s", d.Outcome(), listed(": ", d.ProofsLeft()))
		}
	}
	for _, id := range f.steps {
		did = append(did, "step "+id+" held")
		i := slices.IndexFunc(d.Steps, func(s evidence.Step) bool { return s.ID == id })
		switch {
		case i < 0:
			add("step %s is not in the plan", id)
		case d.Steps[i].State == "proved":
		case d.Steps[i].Proof:
			add("step %s did not hold: %s", id, d.Steps[i].State)
		default:
			add("step %s is no proof: %s, %s", id, d.Steps[i].Kind, d.Steps[i].State)
		}
	}
	if f.maxAge > 0 {
		did = append(did, "ended at most "+f.maxAge.String()+" ago")
		switch age := now.Sub(d.Run.Ended).Round(time.Second); {
		case age > f.maxAge:
			add("the run ended %s ago, at %s", age, d.Run.Ended.Format(time.RFC3339))
		case age < -time.Minute:
			add("the run ended in the future, at %s: compare the clocks", d.Run.Ended.Format(time.RFC3339))
		}
	}
	c.Did = strings.Join(did, ", ")
	return c
}

func listed(before string, ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return before + strings.Join(ids, ", ")
}

func checkPlan(d *evidence.Document, planFile string) verify.Check {
	c := verify.Check{Name: "plan", Did: planFile + " and " + evidence.Count(len(d.Plan.Files), "file") + " that it names"}
	compare := func(name, path, want string) {
		data, err := engine.ReadFile(path, engine.MaxInput)
		if err != nil {
			c.Problems = append(c.Problems, err.Error())
		} else if got := evidence.Digest(data); got != want {
			c.Problems = append(c.Problems, fmt.Sprintf("%s has SHA-256 %s, the run's had %s", name, got, want))
		}
	}
	compare(planFile, planFile, d.Plan.Digest)
	for _, f := range d.Plan.Files {
		path := f.Name
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(planFile), path)
		}
		compare(f.Name, path, f.Digest)
	}
	return c
}

// The states of a signature.
const (
	signatureChecked  = "checked"
	signatureUnknown  = "not checked" // there is one, and no key to check it with
	signatureUnsigned = "unsigned"
)

func checkSignature(ctx context.Context, d *evidence.Document, data []byte, file, key string) (c verify.Check, state string, _ error) {
	c.Name = "signature"
	var public *attest.Key
	if key != "" {
		text, err := engine.ReadFile(key, engine.MaxInput)
		if err == nil {
			public, err = attest.ParsePublic(key, text)
		}
		if err != nil {
			return c, "", &exitError{code: exitInvalid, text: "--key: " + err.Error(), hint: "get it from the private key with: openssl pkey -in key.pem -pubout"}
		}
	}
	envelope, err := engine.ReadFile(filepath.Join(filepath.Dir(file), attest.FileName), maxEvidence)
	switch {
	case errors.Is(err, os.ErrNotExist) && key == "":
		c.Open, c.Did = true, "unsigned: nothing tells who made this"
		return c, signatureUnsigned, nil
	case errors.Is(err, os.ErrNotExist):
		c.Problems = append(c.Problems, "unsigned: there is no "+attest.FileName+" beside the evidence")
		return c, signatureUnsigned, nil
	case err != nil:
		c.Problems = append(c.Problems, err.Error())
		return c, signatureUnknown, nil
	}
	ids, err := attest.Verify(ctx, d, data, envelope, public)
	switch {
	case err != nil:
		c.Problems = append(c.Problems, err.Error())
		return c, signatureUnknown, nil
	case public == nil:
		c.Open, c.Did = true, fmt.Sprintf("by key %s: NOT checked, give --key; the statement agrees with the evidence", strings.Join(ids, ", "))
		return c, signatureUnknown, nil
	}
	c.Did = "by key " + strings.Join(ids, ", ")
	return c, signatureChecked, nil
}

// verified is evidence with the results of its verification.
type verified struct {
	doc       *evidence.Document // may be nil
	checks    []verify.Check
	signature string
}

// by adds to the result the missing knowledge about the evidence's maker.
func (v verified) by() string {
	switch v.signature {
	case signatureUnsigned:
		return ", UNSIGNED"
	case signatureUnknown:
		return ", signature NOT CHECKED"
	}
	return ""
}

// bad counts the checks that do not hold.
func (v verified) bad() (n int) {
	for _, c := range v.checks {
		if !c.Holds() {
			n++
		}
	}
	return n
}

// remarks returns the notes for a reader beside the result.
func (v verified) remarks() []string {
	d := v.doc
	var out []string
	if d.Run.Mode == evidence.ModeDryRun {
		out = append(out, "dry run: nothing was written and no proof was run")
	} else if left := d.ProofsLeft(); len(left) > 0 {
		out = append(out, "proofs skipped: "+strings.Join(left, ", "))
	}
	if d.Run.Remark != "" {
		out = append(out, d.Run.Remark)
	}
	switch v.signature {
	case signatureUnsigned:
		out = append(out, "unsigned: anybody may have made it or changed it with care")
	case signatureUnknown:
		out = append(out, "signature not checked: anybody may have made it or changed it with care")
	}
	return out
}

func (a *app) showChecks(v verified) error {
	var err error
	if a.output == "json" {
		err = a.checksJSON(v)
	} else {
		_, err = io.WriteString(a.text, checksText(v))
	}
	if err == nil && v.bad() > 0 {
		err = &exitError{code: exitFailed}
	}
	return err
}

func checksText(v verified) string {
	var b strings.Builder
	for _, c := range v.checks {
		mark := "✓"
		switch {
		case !c.Holds():
			mark = "✗"
		case c.Open:
			mark = "-"
		}
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("%s %-13s %s", mark, c.Name, oneLine(c.Did)), " "))
		for _, p := range c.Problems {
			fmt.Fprintf(&b, "    %s\n", oneLine(p))
		}
	}
	switch bad := v.bad(); {
	case bad == 0:
	case bad == 1 && !v.checks[len(v.checks)-1].Holds() && v.checks[len(v.checks)-1].Name == demands:
		fmt.Fprintf(&b, "\nthe evidence holds"+v.by()+", and is not what is demanded: plan %s, %s\n", v.doc.Plan.Name, v.doc.Outcome())
		return b.String()
	default:
		fmt.Fprintf(&b, "\n%d of %d checks do not hold: do not rely on this evidence\n", bad, len(v.checks))
		return b.String()
	}
	d := v.doc
	for _, r := range v.remarks() {
		fmt.Fprintf(&b, "remark: %s\n", oneLine(r))
	}
	fmt.Fprintf(&b, "\nthe evidence holds%s: plan %s, %s on %s, %s\n", v.by(), d.Plan.Name, d.Run.Mode, d.Run.Began.Format("2006-01-02 15:04:05 UTC"), d.Outcome())
	return b.String()
}

// oneLine keeps a text of the evidence from passing for a check of its own.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

func (a *app) checksJSON(v verified) error {
	type check struct {
		Name     string   `json:"name"`
		Holds    *bool    `json:"holds"` // null: there was nothing to check, or nothing to check it with
		Did      string   `json:"did"`
		Problems []string `json:"problems"`
	}
	type about struct {
		Plan      string        `json:"plan"`
		Mode      string        `json:"mode"`
		Began     time.Time     `json:"began"`
		Ended     time.Time     `json:"ended"`
		Result    engine.Result `json:"result"`
		Outcome   string        `json:"outcome"`
		Signature string        `json:"signature"`
		Remarks   []string      `json:"remarks"`
	}
	out := struct {
		Holds  bool `json:"holds"`
		Signed bool `json:"signed"` // by the key of --key
		*about
		Checks []check `json:"checks"`
	}{Holds: v.bad() == 0, Signed: v.signature == signatureChecked}
	if d := v.doc; d != nil {
		out.about = &about{d.Plan.Name, d.Run.Mode, d.Run.Began, d.Run.Ended, d.Result(), d.Outcome(), v.signature, append([]string{}, v.remarks()...)}
	}
	for _, c := range v.checks {
		var holds *bool
		if !c.Open || !c.Holds() {
			holds = new(bool)
			*holds = c.Holds()
		}
		out.Checks = append(out.Checks, check{c.Name, holds, c.Did, append([]string{}, c.Problems...)})
	}
	enc := json.NewEncoder(display.JSONWriter{W: a.stdout})
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}
