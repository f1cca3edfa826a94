package source_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// TestProblemsOfAGroup: what several instances of a group have is one problem, which names
// them, and what only looks alike stays apart.
func TestProblemsOfAGroup(t *testing.T) {
	const a, b, c = `certs["a"]`, `certs["b"]`, `certs["c"]`
	type found struct {
		instance, summary, hint string
		line                    int
	}
	for name, tt := range map[string]struct {
		found []found
		want  string
	}{
		"the same": {[]found{{a, a + ": bad", "", 1}, {b, b + ": bad", "", 1}, {c, c + ": bad", "", 1}},
			`1: certs["a"]: bad [the same with certs["b"] and certs["c"]]`},
		"the same, twice each": {[]found{{a, a + ": bad", "", 1}, {a, a + ": bad", "", 1}, {b, b + ": bad", "", 1}, {b, b + ": bad", "", 1}},
			`1: certs["a"]: bad [the same with certs["b"]]`},
		"without the instance": {[]found{{a, "bad", "", 1}, {b, "bad", "", 1}}, "1: bad"},
		"values that differ": {[]found{{a, a + `: "x" and "y" are bad`, "", 1}, {b, b + `: "x" and "z" are bad`, "", 1}},
			`1: certs["a"]: "x" and "y" are bad [the same with certs["b"] ("z")]`},
		"values that differ, without the instance": {[]found{{a, `"x" is bad`, "", 1}, {b, `"y" is bad`, "", 1}},
			`1: "x" is bad [the same with certs["b"] ("y")]`},
		"values of an instance": {[]found{{a, a + `: "x" is bad`, "", 1}, {a, a + `: "y" is bad`, "", 1}},
			`1: certs["a"]: "x" is bad; 1: certs["a"]: "y" is bad`},
		"another summary":  {[]found{{a, a + ": bad", "", 1}, {b, b + ": worse", "", 1}}, `1: certs["a"]: bad; 1: certs["b"]: worse`},
		"another hint":     {[]found{{a, `"x" is bad`, "h", 1}, {b, `"y" is bad`, "i", 1}}, `1: "x" is bad; 1: "y" is bad`},
		"another place":    {[]found{{a, a + ": bad", "", 1}, {b, b + ": bad", "", 2}}, `1: certs["a"]: bad; 2: certs["b"]: bad`},
		"of no group":      {[]found{{"", `"x" is bad`, "", 1}, {"", `"y" is bad`, "", 1}}, `1: "x" is bad; 1: "y" is bad`},
		"once in no group": {[]found{{"", "bad", "", 1}, {"", "bad", "", 1}}, "1: bad"},
	} {
		collector := source.NewCollector(engine.NewInputs(t.Context()), source.NewFile("plan.yaml", []byte("a: 1\nb: 2\n")), "/dir", nil)
		for _, f := range tt.found {
			group := ""
			if f.instance != "" {
				group = "certs"
			}
			collector.About(f.instance, group, "", "")
			collector.Add(&source.Problem{Position: source.Position{File: "plan.yaml", Line: f.line}, Summary: f.summary, Hint: f.hint})
		}
		var got []string
		for _, p := range list(t, collector.Err()) {
			text := fmt.Sprintf("%d: %s", p.Line, p.Summary)
			if p.Detail != "" {
				text += " [" + p.Detail + "]"
			}
			got = append(got, text)
		}
		if got := strings.Join(got, "; "); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tt.want)
		}
	}
}

func list(t *testing.T, err error) []*source.Problem {
	t.Helper()
	var problems *source.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("%v are no problems", err)
	}
	return problems.List()
}

// TestProblemsOfAnInclude: problems in a file that is included say where, and no others.
func TestProblemsOfAnInclude(t *testing.T) {
	c := source.NewCollector(engine.NewInputs(t.Context()), source.NewFile("plan.yaml", []byte("a: 1\n")), "/dir", nil)
	c.AddFile(source.NewFile("part.yaml", []byte("b: 2\n")))
	c.About("", "", "part.yaml", "included in plan.yaml:1:1")
	c.Add(&source.Problem{Position: source.Position{File: "part.yaml", Line: 1}, Summary: "bad", Detail: "very"})
	c.Add(&source.Problem{Position: source.Position{File: "plan.yaml", Line: 1}, Summary: "bad"})
	c.About("", "", "", "")
	c.Add(&source.Problem{Position: source.Position{File: "part.yaml", Line: 1}, Summary: "worse"})
	const want = `plan.yaml:1: bad
  > 1 | a: 1

part.yaml:1: bad
  > 1 | b: 2
  very
  included in plan.yaml:1:1

part.yaml:1: worse
  > 1 | b: 2`
	if diff := cmp.Diff(want, c.Err().Error()); diff != "" {
		t.Error(diff)
	}
}

// TestProblemsThatFollow: a problem in text that could not be read counts, and is left out.
func TestProblemsThatFollow(t *testing.T) {
	plan := source.NewFile("plan.yaml", []byte("a: {b: {{ x }}, c: d}\n"))
	c := source.NewCollector(engine.NewInputs(t.Context()), plan, "/dir", nil)
	source.Parse(plan, "a plan", c.Add)
	for _, column := range []int{7, 8, 15, 16} {
		c.Add(&source.Problem{Position: source.Position{File: "plan.yaml", Line: 1, Column: column}, Summary: "bad"})
	}
	c.Add(&source.Problem{Position: source.Position{File: "plan.yaml", Line: 2, Column: 8}, Summary: "bad"})
	c.Add(&source.Problem{Position: source.Position{File: "other.yaml", Line: 1, Column: 8}, Summary: "bad"})
	if c.Len() != 7 {
		t.Errorf("%d problems", c.Len())
	}
	var got []string
	for _, p := range list(t, c.Err()) {
		got = append(got, p.Error())
	}
	want := []string{"plan.yaml:1:7: bad", "plan.yaml:1:8: not valid YAML: a template, {{ … }}", "plan.yaml:1:16: bad", "plan.yaml:1:22: bad", "other.yaml:1:8: bad"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestExcerptsOfOtherFiles: a file that only a step knows is read for its excerpt, from
// beside the plan. Without it, a problem has none.
func TestExcerptsOfOtherFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"beside.yaml", "absolute.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := source.NewCollector(engine.NewInputs(t.Context()), source.NewFile("plans/plan.yaml", []byte("a: 1\n")), dir, nil)
	for _, name := range []string{"plans/beside.yaml", filepath.Join(dir, "absolute.yaml"), "plans/missing.yaml", ""} {
		for _, summary := range []string{"bad", "worse"} {
			c.Add(&source.Problem{Position: source.Position{File: name, Line: 1}, Summary: summary})
		}
	}
	for _, p := range list(t, c.Err()) {
		want := ""
		if base := filepath.Base(p.File); p.File != "" && base != "missing.yaml" {
			want = "> 1 | " + base + "\n"
		}
		if p.Snippet != want {
			t.Errorf("%s: got %q, want %q", p.Error(), p.Snippet, want)
		}
	}
}

// TestPlacesAreInTheFile: a problem behind the end of a file or of a line is moved there.
func TestPlacesAreInTheFile(t *testing.T) {
	for _, tt := range []struct {
		text         string
		line, column int
		want         string
	}{
		{"a: é\nb", 1, 4, "1:4"},
		{"a: é\nb", 1, 99, "1:5"},
		{"a: é\nb", 1, 0, "1"},
		{"a: é\nb\n", 9, 1, "2:2"},
		{"a\n\n", 9, 0, "2:1"},
		{"a\r\nb\rc\u2028d\u2029e\u0085f", 9, 1, "6:2"},
		{"a\rb", 2, 9, "2:2"},
		{"a\r", 9, 1, "1:2"},
		{"a…§₨b", 1, 9, "1:6"}, // begin like line breaks
		{"", 9, 9, "1:1"},
		{"a", 0, 9, ""},
		{"a", -1, 9, ""},
	} {
		c := source.NewCollector(engine.NewInputs(t.Context()), source.NewFile("plan.yaml", []byte(tt.text)), "/dir", nil)
		c.Add(&source.Problem{Position: source.Position{File: "plan.yaml", Line: tt.line, Column: tt.column}})
		got := strings.TrimPrefix(strings.TrimPrefix(list(t, c.Err())[0].Position.String(), "plan.yaml"), ":")
		if got != tt.want {
			t.Errorf("%q: %d:%d is moved to %q, want %q", tt.text, tt.line, tt.column, got, tt.want)
		}
	}
}

// TestMostShown: only the first problems are read by people, and have excerpts.
func TestMostShown(t *testing.T) {
	c := source.NewCollector(engine.NewInputs(t.Context()), source.NewFile("plan.yaml", []byte("a: 1\n")), "/dir", nil)
	if err := c.Err(); err != nil {
		t.Errorf("no problems are %v", err)
	}
	for n := range source.MostShown + 1 {
		c.Add(&source.Problem{Position: source.Position{File: "plan.yaml", Line: 1}, Summary: fmt.Sprintf("bad %02d", n)})
	}
	for n, p := range list(t, c.Err()) {
		if p.Summary != fmt.Sprintf("bad %02d", n) || (p.Snippet != "") != (n < source.MostShown) {
			t.Errorf("%d: %s", n, p.Text())
		}
	}
}
