package report

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// A Renderer is the program that renders the pages again.
type Renderer struct {
	Version string // "devel" for a build without one
	Binary  string // SHA-256
}

// same reports whether the renderer is the program that made the evidence, so
// that it must make the same pages.
func (r Renderer) same(d *evidence.Document) bool {
	if d.Subject != nil && r.Binary != "" && d.Subject.Binary == r.Binary {
		return true
	}
	return r.Version != "devel" && r.Version == d.Run.Version
}

// maxPage is how many bytes of a page are read.
const maxPage = 256 << 20

// Folder checks that the folder of a report holds the pages of the evidence d
// and nothing else; beside are names of files that may lie there, too.
//
// A page is right if this program renders it from the evidence, byte for byte.
// Another version may render it otherwise; then the digest on record decides.
func Folder(dir string, d *evidence.Document, by Renderer, beside ...string) verify.Check {
	c := verify.Check{Name: "pages"}
	add := func(format string, args ...any) { c.Problems = append(c.Problems, fmt.Sprintf(format, args...)) }
	pages, err := Pages(d)
	if err != nil {
		add("%v", err)
		return c
	}
	recorded := make(map[string]string)
	for _, p := range d.Pages {
		recorded[p.Name] = p.Digest
	}
	rendered, digests := 0, 0
	for _, p := range pages {
		beside = append(beside, p.Name)
		data, err := engine.ReadFile(filepath.Join(dir, p.Name), maxPage)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			add("%s is missing", p.Name)
		case err != nil:
			add("%v", err)
		case bytes.Equal(data, p.Data):
			if rendered++; by.same(d) && recorded[p.Name] != "" && recorded[p.Name] != evidence.Digest(data) {
				add("%s is what the evidence renders to, and the digest on record is another", p.Name)
			}
		case by.same(d):
			add("%s is not what the evidence renders to: it was edited, or belongs to another run", p.Name)
		case recorded[p.Name] == "":
			add("%s cannot be checked: ztplan %s made it, this one is %s, and the evidence has no digest of it", p.Name, d.Run.Version, by.Version)
		case recorded[p.Name] != evidence.Digest(data):
			add("%s does not have the digest on record: it was edited, or belongs to another run", p.Name)
		default:
			digests++
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		add("%v", err)
	}
	for _, e := range entries {
		if e.Name() != EvidenceFile && !slices.Contains(beside, e.Name()) {
			add("%s does not belong to the report", e.Name())
		}
	}
	c.Did = fmt.Sprintf("%s as the evidence renders, nothing else in the folder", display.Count(rendered, "page"))
	if digests > 0 {
		c.Did = fmt.Sprintf("%d of %s as the evidence renders, %d by digest: ztplan %s made it, this one is %s", rendered, display.Count(len(pages), "page"), digests, d.Run.Version, by.Version)
	}
	return c
}

// Recorded checks that the digests of the pages on record are those of the pages
// that d renders to, as far as this program must render the same.
func Recorded(d *evidence.Document, by Renderer) verify.Check {
	c := verify.Check{Name: "pages", Open: true, Did: "not looked at: give the report's folder"}
	if len(d.Pages) == 0 || !by.same(d) {
		return c
	}
	pages, err := Pages(d)
	if err != nil {
		c.Problems = append(c.Problems, err.Error())
		return c
	}
	for _, p := range pages {
		if !slices.Contains(d.Pages, evidence.FileDigest{Name: p.Name, Digest: evidence.Digest(p.Data)}) {
			c.Problems = append(c.Problems, p.Name+": the digest on record is not that of what the evidence renders to")
		}
	}
	return c
}
