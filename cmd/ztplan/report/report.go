// Package report renders the evidence of a run for machines and for people:
// junit.xml, summary.md and report.html. Every rendering is a pure function of
// an [evidence.Document]: it can be made again from evidence.json, and holds
// nothing that evidence.json does not hold.
package report

import (
	"path/filepath"

	"github.com/ztplan/ztplan/engine/evidence"
)

// Write writes evidence.json, junit.xml, summary.md and report.html into dir,
// which must exist. It returns the bytes of evidence.json, for a signature.
func Write(dir string, d *evidence.Document) ([]byte, error) {
	data, err := d.Encode()
	if err != nil {
		return nil, err
	}
	junit, err := JUnit(d)
	if err != nil {
		return nil, err
	}
	page, err := HTML(d)
	if err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{"evidence.json", data}, {"junit.xml", junit}, {"summary.md", Summary(d)}, {"report.html", page}} {
		if err := evidence.WriteFile(filepath.Join(dir, f.name), f.data); err != nil {
			return nil, err
		}
	}
	return data, nil
}
