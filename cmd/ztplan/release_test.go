package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// full skips a test that takes minutes: it compiles everything for other platforms.
func full(t *testing.T) {
	t.Helper()
	if os.Getenv("ZTPLAN_FULL") == "" {
		t.Skip("takes minutes: make release-test")
	}
}

// cloned returns a clone of the commit that is tested.
func cloned(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "src")
	sh(t, "", nil, "git clone -q ../.. "+dir)
	return dir
}

func sh(t *testing.T, dir string, env []string, command string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", command)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// wantStatic fails the test if a program for Linux needs a loader or a library.
func wantStatic(t *testing.T, name string, program []byte) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Errorf("%s is not static: it names an interpreter", name)
		}
	}
	if libs, err := f.ImportedLibraries(); len(libs) > 0 || err != nil {
		t.Errorf("%s needs %v, %v", name, libs, err)
	}
}

// The files of a release: built twice in different places, the same bytes.
func TestRelease(t *testing.T) {
	full(t)
	env := []string{"VERSION=v9.8.7"}
	first, second := filepath.Join(t.TempDir(), "dist"), filepath.Join(t.TempDir(), "elsewhere")
	sh(t, cloned(t), env, ".github/release/build.sh "+first+" ztplan")
	sh(t, cloned(t), append(env, "SBOM=no"), ".github/release/build.sh "+second+" ztplan")
	sums := read(t, filepath.Join(first, "checksums.txt"))
	for _, platform := range strings.Fields("linux_amd64 linux_arm64 darwin_amd64 darwin_arm64") {
		name := "ztplan_" + platform + ".tar.gz"
		archive := read(t, filepath.Join(first, name))
		if !bytes.Equal(archive, read(t, filepath.Join(second, name))) {
			t.Errorf("%s differs between two builds of one commit", name)
		}
		if !bytes.Contains(sums, []byte("  "+name+"\n")) {
			t.Errorf("%s is not in the checksums", name)
		}
		program := unpack(t, archive, "ztplan")
		if strings.HasPrefix(platform, "linux") {
			wantStatic(t, name, program)
		} else if _, err := macho.NewFile(bytes.NewReader(program)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		info, err := buildinfo.Read(bytes.NewReader(program))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range info.Settings {
			if s.Key == "-trimpath" && s.Value != "true" || s.Key == "CGO_ENABLED" && s.Value != "0" || s.Key == "vcs.modified" && s.Value != "false" {
				t.Errorf("%s was built with %s=%s", name, s.Key, s.Value)
			}
		}
		if platform == runtime.GOOS+"_"+runtime.GOARCH {
			file := filepath.Join(t.TempDir(), "ztplan")
			if err := os.WriteFile(file, program, 0o755); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(file, "version").Output(); err != nil || !strings.HasPrefix(string(out), "ztplan v9.8.7 ") {
				t.Errorf("version: %s, %v", out, err)
			}
		}
		var sbom struct {
			BomFormat  string
			Components []struct{ Purl string }
		}
		bom := strings.TrimSuffix(name, ".tar.gz") + ".cdx.json"
		if err := json.Unmarshal(read(t, filepath.Join(first, bom)), &sbom); err != nil {
			t.Fatal(err)
		}
		has := slices.ContainsFunc(sbom.Components, func(c struct{ Purl string }) bool {
			return strings.HasPrefix(c.Purl, "pkg:golang/helm.sh/helm/v3@")
		})
		if sbom.BomFormat != "CycloneDX" || !has || len(sbom.Components) < 50 {
			t.Errorf("%s: %s with %d components", bom, sbom.BomFormat, len(sbom.Components))
		}
	}
}

// Without the compiler: the archives of a release, which are the same twice, hold the
// files that the README lists, and have the names in it.
func TestArchives(t *testing.T) {
	bin := t.TempDir()
	const compiler = "#!/bin/bash\nwhile [[ $# -gt 0 ]]; do if [[ $1 == -o ]]; then echo program >\"$2\"; fi; shift; done\n"
	if err := os.WriteFile(filepath.Join(bin, "go"), []byte(compiler), 0o755); err != nil {
		t.Fatal(err)
	}
	env := []string{"VERSION=v9.8.7", "SBOM=no", "PATH=" + bin + ":" + os.Getenv("PATH")}
	first, second := filepath.Join(t.TempDir(), "dist"), filepath.Join(t.TempDir(), "elsewhere")
	for _, dir := range []string{first, second} {
		sh(t, "../..", env, ".github/release/build.sh "+dir)
	}
	sums := string(read(t, filepath.Join(first, "checksums.txt")))
	if sums != string(read(t, filepath.Join(second, "checksums.txt"))) {
		t.Error("two builds of one commit differ")
	}
	for _, name := range regexp.MustCompile(`zt(plan|lab)_(linux|darwin)_(amd64|arm64)\.tar\.gz`).FindAllString(string(read(t, "../../README.md")), -1) {
		if !strings.Contains(sums, "  "+name+"\n") {
			t.Errorf("the README names %s, which no release has", name)
		}
	}
	for _, arch := range []string{"amd64", "arm64"} {
		unpack(t, read(t, filepath.Join(first, "ztlab_linux_"+arch+".tar.gz")), "ztlab")
	}
	for _, schema := range []string{"plan", "fleet", "event", "evidence"} {
		file := schema + ".schema.json"
		want := read(t, filepath.Join("../../schemas", file))
		archive := read(t, filepath.Join(first, "ztplan_darwin_arm64.tar.gz"))
		if !bytes.Equal(unpack(t, archive, "schemas/"+file), want) || !bytes.Equal(read(t, filepath.Join(first, file)), want) {
			t.Errorf("%s differs from that of the source", file)
		}
		if !strings.Contains(sums, "  "+file+"\n") {
			t.Errorf("%s is not in the checksums", file)
		}
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func unpack(t *testing.T, archive []byte, want string) []byte {
	t.Helper()
	gz, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			t.Fatalf("the archive has no %s", want)
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Uname != "" || h.Mode&0o022 != 0 {
			t.Errorf("%s belongs to %d (%q), mode %o", h.Name, h.Uid, h.Uname, h.Mode)
		}
		if h.Name == want {
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
	}
}

// An instruction is a line of a Dockerfile.
type instruction struct{ what, rest string }

func dockerfile(t *testing.T) (stages [][]instruction) {
	t.Helper()
	for line := range strings.Lines(string(read(t, "../../.docker/Dockerfile"))) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		what, rest, _ := strings.Cut(line, " ")
		if what == "FROM" {
			stages = append(stages, nil)
		}
		if len(stages) > 0 {
			last := len(stages) - 1
			stages[last] = append(stages[last], instruction{what, rest})
		}
	}
	return stages
}

// The image has no root, no shell, and the program as its entry point.
func TestImage(t *testing.T) {
	stages := dockerfile(t)
	if len(stages) != 2 {
		t.Fatalf("%d stages", len(stages))
	}
	got := fmt.Sprint(stages[1])
	for _, want := range []string{
		"{FROM gcr.io/distroless/static-debian12:nonroot}", "{COPY --from=build /src/ztplan /usr/local/bin/ztplan}",
		"{USER 65532:65532}", `{ENTRYPOINT ["/usr/local/bin/ztplan"]}`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the image's stage has no %s: %s", want, got)
		}
	}
	if strings.Contains(got, "{RUN ") {
		t.Error("there is nothing in the image that could run something")
	}
	// The folders that the build stage copies are let through.
	ignore := string(read(t, "../../.docker/Dockerfile.dockerignore"))
	for _, dir := range []string{"go.mod", "go.sum", "cmd/ztplan", "engine", "steps", "schemas", "plans"} {
		if !strings.Contains(ignore, "\n!"+dir+"\n") {
			t.Errorf("%s does not get into the build", dir)
		}
	}
}

// The commands of the build stage, one after the other, in a folder with the files that
// .dockerignore lets through.
func TestImageBuild(t *testing.T) {
	full(t)
	dir := filepath.Join(t.TempDir(), "context")
	for line := range strings.Lines(string(read(t, "../../.docker/Dockerfile.dockerignore"))) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "!"); ok {
			sh(t, "../..", nil, fmt.Sprintf("git ls-files -z %s | xargs -0 -I{} install -D -m 644 {} %s/{}", path, dir))
		}
	}
	env := []string{"TARGETOS=linux", "TARGETARCH=" + runtime.GOARCH, "VERSION=v9.8.7"}
	ran := 0
	for _, i := range dockerfile(t)[0] {
		if i.what == "RUN" {
			sh(t, dir, env, i.rest)
			ran++
		}
	}
	if ran != 2 {
		t.Errorf("%d commands, want 2", ran)
	}
	program := filepath.Join(dir, "ztplan")
	wantStatic(t, program, read(t, program))
	out, err := exec.Command(program, "version").Output()
	if err != nil || !regexp.MustCompile(`^ztplan v9\.8\.7 `).Match(out) {
		t.Errorf("version: %s, %v", out, err)
	}
}
