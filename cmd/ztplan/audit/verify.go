package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/report"
	"github.com/ztplan/ztplan/cmd/ztplan/verdict"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// verifyFlags are the demands of a user of evidence.
type verifyFlags struct {
	key     string
	signed  bool
	plan    string
	demands verdict.Demands
}

// VerifyCommand returns the command that checks evidence.
func VerifyCommand(a *cli.Invocation) *cobra.Command {
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
		Args: cli.OneArgument("file or folder", "report"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (f.signed || cmd.Flags().Changed("key")) && f.key == "" {
				return &cli.Error{Code: cli.Invalid, Text: "--key: is empty, and a signature counts only by a key that you trust",
					Hint: "give --key the file with the public key of who runs the plan"}
			}
			return check(cmd.Context(), a, args[0], f)
		},
	}
	a.OutputFlag(cmd, "text", "json")
	cmd.Flags().StringVar(&f.key, "key", "", "demand a signature by the public key in this PEM `file`")
	cmd.Flags().BoolVar(&f.signed, "require-signed", false, "demand a signature, and --key to check it with")
	cmd.Flags().StringVar(&f.plan, "plan", "", "compare this plan `file`, and the files that it names, with the digests on record")
	cmd.Flags().BoolVar(&f.demands.Proved, "require-proved", false, "demand that the run's result is proved")
	cli.IDsVar(cmd.Flags(), &f.demands.Steps, "steps", "demand that each of these step `ids` is a proof that held")
	cmd.Flags().DurationVar(&f.demands.MaxAge, "max-age", 0, "demand that the run ended no longer ago than this `duration`, such as 24h")
	return cmd
}

// check checks the evidence of a file or of a report's folder.
func check(ctx context.Context, a *cli.Invocation, name string, f verifyFlags) error {
	if f.demands.MaxAge < 0 {
		return &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("--max-age %s: is negative", f.demands.MaxAge), Hint: "for example: --max-age 24h"}
	}
	file, folder := name, false
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		file, folder = filepath.Join(name, report.EvidenceFile), true
	}
	data, err := engine.ReadFile(file, verify.MaxInput)
	if err != nil {
		return err
	}
	d, checks := verify.Evidence(data)
	v := verdict.Verdict{Document: d, Checks: checks}
	if d != nil {
		own, _ := report.OwnDigest()
		by := report.Renderer{Version: a.Version, Binary: own}
		if folder {
			v.Checks = append(v.Checks, report.Folder(name, d, by, attest.FileName))
		} else {
			v.Checks = append(v.Checks, report.Recorded(d, by))
		}
		if f.plan != "" {
			v.Checks = append(v.Checks, checkPlan(d, f.plan))
		}
		signature, state, err := checkSignature(ctx, d, data, file, f.key)
		if err != nil {
			return err
		}
		v.Checks, v.Signature = append(v.Checks, signature), state
		if f.demands.Any() {
			v.Checks = append(v.Checks, f.demands.Check(d, a.Now()))
		}
	}
	return Show(a, v)
}

func checkPlan(d *evidence.Document, planFile string) verify.Check {
	c := verify.Check{Name: "plan", Did: planFile + " and " + display.Count(len(d.Plan.Files), "file") + " that it names"}
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

func checkSignature(ctx context.Context, d *evidence.Document, data []byte, file, key string) (c verify.Check, state string, _ error) {
	c.Name = "signature"
	var public *attest.Key
	if key != "" {
		text, err := engine.ReadFile(key, engine.MaxInput)
		if err == nil {
			public, err = attest.ParsePublic(key, text)
		}
		if err != nil {
			return c, "", &cli.Error{Code: cli.Invalid, Text: "--key: " + err.Error(), Hint: "get it from the private key with: openssl pkey -in key.pem -pubout"}
		}
	}
	envelope, err := engine.ReadFile(filepath.Join(filepath.Dir(file), attest.FileName), verify.MaxInput)
	switch {
	case errors.Is(err, os.ErrNotExist) && key == "":
		c.Open, c.Did = true, "unsigned: nothing tells who made this"
		return c, verdict.Unsigned, nil
	case errors.Is(err, os.ErrNotExist):
		c.Problems = append(c.Problems, "unsigned: there is no "+attest.FileName+" beside the evidence")
		return c, verdict.Unsigned, nil
	case err != nil:
		c.Problems = append(c.Problems, err.Error())
		return c, verdict.Unchecked, nil
	}
	ids, err := attest.Verify(ctx, d, data, envelope, public)
	switch {
	case err != nil:
		c.Problems = append(c.Problems, err.Error())
		return c, verdict.Unchecked, nil
	case public == nil:
		c.Open, c.Did = true, fmt.Sprintf("by key %s: NOT checked, give --key; the statement agrees with the evidence", strings.Join(ids, ", "))
		return c, verdict.Unchecked, nil
	}
	c.Did = "by key " + strings.Join(ids, ", ")
	return c, verdict.Checked, nil
}

// Show prints the checks of evidence. That one does not hold is an error.
func Show(a *cli.Invocation, v verdict.Verdict) error {
	var err error
	if a.Output == "json" {
		err = v.JSON(display.JSONWriter{W: a.Stdout})
	} else {
		_, err = io.WriteString(a.Text, v.Text())
	}
	if err == nil && v.Bad() > 0 {
		err = &cli.Error{Code: cli.Failed}
	}
	return err
}
