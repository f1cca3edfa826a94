package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/cmd/ztplan/report"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/durable"
	"github.com/ztplan/ztplan/steps/evidence"
)

// fetchers is how many pieces of evidence are fetched at once.
const fetchers = 8

// Write writes the report of a fleet into dir, which is made if it is not there: the
// evidence of the named clusters with its pages, the leaves, the page, the head, and the
// statement if key is not nil. Head gets its size, its root, the key, and the digest of
// the page.
func Write(ctx context.Context, dir string, head *Head, leaves []Leaf, names []string, fetch func(context.Context, string) ([]byte, error), key *attest.Key) error {
	byName := make(map[string]*Leaf, len(leaves))
	for i := range leaves {
		byName[leaves[i].Cluster] = &leaves[i]
	}
	if err := os.MkdirAll(filepath.Join(dir, ClustersDir), 0o755); err != nil {
		return err
	}
	// The statement of an earlier run must not lie beside these files.
	if err := os.Remove(filepath.Join(dir, StatementFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := fetchAll(ctx, dir, names, byName, fetch); err != nil {
		return err
	}
	lines, root, err := Encode(leaves)
	if err != nil {
		return err
	}
	head.Size, head.Root, head.Key, head.Page = int64(len(leaves)), root, "", ""
	if key != nil {
		if head.Key, err = key.KeyID(); err != nil {
			return err
		}
	}
	page, err := Page(head, leaves)
	if err != nil {
		return err
	}
	head.Page = evidence.Digest(page)
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetIndent("", "  ")
	if err := enc.Encode(head); err != nil {
		return err
	}
	// The head is last: it has the digests of the others, so a folder with a head is whole.
	for _, f := range []struct {
		name string
		data []byte
	}{{LeavesFile, lines}, {PageFile, page}, {HeadFile, text.Bytes()}} {
		if err := durable.WriteFile(filepath.Join(dir, f.name), f.data, 0o644); err != nil {
			return err
		}
	}
	if key == nil {
		return nil
	}
	envelope, err := attest.SignStatement(ctx, StatementOf(head, leaves, text.Bytes(), lines), key)
	if err != nil {
		return fmt.Errorf("the evidence is written and NOT signed: %w", err)
	}
	return durable.WriteFile(filepath.Join(dir, StatementFile), envelope, 0o644)
}

func fetchAll(ctx context.Context, dir string, names []string, leaves map[string]*Leaf, fetch func(context.Context, string) ([]byte, error)) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	work := make(chan string)
	for range fetchers {
		all.Go(func() {
			for name := range work {
				if err := fetchOne(ctx, dir, leaves[name], fetch); err != nil {
					mu.Lock()
					errs = append(errs, fmt.Errorf("cluster %s: %w", name, err))
					mu.Unlock()
				}
			}
		})
	}
	for _, name := range names {
		work <- name
	}
	close(work)
	all.Wait()
	return errors.Join(errs...)
}

func fetchOne(ctx context.Context, dir string, l *Leaf, fetch func(context.Context, string) ([]byte, error)) error {
	if !isName(l.Cluster) {
		return errors.New("is no name of a folder")
	}
	dir = filepath.Join(dir, ClustersDir, l.Cluster)
	file := filepath.Join(dir, report.EvidenceFile)
	if have, err := engine.ReadFile(file, maxProof); err == nil && evidence.Digest(have) == l.Verdict.Evidence {
		return nil
	}
	data, err := fetch(ctx, l.Cluster)
	if err != nil {
		return err
	}
	if d := evidence.Digest(data); d != l.Verdict.Evidence {
		return fmt.Errorf("its evidence has the SHA-256 %s, and its verdict names %s", d, l.Verdict.Evidence)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := writePages(dir, data); err != nil {
		return err
	}
	return durable.WriteFile(file, data, 0o644)
}

// writePages writes the pages of a cluster's evidence as far as this program renders those
// that are on record there.
func writePages(dir string, data []byte) error {
	d, err := evidence.Decode(data)
	if err != nil {
		return nil // verification reports it
	}
	pages, err := report.Pages(d)
	if err != nil {
		return err
	}
	pages = slices.DeleteFunc(pages, func(p report.Page) bool {
		return !slices.Contains(d.Pages, evidence.FileDigest{Name: p.Name, Digest: evidence.Digest(p.Data)})
	})
	return report.WritePages(dir, pages)
}

// reportOf is the file to open for a cluster whose evidence a version of ztplan made.
func reportOf(head *Head, version string) string {
	if version == head.Version {
		return report.HTMLFile
	}
	return report.EvidenceFile
}

// isName reports whether the name of a cluster is that of a folder.
func isName(cluster string) bool {
	return filepath.IsLocal(cluster) && !strings.ContainsAny(cluster, `/\`) && cluster != "."
}
