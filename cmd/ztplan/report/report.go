// Package report renders the evidence of a run for machines and for people:
// junit.xml, summary.md and report.html. Every rendering is a pure function of
// an [evidence.Document]: it can be made again from evidence.json, and holds
// nothing that evidence.json does not hold.
//
// Text from outside is made safe before it is rendered, see package display:
// evidence.json has it as it was.
//
// The renderings are bound to the evidence: its section pages has the digest of
// each. They do not show that section, so that they are the same before and
// after it is filled in.
package report

import (
	"errors"
	"path/filepath"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/durable"
	"github.com/ztplan/ztplan/steps/evidence"
)

// Names of files in a report's folder.
const (
	EvidenceFile = "evidence.json"
	HTMLFile     = "report.html" // the page for people
)

// A Page is one rendering.
type Page struct {
	Name string // of its file
	Data []byte
}

// Pages renders d.
func Pages(d *evidence.Document) ([]Page, error) {
	junit, err := JUnit(d)
	if err != nil {
		return nil, err
	}
	page, err := HTML(d)
	if err != nil {
		return nil, err
	}
	return []Page{{HTMLFile, page}, {"junit.xml", junit}, {"summary.md", Summary(d)}}, nil
}

// Write writes the pages and then evidence.json into dir, which must exist. It
// puts the digests of the pages into d and returns the bytes of evidence.json,
// for a signature. The evidence is written also if a page could not be
// rendered or written.
func Write(dir string, d *evidence.Document) ([]byte, error) {
	var pages []Page
	unrendered := engine.Try(func() (err error) { pages, err = Pages(d); return err })
	d.Pages = nil
	for _, p := range pages {
		d.Pages = append(d.Pages, evidence.FileDigest{Name: p.Name, Digest: evidence.Digest(p.Data)})
	}
	if err := d.Seal(); err != nil {
		return nil, err
	}
	data, err := d.Encode()
	if err != nil {
		return nil, err
	}
	errs := WritePages(dir, pages)
	return data, errors.Join(unrendered, errs, durable.WriteFile(filepath.Join(dir, EvidenceFile), data, 0o644))
}

// WritePages writes pages into dir, which must exist.
func WritePages(dir string, pages []Page) error {
	var errs []error
	for _, p := range pages {
		errs = append(errs, durable.WriteFile(filepath.Join(dir, p.Name), p.Data, 0o644))
	}
	return errors.Join(errs...)
}

// Files returns the names of the files that Write writes.
func Files() []string { return []string{EvidenceFile, HTMLFile, "junit.xml", "summary.md"} }
