package diff

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	foldAt    = 4   // new parts of more lines than this are folded, two levels down
	longest   = 200 // runes of a value on one line
	mostLines = 40  // lines of a text that is all new or all gone
	mostDiff  = 12  // lines of a text diff that is shown as a whole
	around    = 3   // lines of context around a difference in a text
)

// Brief renders Leaves with the important part first: Lines,
// but
//
//   - a part two levels down that is all new or all gone, such as one object of
//     a release, is one line with the number of its fields, after everything
//     else;
//   - long values are cut, with their length, and long new texts, with the number
//     of lines left out;
//   - of long texts that differ, the lines around the differences are shown.
//
// folded reports whether Lines would show more.
func Brief(have, want any) (lines []string, folded bool) {
	folds := foldsOf(plain(have), plain(want))
	var parts []string
	last := ""
	for _, l := range Leaves(have, want) {
		if part, n := folds.of(l.Path); n > 0 {
			if part != last {
				sign := "+ "
				if l.HasHave {
					sign = "- "
				}
				parts = append(parts, sign+part+" "+fields(n))
			}
			last, folded = part, true
			continue
		}
		short := l.shortened()
		cut := short != l
		out := short.lines()
		if kept := window(out); len(kept) < len(out) {
			out, cut = kept, true
		}
		lines, folded = append(lines, out...), folded || cut
	}
	return append(lines, parts...), folded
}

func fields(n int) string {
	if n == 1 {
		return "(1 field)"
	}
	return fmt.Sprintf("(%d fields)", n)
}

// folds maps the paths of parts that are folded to the number of their leaves.
type folds map[string]int

func foldsOf(have, want any) folds {
	f := make(folds)
	f.find(have, want)
	f.find(want, have)
	return f
}

// find notes the parts of tree that other has nothing of.
func (f folds) find(other, tree any) {
	groups, _ := tree.(map[string]any)
	others, _ := other.(map[string]any)
	for group, v := range groups {
		parts, _ := v.(map[string]any)
		has, _ := others[group].(map[string]any)
		for name, part := range parts {
			if _, both := has[name]; both {
				continue
			}
			if leaves := flatten(part); height(leaves) > foldAt {
				f[group+"/"+name] = len(leaves)
			}
		}
	}
}

// height is the number of lines that leaves take.
func height(leaves map[string]leaf) int {
	n := len(leaves)
	for _, l := range leaves {
		if s, ok := l.value.(string); ok {
			n += strings.Count(s, "\n")
		}
	}
	return n
}

func (f folds) of(path string) (part string, n int) {
	for part, n := range f {
		if strings.HasPrefix(path, part+"/") {
			return part, n
		}
	}
	return "", 0
}

func (l Leaf) shortened() Leaf {
	l.Have, l.Want = shortened(l.Have, l.HasWant), shortened(l.Want, l.HasHave)
	return l
}

// shortened cuts a value; a text of several lines that is compared with another
// stays, because its lines are.
func shortened(s string, compared bool) string {
	if strings.Contains(s, "\n") {
		lines := split(s)
		if compared || len(lines) <= mostLines {
			return s
		}
		return strings.Join(lines[:mostLines], "\n") + fmt.Sprintf("\n… and %d more lines", len(lines)-mostLines)
	}
	if n := utf8.RuneCountInString(s); n > longest {
		return string([]rune(s)[:longest]) + fmt.Sprintf("… (%d characters)", n)
	}
	return s
}

// window keeps of the lines of a text diff those near a difference. The first
// line is its head.
func window(lines []string) []string {
	if len(lines) <= mostDiff {
		return lines
	}
	near := make([]bool, len(lines))
	for i, l := range lines {
		if i > 0 && strings.HasPrefix(l, "    ") {
			continue
		}
		for j := max(0, i-around); j < min(len(lines), i+around+1); j++ {
			near[j] = true
		}
	}
	var out []string
	for i, l := range lines {
		switch {
		case near[i]:
			out = append(out, l)
		case near[i-1]:
			out = append(out, "  …")
		}
	}
	return out
}
