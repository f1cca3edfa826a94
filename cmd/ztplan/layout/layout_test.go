package layout_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/layout"
)

// diamond has edges over several rows, one that follows from others, a need that is no
// node, and a cycle.
var diamond = []layout.Node{
	{ID: "a"}, {ID: "b", Needs: []string{"a"}}, {ID: "c", Needs: []string{"b"}}, {ID: "d", Needs: []string{"c", "a", "b"}},
	{ID: "e", Needs: []string{"a"}}, {ID: "f", Needs: []string{"d", "e", "none", "d"}},
	{ID: "g", Needs: []string{"h"}}, {ID: "h", Needs: []string{"g"}},
}

func edges(nodes []layout.Node, g *layout.Graph) (out []string) {
	for _, e := range g.Edges {
		out = append(out, nodes[e.Need].ID+nodes[e.Step].ID)
	}
	return out
}

func TestEdgesThatFollowAreLeftOut(t *testing.T) {
	if got, want := fmt.Sprint(edges(diamond, layout.New(diamond, nil))), "[ab bc cd ae df ef hg]"; got != want {
		t.Errorf("edges %s, want %s", got, want)
	}
	keep := func(step, need string) bool { return step == "d" && need == "a" }
	if got, want := fmt.Sprint(edges(diamond, layout.New(diamond, keep))), "[ab bc cd ad ae df ef hg]"; got != want {
		t.Errorf("edges %s, want %s", got, want)
	}
}

// No box covers another, or an edge between two others.
func TestNothingIsCovered(t *testing.T) {
	all := func(string, string) bool { return true }
	var wide []layout.Node
	for i := range 60 {
		n := layout.Node{ID: strconv.Itoa(i)}
		for k := 2; k < 9; k += 3 {
			if i >= k {
				n.Needs = append(n.Needs, strconv.Itoa((i-k)/2))
			}
		}
		wide = append(wide, n)
	}
	for name, nodes := range map[string][]layout.Node{"diamond": diamond, "wide": wide} {
		g := layout.New(nodes, all)
		for i, a := range g.Boxes {
			if a.X < 0 || a.Y < 0 || a.X+layout.BoxWidth > g.Width || a.Y+layout.BoxHeight > g.Height {
				t.Errorf("%s: box %d at %v is outside of %d × %d", name, i, a, g.Width, g.Height)
			}
			for k, b := range g.Boxes[:i] {
				if a.Y == b.Y && a.X < b.X+layout.BoxWidth && b.X < a.X+layout.BoxWidth {
					t.Errorf("%s: boxes %d and %d are at %v and %v", name, k, i, a, b)
				}
			}
		}
		for _, e := range g.Edges {
			end := fmt.Sprintf(" %d %d", g.Boxes[e.Step].X+layout.BoxWidth/2, g.Boxes[e.Step].Y)
			if !strings.HasSuffix(e.Path, end) {
				t.Errorf("%s: the edge from %d to %d does not end at%s: %s", name, e.Need, e.Step, end, e.Path)
			}
			for _, v := range passes(t, e.Path) {
				for i, b := range g.Boxes {
					if b.X < v.X && v.X < b.X+layout.BoxWidth && b.Y < v.Y && v.Y <= b.Y+layout.BoxHeight {
						t.Errorf("%s: the edge from %d to %d runs behind box %d", name, e.Need, e.Step, i)
					}
				}
			}
		}
	}
}

var curve = regexp.MustCompile(`C\S+ \S+ \S+ \S+ (\d+) (\d+)V(\d+)`)

// passes returns where a path goes straight down, past a row.
func passes(t *testing.T, path string) (out []layout.Point) {
	t.Helper()
	for _, m := range curve.FindAllStringSubmatch(path, -1) {
		x, err := strconv.Atoi(m[1])
		y, yerr := strconv.Atoi(m[3])
		if err != nil || yerr != nil {
			t.Fatalf("%s: %v, %v", path, err, yerr)
		}
		out = append(out, layout.Point{X: x, Y: y})
	}
	return out
}
