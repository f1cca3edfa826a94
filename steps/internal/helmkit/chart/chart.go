// Package chart fetches charts from repositories, registries and directories. A
// chart that was fetched is kept in engine.Env.CacheDir under its SHA-256, and the
// digest of a repository's index is checked each time the file is read.
package chart

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"helm.sh/helm/v3/pkg/action"
	helmchart "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/helmkit/values"
)

// A Chart is a chart as it was fetched. It is never changed and may be shared.
type Chart struct {
	Name       string
	Version    string
	AppVersion string
	// Digest is the SHA-256 (hex) over the chart's files, names and contents,
	// subcharts included.
	Digest string
	// From is where it really came from: the address after mirrors, or a path.
	From string

	files  []*loader.BufferedFile
	parsed *helmchart.Chart
	keys   func() values.Keys // read once, when they are asked for
}

// newChart parses the chart's files.
func newChart(files []*loader.BufferedFile, from string) (*Chart, error) {
	c := &Chart{From: from, files: files, Digest: digestOf(files)}
	var err error
	if c.parsed, err = c.Load(); err != nil {
		return nil, engine.Permanent(fmt.Errorf("chart %s: %w", from, err))
	}
	c.keys = sync.OnceValue(func() values.Keys { return values.KeysOf(c.parsed) })
	c.Name, c.Version, c.AppVersion = c.parsed.Name(), c.parsed.Metadata.Version, c.parsed.AppVersion()
	if t := c.parsed.Metadata.Type; t != "" && t != "application" {
		return nil, engine.Permanent(fmt.Errorf("chart %s %s: it is a %s chart, which cannot be installed", c.Name, c.Version, t))
	}
	if deps := c.parsed.Metadata.Dependencies; len(deps) > 0 {
		if err := action.CheckDependencies(c.parsed, deps); err != nil {
			return nil, engine.WithHint(engine.Permanent(fmt.Errorf("chart %s: %w", from, err)),
				"fetch them beside the chart: helm dependency build "+from)
		}
	}
	return c, nil
}

// Load parses the chart anew, for Helm, which changes a chart that it renders.
func (c *Chart) Load() (*helmchart.Chart, error) { return loader.LoadFiles(c.files) }

// Parsed returns the chart as Helm has it. The caller must not change it.
func (c *Chart) Parsed() *helmchart.Chart { return c.parsed }

// Title names the chart and its version.
func (c *Chart) Title() string { return "chart " + c.Name + " " + c.Version }

// UnknownValues returns the values that nothing in the chart reads; see
// [values.Keys.Unknown].
func (c *Chart) UnknownValues(v values.Values) []values.Unknown { return c.keys().Unknown(v) }

// UnreadValues returns the values with defaults that nothing in the chart reads; see
// [values.Keys.Unread].
func (c *Chart) UnreadValues(v values.Values) []values.Unknown { return c.keys().Unread(v) }

// Deprecated reports whether the chart's authors gave it up.
func (c *Chart) Deprecated() bool { return c.parsed.Metadata.Deprecated }

// TemplatesDigest returns the SHA-256 (hex) over the part of a chart's text that a
// stored release keeps: templates, files and schema, but neither subcharts nor
// unchanged defaults.
func TemplatesDigest(c *helmchart.Chart) string {
	var files []*loader.BufferedFile
	for _, f := range append(slices.Clone(c.Templates), c.Files...) {
		files = append(files, &loader.BufferedFile{Name: f.Name, Data: f.Data})
	}
	files = append(files, &loader.BufferedFile{Name: "values.schema.json", Data: c.Schema})
	return digestOf(files)
}

func digestOf(files []*loader.BufferedFile) string {
	type entry struct{ name, sum string }
	entries := make([]entry, 0, len(files))
	for _, f := range files {
		entries = append(entries, entry{f.Name, evidence.Digest(f.Data)})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, e := range entries {
		_ = enc.Encode([2]string{e.name, e.sum})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// parseArchive reads a packaged chart.
func parseArchive(b []byte, from string) (*Chart, error) {
	files, err := loader.LoadArchiveFiles(bytes.NewReader(b))
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("chart %s: %w", from, err))
	}
	return newChart(files, from)
}

// maxFolder bounds the files of a chart directory together, as Helm bounds the content of an
// archive; it reads no single file of more than 5 MiB.
const maxFolder = 100 << 20

// Local returns the chart at a path beside the plan: a directory or an archive. It
// is read once for all that have the same inputs.
func Local(env *engine.Env, s Source) (*Chart, error) {
	path := s.path(env.Dir)
	return s.checked(engine.ReadOnce(env.Inputs, path, func() (*Chart, error) { return readLocal(path, s.Chart) }))
}

func readLocal(path, name string) (*Chart, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, engine.WithHint(engine.Permanent(fmt.Errorf("chart %s: %w", name, err)),
			"without repo, chart is the path of a chart directory or .tgz, relative to the plan")
	}
	if !info.IsDir() {
		b, err := engine.ReadFile(path, maxArchive)
		if err != nil {
			return nil, engine.Permanent(fmt.Errorf("chart %s: %w", name, err))
		}
		return parseArchive(b, name)
	}
	// Helm walks the whole directory before it misses this file.
	if _, err := os.Stat(filepath.Join(path, chartutil.ChartfileName)); err != nil {
		return nil, engine.Permanent(fmt.Errorf("chart %s: %w", name, err))
	}
	parsed, err := loader.LoadDir(path)
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("chart %s: %w", name, err))
	}
	size := 0
	files := make([]*loader.BufferedFile, 0, len(parsed.Raw))
	for _, f := range parsed.Raw {
		size += len(f.Data)
		files = append(files, &loader.BufferedFile{Name: f.Name, Data: f.Data})
	}
	if size > maxFolder {
		return nil, engine.Permanent(fmt.Errorf("chart %s: has %d bytes in %s, and at most %d (%d MiB) are read", name, size, path, maxFolder, maxFolder>>20))
	}
	return newChart(files, name)
}
