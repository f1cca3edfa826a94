//go:build !race

package applymanifest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine/enginetest"
)

// wide are manifests with one large mapping of n values, by the type of the values.
var wide = map[string]func(n int) string{
	"texts":    func(n int) string { return mapping(n, "v") },
	"numbers":  func(n int) string { return mapping(n, "1") },
	"mappings": func(n int) string { return mapping(n, "{a: 1}") },
}

func mapping(n int, value string) string {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n")
	for i := range n {
		fmt.Fprintf(&b, "  k%d: %s\n", i, value)
	}
	return b.String()
}

func readText(t testing.TB, text string, wrong bool) {
	t.Helper()
	spec := Kind.New().(*Spec)
	spec.Manifests = text
	if _, problems := spec.read(); wrong != (len(problems) > 0) {
		t.Fatalf("%d problems", len(problems))
	}
}

// TestPlainWideManifest takes a second or two. If every value were looked for among all
// keys again it would take minutes.
func TestPlainWideManifest(t *testing.T) {
	for name, text := range wide {
		t.Run(name, func(t *testing.T) { readText(t, text(100_000), name != "texts") })
	}
}

// BenchmarkWide reports how much longer a mapping of twice the size takes: 2 is
// linear, 4 quadratic.
func BenchmarkWide(b *testing.B) {
	for name, text := range wide {
		b.Run(name, func(b *testing.B) {
			const n = 10_000
			half, whole := text(n), text(2*n)
			enginetest.Ratio(b, "t(2n)/t(n)", func() { readText(b, half, name != "texts") }, func() { readText(b, whole, name != "texts") })
		})
	}
}
