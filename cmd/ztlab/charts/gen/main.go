// Command gen packages cert-manager's own Helm chart from its Go module into
// charts/dist, where package charts embeds it, and copies the CRDs of the Gateway API from
// theirs into the chart of the ingress controller, which has them upstream too. Run it by
// "go generate ./charts" in the lab's module; it needs no network once the modules are
// downloaded.
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

const (
	module     = "github.com/cert-manager/cert-manager"
	gatewayAPI = "sigs.k8s.io/gateway-api"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("charts/gen: ")
	if err := generate("dist"); err != nil {
		log.Fatal(err)
	}
	if err := copyCRDs(filepath.Join("apisix", "charts", "apisix-ingress-controller", "crds", "gateway-api.yaml")); err != nil {
		log.Fatal(err)
	}
}

// copyCRDs writes the CRDs that the ingress controller acts on into one file. Of the eleven
// of upstream's chart the others only cost the API server time.
func copyCRDs(target string) error {
	root, version, err := locate(gatewayAPI)
	if err != nil {
		return err
	}
	var all bytes.Buffer
	for _, name := range []string{"gatewayclasses", "gateways", "httproutes", "referencegrants"} {
		text, err := os.ReadFile(filepath.Join(root, "config", "crd", "standard", "gateway.networking.k8s.io_"+name+".yaml"))
		if err != nil {
			return fmt.Errorf("%s %s: %w", gatewayAPI, version, err)
		}
		all.WriteString("---\n")
		all.Write(text)
	}
	return replace(target, all.Bytes())
}

// replace writes a file unless it has these contents: with its time everything that embeds
// it would be built again.
func replace(name string, data []byte) error {
	if have, err := os.ReadFile(name); err == nil && bytes.Equal(have, data) {
		return nil
	}
	return os.WriteFile(name, data, 0o644)
}

// generate writes the archive into dir, and removes those of other versions.
func generate(dir string) error {
	root, version, err := locate(module)
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
	return replace(target, data)
}

// locate has the go command download a module, unless it is there, and
// returns the version in use and the directory of its files.
func locate(module string) (dir, version string, err error) {
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
