package source_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
)

func TestDidYouMean(t *testing.T) {
	keys := []string{"address", "caFile", "commonName", "keyType", "token", "ttl"}
	for written, want := range map[string]string{
		"adress":                `did you mean "address"?`,
		"cafile":                `did you mean "caFile"?`,
		"commonNmae":            `did you mean "commonName"?`,
		"common_name":           `did you mean "commonName"?`,
		"tkoen":                 `did you mean "token"?`,
		"common":                `did you mean "commonName"?`,
		"tokenFile":             `did you mean "token"?`,
		"tll":                   `did you mean "ttl"?`,
		"xyz":                   "",
		"":                      "",
		"a":                     "", // a letter is no beginning of a word
		"TOKEN":                 `did you mean "token"?`,
		"ttltoken":              `did you mean "ttl"?`,
		"kyeTpye":               `did you mean "keyType"?`,
		"comonNam":              `did you mean "commonName"?`,
		strings.Repeat("x", 65): "",
	} {
		if got := source.DidYouMean(written, keys); got != want {
			t.Errorf("%q: got %q, want %q", written, got, want)
		}
	}
	for _, tt := range []struct {
		written    string
		candidates []string
		want       string
	}{
		{"xyz", keys[:3], "there is address, caFile and commonName"},
		{"xyz", nil, ""},
		{"tokn", keys, `did you mean "token"?`},
		{"certs", []string{`certs["shop"]`}, `did you mean certs["shop"]?`},
		{"abcd", []string{"abce", "abcf"}, `did you mean "abce"?`}, // the first
		{"abcdef", []string{"abcxyf", "abcdeg"}, `did you mean "abcdeg"?`},
		{strings.Repeat("x", 64), []string{strings.Repeat("x", 63) + "y", strings.Repeat("x", 66)}, `did you mean "` + strings.Repeat("x", 63) + `y"?`},
		{"ab", []string{"abcdefgh"}, "there is abcdefgh"},
		{"", []string{"a"}, "there is a"},
		{"abcd", []string{"xxabcd"}, "there is xxabcd"},
		{"ab", []string{"ca"}, "there is ca"}, // is no swap
		{"ab", []string{"bc"}, "there is bc"},
		{strings.Repeat("x", 65), []string{strings.Repeat("x", 64)}, "there is " + strings.Repeat("x", 64)},
		{"abcdefgh", []string{"ab", "abc"}, `did you mean "abc"?`},
	} {
		if got := source.Suggestion(tt.written, tt.candidates, "there is "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.written, got, tt.want)
		}
	}
}

// TestClosestFile: a file beside the one that is not there.
func TestClosestFile(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"values.yaml", "other.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"vaules.yaml": "values.yaml", "x": "", "missing/values.yaml": ""} {
		if got := source.ClosestFile(filepath.Join(dir, name)); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	_, err := os.ReadFile(filepath.Join(dir, "x"))
	if got := source.Unread(fmt.Errorf("x: %w", err)).Error(); strings.Contains(got, dir) {
		t.Errorf("the reason is %q", got)
	}
	if got := source.Unread(io.EOF); got != io.EOF {
		t.Errorf("the reason is %v", got)
	}
}

// TestProblemText: a problem as text and in the forms of errors.
func TestProblemText(t *testing.T) {
	at := source.Position{File: "p.yaml", Line: 3, Column: 2}
	one := &source.Problem{Position: at, Summary: "bad", Snippet: "> 1 | a\n", Detail: "b\nc", Hint: "d"}
	two := &source.Problem{Summary: "worse"}
	err := source.NewProblems(one, two)
	if got, want := err.Error(), "p.yaml:3:2: bad\n  > 1 | a\n  b\n  c\n  d\n\nworse"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, one) || !errors.Is(err, two) {
		t.Error("the problems are not in their error")
	}
	if err := source.NewProblems(); err != nil {
		t.Errorf("no problems are %v", err)
	}
	for want, p := range map[string]source.Position{"p.yaml:3:2": at, "p.yaml:3": {File: "p.yaml", Line: 3}, "p.yaml": {File: "p.yaml"}, "": {}} {
		if p.String() != want {
			t.Errorf("got %q, want %q", p, want)
		}
	}
}

// TestProblemOrder: problems come in the order of their places, those of the command
// line first and those of the plan before other files, each once.
func TestProblemOrder(t *testing.T) {
	plan := source.NewFile("dir/plan.yaml", []byte("a: secret-1\nb: 2\nc: 3\n"))
	c := source.NewCollector(engine.NewInputs(t.Context()), plan, "/dir", nil)
	c.KeepSecret("secret-1")
	for _, p := range []source.Problem{
		{Position: source.Position{File: "a.yaml", Line: 1}, Summary: "other"},
		{Position: source.Position{File: "dir/plan.yaml", Line: 2, Column: 4}, Summary: "second"},
		{Position: source.Position{File: "dir/plan.yaml", Line: 2, Column: 1}, Summary: "first, secret-1"},
		{Summary: "flag"},
		{Position: source.Position{File: "dir/plan.yaml", Line: 2, Column: 4}, Summary: "second"},
		{Position: source.Position{File: "dir/plan.yaml", Line: 99, Column: 9}, Summary: "after the end"},
	} {
		c.Add(&p)
	}
	err := c.Err()
	const want = `flag

dir/plan.yaml:2:1: first, (secret)
    1 | a: (secret)
  > 2 | b: 2
      | ^
    3 | c: 3

dir/plan.yaml:2:4: second
    1 | a: (secret)
  > 2 | b: 2
      |    ^
    3 | c: 3

dir/plan.yaml:3:5: after the end
    2 | b: 2
  > 3 | c: 3
      |     ^

a.yaml:1: other`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	for path, want := range map[string]string{"/dir/x/y": "dir/x/y", "x": "dir/x", "/other": "/other"} {
		if got := c.Display(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}
