// Package audit has the commands that read the evidence of a run offline: verify, diff and
// report.
package audit

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/report"
	"github.com/ztplan/ztplan/cmd/ztplan/verdict"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// holding reads the evidence in a file or a report's folder and returns it with its
// bytes. Evidence that does not hold is an error.
func holding(name string) (*evidence.Document, []byte, error) {
	name = evidenceFile(name)
	data, err := engine.ReadFile(name, verify.MaxInput)
	if err != nil {
		return nil, nil, err
	}
	d, checks := verify.Evidence(data)
	if bad := (verdict.Verdict{Checks: checks}).Bad(); bad > 0 {
		return nil, nil, &cli.Error{Code: cli.Failed, Text: fmt.Sprintf("%s: %d of %d checks do not hold: nothing is shown", name, bad, len(checks)),
			Hint: "see ztplan verify " + name}
	}
	return d, data, nil
}

// evidenceFile returns the file with the evidence, given that or a report's folder.
func evidenceFile(name string) string {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return filepath.Join(name, report.EvidenceFile)
	}
	return name
}
