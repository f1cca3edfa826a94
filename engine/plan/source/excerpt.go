package source

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source/mask"
)

// maxExcerpt is how many characters of a line an excerpt shows.
const maxExcerpt = 150

// maxLine is the longest line, in bytes, that an excerpt shows: the whole line is
// searched for secrets.
const maxLine = 64 << 10

// excerpt returns the line with its neighbours and a caret under the column:
//
//	  13 |     uses: curlTLS
//	> 14 |     with: {expect: 200, adress: example.org:443}
//	     |                         ^
//	  15 |     timeout: 2m
//
// known replaces known secrets in a line. Values that look like secrets are hidden as
// well. A file of keys and a line of more than maxLine bytes have no excerpts.
func (s *File) excerpt(line, column int, known func(string) string) string {
	if line < 1 || line > s.lines() || s.keys || s.length(line) > maxLine {
		return ""
	}
	hidden := s.layout()
	first, last := max(1, line-1), min(s.lines(), line+1)
	width := len(strconv.Itoa(last))
	var b strings.Builder
	for n := first; n <= last; n++ {
		if s.length(n) > maxLine {
			continue
		}
		text := s.line(n)
		conceal := func(text string) string { return mask.Line(known(text), hidden[n].Marked, s.secrets) }
		if hidden[n].Secret {
			text = text[:len(text)-len(strings.TrimLeft(text, " \t"))] + engine.Redacted
		}
		if n != line {
			row(&b, " ", width, n, cut(conceal(text), 0))
			continue
		}
		before := string([]rune(text)[:max(0, min(column-1, utf8.RuneCountInString(text)))])
		shown := conceal(text)
		if shown == known(text) {
			before = known(before) // a part of a value may look like a secret
		} else {
			before = conceal(before)
		}
		caret := min(utf8.RuneCountInString(before), utf8.RuneCountInString(shown))
		from := 0
		if utf8.RuneCountInString(shown) > maxExcerpt {
			from = max(0, caret-maxExcerpt/2)
		}
		part := cut(shown, from)
		row(&b, ">", width, n, part)
		if column > 0 {
			if from > 0 {
				caret -= from - 1 // for the mark that something was cut
			}
			fmt.Fprintf(&b, "  %*s | %s^\n", width, "", blank(part, caret))
		}
	}
	return b.String()
}

func row(b *strings.Builder, mark string, width, n int, text string) {
	line := fmt.Sprintf("%s %*d | %s", mark, width, n, text)
	b.WriteString(strings.TrimRightFunc(line, unicode.IsSpace))
	b.WriteByte('\n')
}

// cut returns the part of a line that an excerpt shows, from the given character on.
func cut(text string, from int) string {
	runes := []rune(text)
	for i, r := range runes {
		if r != '\t' && !unicode.IsPrint(r) {
			runes[i] = '\uFFFD'
		}
	}
	var b strings.Builder
	if from > 0 {
		b.WriteRune('…')
	}
	end := min(len(runes), from+maxExcerpt)
	b.WriteString(string(runes[min(from, end):end]))
	if end < len(runes) {
		b.WriteRune('…')
	}
	return b.String()
}

// blank returns the space that the first n characters of a text take, tabs kept.
func blank(text string, n int) string {
	var b strings.Builder
	for _, r := range text {
		if n == 0 {
			break
		}
		n--
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}
