package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/engine/evidence"
)

func (a *app) verifyCommand() *cobra.Command {
	var key, planFile string
	cmd := &cobra.Command{
		Use:   "verify EVIDENCE",
		Short: "Check the evidence of a run, offline",
		Long: `Verify computes everything again that follows from evidence.json: digests,
certificates and their chains at the time on record, old and new serial and key,
sums, gaps and hops of every rotation, the verdict of every rule from its limit
and what was seen, the states of the steps and the summary.

With --key it demands a signature by that key (` + attest.FileName + ` beside the
evidence). Without one, nothing tells who made the evidence. With --plan it also
compares the plan's file and the files that it names.

That evidence verifies does not mean that the run passed: the last line says how
it ended.

Exit status: 0 everything holds, 1 something does not.`,
		Example: `  ztplan verify report/evidence.json
  ztplan verify report/evidence.json --key release.pub --plan plans/lab.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return &exitError{code: exitInvalid, text: fmt.Sprintf("%s takes one file, not %d arguments", cmd.CommandPath(), len(args)),
				hint: "for example: " + cmd.CommandPath() + " report/evidence.json"}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			d, checks := evidence.Verify(data)
			if d != nil {
				if planFile != "" {
					checks = append(checks, checkPlan(d, planFile))
				}
				signature, err := checkSignature(cmd, d, data, args[0], key)
				if err != nil {
					return err
				}
				checks = append(checks, signature)
			}
			return a.showChecks(d, checks)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "demand a signature by the public key in this PEM `file`")
	cmd.Flags().StringVar(&planFile, "plan", "", "compare this plan `file`, and the files that it names, with the digests on record")
	return cmd
}

func checkPlan(d *evidence.Document, planFile string) evidence.Check {
	c := evidence.Check{Name: "plan", Did: planFile + " and " + evidence.Count(len(d.Plan.Files), "file") + " that it names"}
	compare := func(name, path, want string) {
		data, err := os.ReadFile(path)
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

func checkSignature(cmd *cobra.Command, d *evidence.Document, data []byte, file, key string) (evidence.Check, error) {
	c := evidence.Check{Name: "signature"}
	var public *attest.Key
	if key != "" {
		var err error
		if public, err = attest.ReadPublic(key); err != nil {
			return c, &exitError{code: exitInvalid, text: "--key: " + err.Error(), hint: "get it from the private key with: openssl pkey -in key.pem -pubout"}
		}
	}
	envelope, err := os.ReadFile(filepath.Join(filepath.Dir(file), attest.FileName))
	switch {
	case errors.Is(err, os.ErrNotExist) && key == "":
		c.Did = "there is none: nothing tells who made this"
		return c, nil
	case err != nil:
		c.Problems = append(c.Problems, err.Error())
		return c, nil
	}
	ids, err := attest.Verify(cmd.Context(), d, data, envelope, public)
	switch {
	case err != nil:
		c.Problems = append(c.Problems, err.Error())
	case public == nil:
		c.Did = fmt.Sprintf("by key %s: NOT checked, give --key; the statement agrees with the evidence", strings.Join(ids, ", "))
	default:
		c.Did = "by key " + strings.Join(ids, ", ")
	}
	return c, nil
}

func (a *app) showChecks(d *evidence.Document, checks []evidence.Check) error {
	bad := 0
	for _, c := range checks {
		if !c.Holds() {
			bad++
		}
	}
	var err error
	if a.output == "json" {
		err = a.checksJSON(d, checks, bad == 0)
	} else {
		_, err = io.WriteString(a.stdout, checksText(d, checks, bad))
	}
	if err == nil && bad > 0 {
		err = &exitError{code: exitFailed}
	}
	return err
}

func checksText(d *evidence.Document, checks []evidence.Check, bad int) string {
	var b strings.Builder
	for _, c := range checks {
		mark := "✓"
		if !c.Holds() {
			mark = "✗"
		}
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("%s %-13s %s", mark, c.Name, c.Did), " "))
		for _, p := range c.Problems {
			fmt.Fprintf(&b, "    %s\n", p)
		}
	}
	if bad > 0 {
		fmt.Fprintf(&b, "\n%d of %d checks do not hold: do not rely on this evidence\n", bad, len(checks))
		return b.String()
	}
	fmt.Fprintf(&b, "\nthe evidence holds: plan %s, %s on %s, %s\n", d.Plan.Name, d.Run.Mode, d.Run.Began.Format("2006-01-02 15:04:05 UTC"), d.Run.Result)
	if d.Run.Remark != "" {
		fmt.Fprintf(&b, "remark: %s\n", d.Run.Remark)
	}
	return b.String()
}

func (a *app) checksJSON(d *evidence.Document, checks []evidence.Check, holds bool) error {
	type check struct {
		Name     string   `json:"name"`
		Holds    bool     `json:"holds"`
		Did      string   `json:"did"`
		Problems []string `json:"problems"`
	}
	out := struct {
		Holds  bool    `json:"holds"`
		Result string  `json:"result,omitempty"`
		Checks []check `json:"checks"`
	}{Holds: holds}
	if d != nil {
		out.Result = d.Run.Result
	}
	for _, c := range checks {
		out.Checks = append(out.Checks, check{c.Name, c.Holds(), c.Did, append([]string{}, c.Problems...)})
	}
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}
