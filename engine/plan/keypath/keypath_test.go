package keypath_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ztplan/ztplan/engine/plan/keypath"
)

// TestPaths: a path that was written is read back, with any keys.
func TestPaths(t *testing.T) {
	if got, want := keypath.String([]keypath.Elem{{Name: "roles", Index: -1}, {Index: 0}, {Name: "a/b", Index: -1}, {Name: "c", Index: -1}}), `roles[0]["a/b"].c`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r := rand.New(rand.NewPCG(5, 6))
	alphabet := []rune(`ab-_1."[]\é 🙂$`)
	for range 5000 {
		path := make([]keypath.Elem, r.IntN(5))
		for i := range path {
			if i > 0 && r.IntN(3) == 0 {
				path[i] = keypath.Elem{Index: r.IntN(1000)}
				continue
			}
			name := make([]rune, r.IntN(6))
			for j := range name {
				name[j] = alphabet[r.IntN(len(alphabet))]
			}
			path[i] = keypath.Key(string(name))
			path[i].Quoted = !keypath.IsName(string(name)) || r.IntN(2) == 0
		}
		s := keypath.String(path)
		if back := keypath.Parse(s); !slices.Equal(back, path) {
			t.Fatalf("%s: got %v, want %v", s, back, path)
		}
	}
}
