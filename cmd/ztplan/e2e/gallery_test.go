package e2e

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
)

// A galleryPlan describes the life of a plan of plans/ on a lab: its needs, and the values
// of its variables. The table is in gallery_plans_test.go.
type galleryPlan struct {
	// by is the test that runs the plan instead. Then only vars counts besides.
	by string

	// own gives the plan a lab of its own, without anything in it. The other plans share
	// a lab on which plans/lab.yaml has converged: they keep to namespaces, mounts and names
	// of their own, by their variables.
	own bool

	// quick plans are taken through their lives in make test, on the lab of TestRotations.
	quick bool

	// vars are values of the plan's variables, NAME=VALUE, which lint gets as well.
	vars []string

	// unproved is why the plan has no proof, "" for one that proves.
	unproved string

	// before makes the objects that the plan expects, and the files that it reads. It
	// returns values of further variables. It may be nil.
	before func(w *world) (vars []string)

	// lint writes the files that the plan reads, and returns values of further variables,
	// for lint without a lab. It may be nil.
	lint func(w *world) (vars []string)

	// awaited does the work of the person whom a run awaits, after a run that ended awaiting
	// it. Without it, the first run has to converge.
	awaited func(w *world)

	// vaultLog returns the file of an audit device in the Vault that the plan writes to,
	// after the plan has converged; nil to have no Vault watched. A plan without a lab of
	// its own has that of the shared lab.
	vaultLog func(w *world) string
}

// TestGalleryTable holds the table of the gallery against the folder, and the header of
// each plan to the lines that a reader needs for a choice; lint is clean for all of them.
func TestGalleryTable(t *testing.T) {
	w := &world{t: t, ztplan: binary(t, "ztplan"), home: t.TempDir(), temp: t.TempDir(), work: t.TempDir()}
	w.copyPlans()
	files := galleryFiles(t)
	if d := cmp.Diff(files, slices.Sorted(maps.Keys(gallery))); d != "" {
		t.Errorf("the plans of plans/ are not those of the table gallery (-plans +table):\n%s", d)
	}
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if !strings.Contains(string(readme), "](plans/"+name+")") {
			t.Errorf("the README has no link to plans/%s", name)
		}
		text, err := os.ReadFile(filepath.Join("../../../plans", name))
		if err != nil {
			t.Fatal(err)
		}
		header, _, _ := strings.Cut(string(text), "\napiVersion:")
		for _, part := range []string{"For: ", "Needs: ", "Change first: "} {
			if !strings.Contains(header, "\n# "+part) {
				t.Errorf("plans/%s: the comment above the plan has no line that begins with %q", name, part)
			}
		}
		p := gallery[name]
		vars := p.vars
		if p.lint != nil {
			vars = slices.Concat(vars, p.lint(w))
		}
		w.lint(t, name, vars)
	}
}

// galleryFiles returns the plans below plans/. Other documents there, such as fleets,
// parts that plans include and manifests, are none.
func galleryFiles(t *testing.T) []string {
	t.Helper()
	var out []string
	isPlan := regexp.MustCompile(`(?m)^kind: Plan$`)
	plans := os.DirFS("../../../plans")
	err := fs.WalkDir(plans, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		text, err := fs.ReadFile(plans, path)
		if isPlan.Match(text) {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

var lintClean = regexp.MustCompile(`: 0 errors, 0 warnings\b`)

// lint fails the test if lint has findings in a plan.
func (w *world) lint(t *testing.T, name string, vars []string) {
	t.Helper()
	out, err := w.bare(t.Context(), slices.Concat([]string{"lint", "plans/" + name}, varFlags(vars))...).CombinedOutput()
	if err != nil || !lintClean.Match(out) {
		t.Errorf("lint %s: %v\n%s", name, err, out)
	}
}

func varFlags(vars []string) []string {
	var out []string
	for _, v := range vars {
		out = append(out, "--var", v)
	}
	return out
}

// TestGallery takes each plan of plans/ through its life. make test takes the quick ones
// through it, in TestRotations.
func TestGallery(t *testing.T) {
	if !full() {
		t.Skip("the quick plans are run in TestRotations; all of them by make gallery")
	}
	tb := new(table)
	tb.add("PLAN", "RESULT", "s")
	defer tb.print()
	shared := newWorld(t)
	must(t, "the plan of the shared lab", shared.run(), 0)
	shared.look()
	shared.gallery(t, shared.auditVault(), tb)
	for _, name := range slices.Sorted(maps.Keys(gallery)) {
		if gallery[name].own {
			t.Run(strings.TrimSuffix(name, ".yaml"), func(t *testing.T) { newWorld(t).row(t, name, "", tb) })
		}
	}
}

// gallery takes the plans that share a lab through their lives.
func (w *world) gallery(t *testing.T, device string, tb *table) {
	for _, name := range slices.Sorted(maps.Keys(gallery)) {
		if p := gallery[name]; p.by == "" && !p.own && (p.quick || full()) {
			w.sub(t, strings.TrimSuffix(name, ".yaml"), func(t *testing.T) { w.row(t, name, device, tb) })
		}
	}
}

// row is live, and puts the result into the table.
func (w *world) row(t *testing.T, name, device string, tb *table) {
	began, result := time.Now(), "FAILED"
	defer func() { tb.add(name, result, fmt.Sprintf("%.1f", time.Since(began).Seconds())) }()
	w.live(t, name, gallery[name], device)
	if !t.Failed() {
		result = "whole life"
	}
}

// live takes a plan through its life: lint is clean; a dry run before the first run works
// and writes nothing; the first run converges and proves everything; then a dry run and
// status find nothing, and a second run writes nothing. device is the file of an
// audit device in the lab's Vault, "" for none.
func (w *world) live(t *testing.T, name string, p galleryPlan, device string) {
	file, vars := "plans/"+name, p.vars
	if p.before != nil {
		vars = slices.Concat(vars, p.before(w))
	}
	do := func(verb string, more ...string) *outcome {
		return w.do(nil, slices.Concat([]string{verb, file}, varFlags(vars), more)...)
	}
	w.lint(t, name, vars)

	dry := w.harmless(t, "dry run before the first run", device, func() *outcome { return do("run", "--dry-run") })
	proofs, others := dry.proofs()
	want := 2
	if len(others) == 0 { // proofs are no differences
		want = 0
	}
	must(t, "dry run before the first run", dry, want)

	var first *outcome
	got := w.record(device, func() { first = do("run") })
	if p.awaited != nil {
		must(t, "the run that ends awaiting", first, 2)
		p.awaited(w)
		first = do("run")
	}
	must(t, "the first run", first, 0)
	result := engine.ResultProved
	if p.unproved != "" {
		result = engine.ResultConverged
	}
	if s := first.summary(); s.Result != result {
		t.Errorf("the first run: %s, want %s", s.Outcome(), result)
	}
	if len(got.writes) == 0 {
		t.Errorf("the first run: the recorder saw no write among %d API and %d Vault requests", got.api, got.vault)
	}
	t.Logf("first run: %.2fs, %d writes seen", first.wall.Seconds(), len(got.writes))

	if w.look(); p.vaultLog != nil {
		device = p.vaultLog(w)
	}
	must(t, "dry run afterwards", w.harmless(t, "dry run afterwards", device, func() *outcome { return do("run", "--dry-run") }), 0)
	must(t, "status afterwards", w.harmless(t, "status afterwards", device, func() *outcome { return do("status") }), 0)
	w.again(t, device, do, proofs, others)
}

// again runs a plan a second time and fails the test if that writes anything. Proofs
// are left out, since they may have to change something in order to measure.
func (w *world) again(t *testing.T, device string, do func(string, ...string) *outcome, proofs, others []string) {
	t.Helper()
	if len(others) == 0 {
		return
	}
	var skip []string
	if len(proofs) > 0 {
		skip = []string{"--skip", strings.Join(proofs, ",")}
	}
	before := tree(t, w.work)
	var second *outcome
	got := w.record(device, func() { second = do("run", skip...) })
	must(t, "the second run", second, 0)
	if s := second.summary(); s.Edits != 0 || s.Changed != 0 {
		t.Errorf("the second run: %d edits, %d steps changed", s.Edits, s.Changed)
	}
	for _, write := range got.writes {
		t.Errorf("the second run: %s", write)
	}
	if d := cmp.Diff(before, tree(t, w.work)); d != "" {
		t.Errorf("the second run touched files (-before +after):\n%s", d)
	}
	t.Logf("second run: %.2fs, %d API and %d Vault requests, no write", second.wall.Seconds(), got.api, got.vault)
}

// harmless fails the test if f asks for anything that could change something, or
// touches a file.
func (w *world) harmless(t *testing.T, what, device string, f func() *outcome) (o *outcome) {
	t.Helper()
	var got traffic
	w.untouched(t, func() { got = w.record(device, func() { o = f() }) })
	for _, write := range got.writes {
		t.Errorf("%s: %s", what, write)
	}
	return o
}

// proofs returns the ids of the steps that are proofs, and of the others.
func (o *outcome) proofs() (proofs, others []string) {
	for _, e := range o.events {
		switch {
		case e.Action != engine.ActionPlan:
		case e.Proof:
			proofs = append(proofs, e.Step)
		default:
			others = append(others, e.Step)
		}
	}
	return proofs, others
}
