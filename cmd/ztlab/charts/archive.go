package charts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// A Chart is an archive's entry in a repository's index.
type Chart struct {
	Name       string
	Version    string
	AppVersion string
	// Metadata is all of Chart.yaml, with its own keys.
	Metadata map[string]any
}

// epoch is the modification time of every file in an archive: the same sources
// give the same bytes, and with them the same digest.
var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// maxChartFile bounds Chart.yaml; the charts served are megabytes at most.
const maxChartFile = 1 << 20

// Pack makes the archive of the chart in fsys, whose root holds Chart.yaml.
// Files appear below name, as Helm wants it, in lexical order and with a fixed
// time. Every file is taken: leave out the files that a .helmignore would.
func Pack(fsys fs.FS, name string) ([]byte, error) {
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	archive := tar.NewWriter(zipped)
	err := fs.WalkDir(fsys, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			return err
		}
		header := &tar.Header{
			Name:    path.Join(name, file),
			Mode:    0o644,
			Size:    int64(len(data)),
			ModTime: epoch,
			Format:  tar.FormatPAX,
		}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err = archive.Write(data)
		return err
	})
	if err := errors.Join(err, archive.Close(), zipped.Close()); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return buffer.Bytes(), nil
}

// Read reads the chart's own Chart.yaml out of an archive; those of its
// dependencies are left alone.
func Read(data []byte) (Archive, error) {
	zipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return Archive{}, fmt.Errorf("not a packaged chart: %w", err)
	}
	files := tar.NewReader(zipped)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return Archive{}, errors.New("not a packaged chart: it has no Chart.yaml")
		}
		if err != nil {
			return Archive{}, fmt.Errorf("not a packaged chart: %w", err)
		}
		name := path.Clean(header.Name)
		if path.Base(name) != "Chart.yaml" || strings.Count(name, "/") != 1 {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(files, maxChartFile))
		if err != nil {
			return Archive{}, fmt.Errorf("%s: %w", name, err)
		}
		chart, err := parse(text)
		if err != nil {
			return Archive{}, fmt.Errorf("%s: %w", name, err)
		}
		return Archive{Chart: chart, Data: data}, nil
	}
}

func parse(text []byte) (Chart, error) {
	var named struct {
		Name       string `json:"name"`
		Version    string `json:"version"`
		AppVersion string `json:"appVersion"`
	}
	if err := yaml.Unmarshal(text, &named); err != nil {
		return Chart{}, err
	}
	if named.Name == "" || named.Version == "" {
		return Chart{}, errors.New("name and version must be set")
	}
	var all map[string]any
	if err := yaml.Unmarshal(text, &all); err != nil {
		return Chart{}, err
	}
	return Chart{Name: named.Name, Version: named.Version, AppVersion: named.AppVersion, Metadata: all}, nil
}
