package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// module makes a module with one command and packages p0 to p9 that it imports, goes
// into it, and returns it. Every test's is compiled anew.
func module(t *testing.T, source string) {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"go.mod": "module example.test/m\n\ngo 1.26\n", "main.go": "package main\n\n" + imports() + "func main() {}\n"}
	for i := range 10 {
		files[fmt.Sprintf("p%d/p.go", i)] = fmt.Sprintf("package p%d\n\n// %s\n%s\n", i, dir, source)
	}
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "")
}

func imports() string {
	var text strings.Builder
	for i := range 10 {
		fmt.Fprintf(&text, "import _ \"example.test/m/p%d\"\n", i)
	}
	return text.String()
}

func TestBuild(t *testing.T) {
	none := func() ([]string, error) { return nil, errors.New("not asked for") }
	t.Run("few packages", func(t *testing.T) {
		module(t, "const V = 1")
		var out strings.Builder
		code, err := build([]string{"-o", "m", "."}, &meter{out: &printer{w: &out}, many: 100, stale: none})
		if code != 0 || err != nil || out.String() != "" {
			t.Errorf("exit code %d, %v, %q; want a silent success", code, err, out.String())
		}
		if _, err := os.Stat("m"); err != nil {
			t.Error(err)
		}
	})
	t.Run("error", func(t *testing.T) {
		module(t, "const V int = \"text\"")
		var out strings.Builder
		code, err := build([]string{"-o", "m", "."}, &meter{out: &printer{w: &out, terminal: true}, many: 1, intro: intro, stale: stale})
		if code != 1 || err != nil {
			t.Errorf("exit code %d, %v; want that of go build, 1", code, err)
		}
		for i := range 10 {
			if want := fmt.Sprintf("p%d/p.go:4:15: cannot use", i); !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, out.String())
			}
		}
	})
}

// stale lists the remaining packages, without those that are compiled already.
func TestStale(t *testing.T) {
	module(t, "const V = 2")
	if code, err := build([]string{"./p0"}, &meter{out: &printer{w: os.Stderr}, many: 100}); code != 0 || err != nil {
		t.Fatal(code, err)
	}
	got, err := stale()
	if err != nil || len(got) != 10 || strings.Contains(strings.Join(got, " "), "p0") {
		t.Errorf("stale = %v, %v; want the command and nine packages", got, err)
	}
}

func TestMeter(t *testing.T) {
	for name, terminal := range map[string]bool{"log": false, "terminal": true} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			packages := make([]string, 100)
			for i := range packages {
				packages[i] = fmt.Sprintf("example.test/p%d", i)
			}
			answer := make(chan struct{})
			m := &meter{
				out: &printer{w: &out, terminal: terminal}, many: 20,
				intro: func(n int) string { return fmt.Sprintf("needs: %d\n", n) },
				// Asked for while the 20th is compiled: it is stale still.
				stale: func() ([]string, error) { <-answer; return packages[19:], nil },
			}
			for _, p := range packages[:20] {
				m.compiles(p)
			}
			close(answer)
			m.pending <- <-m.pending // the answer has come
			if out.String() != "" {
				t.Errorf("before the total is known: %q", out.String())
			}
			for _, p := range packages[20:] {
				m.compiles(p)
			}
			m.out.pass("a warning\n")
			got := out.String()
			want := "needs: 100\ncompiling: 21 of 100 packages\ncompiling: 25 of 100 packages\n"
			end := "compiling: 95 of 100 packages\ncompiling: 100 of 100 packages\nlinking\na warning\n"
			if terminal {
				want = "needs: 100\n\rcompiling: 21 of 100 packages\x1b[K\rcompiling: 22 of 100 packages\x1b[K"
				end = "\rcompiling: 100 of 100 packages\x1b[K\rlinking\x1b[K\na warning\n"
			}
			if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, end) {
				t.Errorf("got %q, want %q … %q", got, want, end)
			}
		})
	}
}

func TestIntro(t *testing.T) {
	t.Setenv("GOCACHE", "/cache")
	got := intro(3162)
	for _, want := range []string{"compiling 3162 packages", "3.5 GB of disk in /cache", "GB of memory"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}
