// Command gen packages cert-manager's own Helm chart from its Go module into
// charts/dist, where package charts embeds it. Run it by "go generate ./charts"
// in the lab's module; it needs no network once the module is downloaded.
//
// The result is that of cert-manager's release build from the same sources
// (make/manifests.mk in its repository): version and appVersion set to the
// module's version, the README filled in, everything that .helmignore names
// left out. Nothing else differs, so the chart is the real one.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing/fstest"

	"github.com/ztplan/ztplan/cmd/ztlab/charts"
)

const module = "github.com/cert-manager/cert-manager"

func main() {
	log.SetFlags(0)
	log.SetPrefix("charts/gen: ")
	if err := generate("dist"); err != nil {
		log.Fatal(err)
	}
}

// generate writes the archive into dir, and removes those of other versions.
func generate(dir string) error {
	root, version, err := locate()
	if err != nil {
		return err
	}
	source, err := release(os.DirFS(filepath.Join(root, "deploy", "charts", "cert-manager")), version)
	if err != nil {
		return fmt.Errorf("cert-manager %s: %w", version, err)
	}
	data, err := charts.Pack(source, "cert-manager")
	if err != nil {
		return fmt.Errorf("cert-manager %s: %w", version, err)
	}
	archive, err := charts.Read(data)
	if err != nil {
		return fmt.Errorf("cert-manager %s: %w", version, err)
	}
	if archive.Version != version || archive.AppVersion != version {
		return fmt.Errorf("cert-manager %s: the chart says version %s, appVersion %s: its placeholders have moved", version, archive.Version, archive.AppVersion)
	}
	others, err := filepath.Glob(filepath.Join(dir, "cert-manager-*.tgz"))
	if err != nil {
		return err
	}
	target := filepath.Join(dir, archive.FileName())
	for _, other := range others {
		if other == target {
			continue
		}
		if err := os.Remove(other); err != nil {
			return err
		}
	}
	if have, err := os.ReadFile(target); err == nil && bytes.Equal(have, data) {
		return nil // keep the file's time, so that nothing is built again
	}
	return os.WriteFile(target, data, 0o644)
}

// locate has the go command download the module, unless it is there, and
// returns the version in use and the directory of its files.
func locate() (dir, version string, err error) {
	command := exec.Command("go", "mod", "download", "-json", module)
	command.Stderr = os.Stderr
	out, err := command.Output()
	var m struct{ Dir, Version, Error string }
	if jerr := json.Unmarshal(out, &m); jerr == nil && m.Error != "" {
		return "", "", fmt.Errorf("go mod download %s: %s", module, m.Error)
	}
	if err != nil {
		return "", "", fmt.Errorf("go mod download %s: %w", module, err)
	}
	if m.Dir == "" {
		return "", "", fmt.Errorf("go mod download %s: it does not say where the module is", module)
	}
	return m.Dir, m.Version, nil
}

var placeholder = regexp.MustCompile(`(?m)^(version|appVersion): .*$`)

// release returns the files of the chart's source directory as the release
// build packages them.
func release(source fs.FS, version string) (fs.FS, error) {
	files := fstest.MapFS{}
	err := fs.WalkDir(source, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(source, name)
		if err != nil {
			return err
		}
		switch {
		case name == "Chart.yaml":
			data = placeholder.ReplaceAll(data, []byte("${1}: "+version))
		case name == "README.template.md":
			name = "README.md"
			data = bytes.ReplaceAll(data, []byte("{{RELEASE_VERSION}}"), []byte(version))
		case name == "values.yaml", name == "values.schema.json", name == ".helmignore":
		case strings.HasPrefix(name, "templates/"):
		default:
			return nil // of the repository, not of the release
		}
		files[name] = &fstest.MapFile{Data: data}
		return nil
	})
	return files, err
}
