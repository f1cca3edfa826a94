package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/report"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/durable"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// ReportCommand returns the command that writes the pages of a report again.
func ReportCommand(a *cli.Invocation) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "report EVIDENCE|DIR -o DIR",
		Short: "Write the pages of a report again, from the evidence alone",
		Long: `Report makes report.html, junit.xml and summary.md from evidence.json and puts
them into a folder, with the evidence and its signature. The same version of
ztplan makes the same bytes as the run did.

Evidence that does not verify is not shown.

Exit status: 0 the pages are written, 1 the evidence does not hold or cannot be
read.`,
		Example: "  ztplan report evidence.json -o report",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && dir != "" {
				return nil
			}
			return &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("%s takes one file and a folder to write to", cmd.CommandPath()),
				Hint: "for example: " + cmd.CommandPath() + " evidence.json -o report"}
		},
		RunE: func(_ *cobra.Command, args []string) error { return rewrite(a, args[0], dir) },
	}
	cmd.Flags().StringVarP(&dir, "output", "o", "", "write into this `directory`, which is made if it is not there")
	return cmd
}

// rewrite writes the report of the evidence in name into dir.
func rewrite(a *cli.Invocation, name, dir string) error {
	name = evidenceFile(name)
	d, data, err := holding(name)
	if err != nil {
		return err
	}
	pages, err := report.Pages(d)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := report.WritePages(dir, pages); err != nil {
		return err
	}
	if err := keep(filepath.Join(dir, report.EvidenceFile), data); err != nil {
		return err
	}
	// A statement about other evidence must not lie beside it.
	beside := filepath.Join(dir, attest.FileName)
	statement, err := engine.ReadFile(filepath.Join(filepath.Dir(name), attest.FileName), verify.MaxInput)
	switch {
	case err == nil:
		err = keep(beside, statement)
	case errors.Is(err, os.ErrNotExist):
		err = os.Remove(beside)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	_, err = fmt.Fprintf(a.Text, "report: %s\n", filepath.Join(dir, "report.html"))
	return err
}

// keep writes a file unless it is there with that content.
func keep(name string, data []byte) error {
	if have, err := os.ReadFile(name); err == nil && bytes.Equal(have, data) {
		return nil
	}
	return durable.WriteFile(name, data, 0o644)
}
