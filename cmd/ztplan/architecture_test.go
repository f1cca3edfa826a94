package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var updateArchitecture = flag.Bool("update-architecture", false, "draw the picture of .github/ARCHITECTURE.md again")

// boxes are the boxes of the picture, from top to bottom, with the packages in
// them. The first that matches a package has it.
var boxes = []struct{ id, title, packages string }{
	{"cmd", "cmd/ztplan<br/>command line", "cmd/ztplan cmd/ztplan/fleet/command cmd/ztplan/lint/command"},
	{"fleet", "fleet/…<br/>waves of clusters on a hub", "cmd/ztplan/fleet/..."},
	{"lint", "lint<br/>rules", "cmd/ztplan/lint/..."},
	{"graph", "graph<br/>pictures of a plan", "cmd/ztplan/graph"},
	{"rbac", "rbac, doctor<br/>before a run", "cmd/ztplan/rbac cmd/ztplan/doctor"},
	{"start", "templates<br/>plans to begin with", "cmd/ztplan/templates"},
	{"reference", "reference<br/>explain, schema", "cmd/ztplan/reference"},
	{"audit", "audit<br/>verify, diff, report", "cmd/ztplan/audit cmd/ztplan/verdict cmd/ztplan/compare"},
	{"history", "history, output<br/>past runs, outputs", "cmd/ztplan/history cmd/ztplan/output"},
	{"flags", "planflags, planrun<br/>the plan of a command and its target", "cmd/ztplan/planflags cmd/ztplan/planrun"},
	{"ui", "cli, ui<br/>streams, exit codes, terminal", "cmd/ztplan/cli cmd/ztplan/ui"},
	{"results", "report, attest, trace<br/>results", "cmd/ztplan/report cmd/ztplan/attest cmd/ztplan/trace cmd/ztplan/checkout cmd/ztplan/cijob"},
	{"layout", "layout<br/>places of boxes and edges", "cmd/ztplan/layout"},
	{"lab", "ztlab<br/>starts the lab", "cmd/ztplan/ztlab"},
	{"list", "steps<br/>list of the kinds", "steps"},
	{"settings", "session<br/>cluster, mirrors, sinks of a run", "steps/session"},
	{"session", "session/…<br/>lease, cluster, transit", "steps/session/..."},
	{"evidence", "evidence<br/>documents, verification", "steps/evidence/..."},
	{"hints", "hints<br/>messages of components", "steps/hints"},
	{"certs", "certs<br/>PEM, serials, fingerprints", "steps/internal/certs"},
	{"kits", "kits<br/>Kubernetes, Helm, Vault, TLS", "steps/internal/... steps/hosting"},
	{"kinds", "kinds<br/>one package each", "steps/..."},
	{"run", "engine/run<br/>loop, retries", "engine/run"},
	{"plan", "engine/plan<br/>YAML, references, graph", "engine/plan/..."},
	{"journal", "engine/journal", "engine/journal"},
	{"contract", "engine/enginetest<br/>contract of kinds", "engine/enginetest"},
	{"parts", "dag, diff, display, …", "engine/..."},
	{"engine", "engine<br/>step, edit, proof, secret, event", ""},
}

func boxOf(pkg string) string {
	if pkg == "engine" {
		return "engine"
	}
	for _, b := range boxes {
		for p := range strings.FieldsSeq(b.packages) {
			if matches(p, pkg) {
				return b.id
			}
		}
	}
	return ""
}

// The picture of the architecture page shows the imports as they are. An arrow is
// left out where others imply it.
func TestArchitecture(t *testing.T) {
	imports := make(map[string]map[string]bool)
	for _, p := range packages(t) {
		from := boxOf(p.name)
		if from == "" {
			continue // the schema generator, test programs, plans
		}
		for _, imp := range p.imports {
			if to := boxOf(imp); to != "" && to != from {
				if imports[from] == nil {
					imports[from] = make(map[string]bool)
				}
				imports[from][to] = true
			}
		}
	}
	reaches := func(from, to string) bool {
		seen := map[string]bool{from: true}
		for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
			for next := range imports[queue[0]] {
				if next == to {
					return true
				}
				if !seen[next] {
					seen[next] = true
					queue = append(queue, next)
				}
			}
		}
		return false
	}
	var b strings.Builder
	b.WriteString("```mermaid\nflowchart TD\n")
	for _, box := range boxes {
		fmt.Fprintf(&b, "  %s[\"%s\"]\n", box.id, box.title)
	}
	for _, box := range boxes {
		if reaches(box.id, box.id) {
			t.Errorf("%s imports itself through others: draw other boxes", box.id)
		}
		for _, to := range slices.Sorted(maps.Keys(imports[box.id])) {
			indirect := false
			for by := range imports[box.id] {
				indirect = indirect || by != to && reaches(by, to)
			}
			if !indirect {
				fmt.Fprintf(&b, "  %s --> %s\n", box.id, to)
			}
		}
	}
	b.WriteString("```\n")

	const page = "../../.github/ARCHITECTURE.md"
	for _, m := range regexp.MustCompile("`((?:cmd|engine|steps|plans|schemas|testdata)/[^` <{]+)`").FindAllStringSubmatch(string(read(t, page)), -1) {
		if _, err := os.Stat("../../" + m[1]); err != nil {
			t.Errorf("%s names a file that is not there: %v", page, err)
		}
	}
	before, rest, ok := strings.Cut(string(read(t, page)), "```mermaid\n")
	_, after, closed := strings.Cut(rest, "\n```\n")
	if !ok || !closed {
		t.Fatalf("%s has no picture", page)
	}
	if want := before + b.String() + after; want != string(read(t, page)) {
		if *updateArchitecture {
			if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		t.Errorf("the picture in %s differs from the imports: go test ./cmd/ztplan -run TestArchitecture -update-architecture\n%s", page, b.String())
	}
}
