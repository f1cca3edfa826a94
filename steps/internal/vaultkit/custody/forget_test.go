package custody_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

const held = "{\n \"keys\": [\"00aa\", \"00bb\"], \"note\": \"kept\",\n \"root_token\" :   \"hvs.planted\"\n}\n"

// holding writes text as somebody's key file and looks at it.
func holding(t *testing.T, text string) (string, []custody.Holding) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k := custody.Keys{File: engine.File{Name: "keys.json", Path: file}}
	_, all, err := k.Look(t.Context(), vaulttest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	return file, all
}

// Only the token is taken out of a file, and no leftover of an earlier try stays
// beside it.
func TestForget(t *testing.T) {
	file, all := holding(t, held)
	if err := os.WriteFile(file+".tmp-123", []byte(held), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to take out
		if err := all[0].Forget(t.Context(), engine.NewSecret("hvs.planted")); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.Replace(held, "hvs.planted", "", 1); string(text) != want {
			t.Errorf("file is %s", text)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: %v, %v", info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(file)); len(left) != 1 {
		t.Errorf("beside the file are: %v", left)
	}
}

func TestForgetThroughALink(t *testing.T) {
	file, _ := holding(t, held)
	link := filepath.Join(t.TempDir(), "link.json")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	k := custody.Keys{File: engine.File{Name: "link.json", Path: link}}
	_, all, err := k.Look(t.Context(), vaulttest.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := all[0].Forget(t.Context(), engine.NewSecret("hvs.planted")); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(link); err != nil || to != file {
		t.Errorf("the link leads to %s, %v", to, err)
	}
	if text, _ := os.ReadFile(file); bytes.Contains(text, []byte("hvs.planted")) {
		t.Error("the token is still there")
	}
}

// A sink that is not as expected keeps everything.
func TestForgetRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"another token": {strings.Replace(held, "planted", "another", 1), "holds another root token"},
		"escaped":       {strings.Replace(held, "hvs.", `hvs\u002e`, 1), "in an unusual form"},
		"damaged":       {held[:40], "is not the JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			file, all := holding(t, held)
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := all[0].Forget(t.Context(), engine.NewSecret("hvs.planted"))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hvs") {
				t.Errorf("error is %v, want %q", err, c.want)
			}
			if text, _ := os.ReadFile(file); string(text) != c.text {
				t.Errorf("file is %s", text)
			}
		})
	}
}
