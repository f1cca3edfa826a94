// Package charts holds the Helm charts that the lab offers where upstream's
// repositories are: two written for the lab (vault and apisix), which are
// stand-ins with upstream's object names, labels, ports and value keys, and
// cert-manager's own, packaged from its Go module by the generator in gen.
//
// The lab charts hold nothing of upstream's templates. They are offered in
// several versions, so that an upgrade can be tried; versions differ as
// upstream's do in the parts that matter to a plan: chart version, application
// version and image tags.
package charts

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:generate go run ./gen

// lab holds the chart sources. The all: prefix takes in _helpers.tpl.
//
//go:embed all:vault all:apisix
var lab embed.FS

// dist holds the charts of the generator, or only its README.
//
//go:embed all:dist
var dist embed.FS

// ErrNotPackaged is returned by [CertManager] in a binary that was built
// without cert-manager's chart.
var ErrNotPackaged = errors.New("cert-manager's chart is not in this binary: run 'go generate ./charts' in cmd/ztlab (or 'make build' at the top) and build again")

// An Archive is a packaged chart, as 'helm package' makes it.
type Archive struct {
	Chart
	Data []byte // gzip-compressed tar
}

// FileName is the name under which repositories keep the archive.
func (a Archive) FileName() string { return a.Name + "-" + a.Version + ".tgz" }

// A release is a version of a lab chart: its differences from the sources.
type release struct {
	version string
	edits   []edit
}

// An edit replaces text in one file of a chart. The text must be there.
type edit struct{ file, old, new string }

func vaultRelease(version, app, injector string) release {
	r := release{version: version, edits: []edit{
		{"Chart.yaml", "version: 0.31.0", "version: " + version},
		{"Chart.yaml", "appVersion: 1.20.4", "appVersion: " + app},
		{"values.yaml", `tag: "1.20.4"`, fmt.Sprintf("tag: %q", app)},
		{"values.yaml", `tag: "1.7.0"`, fmt.Sprintf("tag: %q", injector)},
	}}
	return r
}

func apisixRelease(version, app, controllerChart, controller string) release {
	const ic = "charts/apisix-ingress-controller/"
	return release{version: version, edits: []edit{
		{"Chart.yaml", "version: 2.14.0", "version: " + version},
		{"Chart.yaml", "appVersion: 3.16.0", "appVersion: " + app},
		{"Chart.yaml", "version: 1.1.1", "version: " + controllerChart},
		{"values.yaml", "tag: 3.16.0-ubuntu", "tag: " + app + "-ubuntu"},
		{ic + "Chart.yaml", "version: 1.1.1", "version: " + controllerChart},
		{ic + "Chart.yaml", "appVersion: 2.0.1", "appVersion: " + controller},
		{ic + "values.yaml", `tag: "2.0.1"`, fmt.Sprintf("tag: %q", controller)},
	}}
}

// Lab packages the charts written for the lab, every version of each. The
// versions are those of upstream with the same number: 2.12.5 is the guide's,
// and 2.12.4 brings the last ingress controller that never pushed a changed
// Secret (apache/apisix-ingress-controller#2673), which the stand-in does too.
func Lab() ([]Archive, error) {
	catalogue := []struct {
		name     string
		releases []release
	}{
		{"apisix", []release{
			apisixRelease("2.14.0", "3.16.0", "1.1.1", "2.0.1"),
			apisixRelease("2.13.0", "3.15.0", "1.1.1", "2.0.1"),
			apisixRelease("2.12.5", "3.14.1", "1.1.0", "2.0.0"),
			apisixRelease("2.12.4", "3.14.1", "1.0.6", "2.0.0-rc5"),
		}},
		{"vault", []release{
			vaultRelease("0.32.0", "1.21.2", "1.7.2"),
			vaultRelease("0.31.0", "1.20.4", "1.7.0"),
			vaultRelease("0.30.1", "1.20.1", "1.7.0"),
		}},
	}
	var archives []Archive
	for _, c := range catalogue {
		source, err := fs.Sub(lab, c.name)
		if err != nil {
			return nil, fmt.Errorf("lab chart %s: %w", c.name, err)
		}
		for _, r := range c.releases {
			data, err := Pack(edited{source, r.edits}, c.name)
			if err != nil {
				return nil, fmt.Errorf("lab chart %s %s: %w", c.name, r.version, err)
			}
			archive, err := Read(data)
			if err != nil {
				return nil, fmt.Errorf("lab chart %s %s: %w", c.name, r.version, err)
			}
			archives = append(archives, archive)
		}
	}
	return archives, nil
}

// CertManager returns cert-manager's chart as its module has it, or
// [ErrNotPackaged].
func CertManager() (Archive, error) {
	found, err := fs.Glob(dist, "dist/cert-manager-v*.tgz")
	if err != nil {
		return Archive{}, fmt.Errorf("cert-manager's chart: %w", err)
	}
	switch len(found) {
	case 0:
		return Archive{}, ErrNotPackaged
	case 1:
	default:
		return Archive{}, fmt.Errorf("cert-manager's chart: several are in this binary (%s): run 'go generate ./charts' and build again", strings.Join(found, ", "))
	}
	data, err := dist.ReadFile(found[0])
	if err != nil {
		return Archive{}, fmt.Errorf("cert-manager's chart: %w", err)
	}
	archive, err := Read(data)
	if err != nil {
		return Archive{}, fmt.Errorf("cert-manager's chart: %s: %w", found[0], err)
	}
	return archive, nil
}

// edited is a file system with some files' text replaced.
type edited struct {
	fs.FS
	edits []edit
}

// ReadFile implements [fs.ReadFileFS], which [Pack] reads through.
func (e edited) ReadFile(name string) ([]byte, error) {
	data, err := fs.ReadFile(e.FS, name)
	if err != nil {
		return nil, err
	}
	for _, edit := range e.edits {
		if edit.file != path.Clean(name) {
			continue
		}
		if !bytes.Contains(data, []byte(edit.old)) {
			return nil, fmt.Errorf("%s: no %q to replace", name, edit.old)
		}
		data = bytes.ReplaceAll(data, []byte(edit.old), []byte(edit.new))
	}
	return data, nil
}
