package source_test

import (
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
)

func TestDidYouMean(t *testing.T) {
	keys := []string{"address", "caFile", "commonName", "keyType", "token", "ttl"}
	for written, want := range map[string]string{
		"adress":      `did you mean "address"?`,
		"cafile":      `did you mean "caFile"?`,
		"commonNmae":  `did you mean "commonName"?`,
		"common_name": `did you mean "commonName"?`,
		"tkoen":       `did you mean "token"?`,
		"common":      `did you mean "commonName"?`,
		"tokenFile":   `did you mean "token"?`,
		"tll":         `did you mean "ttl"?`,
		"xyz":         "",
		"":            "",
	} {
		if got := source.DidYouMean(written, keys); got != want {
			t.Errorf("%q: got %q, want %q", written, got, want)
		}
	}
	if got, want := source.Suggestion("xyz", keys[:3], "there is "), "there is address, caFile and commonName"; got != want {
		t.Errorf("got %q, want %q", got, want)
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
