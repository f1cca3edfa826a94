package display

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s with everything escaped that a terminal or a CI system would execute.
// Newlines and tabs stay; "\r\n" becomes a newline.
func Text(s string) string {
	if harmless(s) {
		return s
	}
	s = escaped(strings.ReplaceAll(s, "\r\n", "\n"))
	s = lineCommand.ReplaceAllString(s, `${1}\x3a${2}`)
	return inlineCommand.ReplaceAllString(s, `\x23${1}`)
}

// Sources: https://docs.github.com/actions/reference/workflow-commands-for-github-actions,
// ActionCommand.cs of https://github.com/actions/runner (white space before :: is
// skipped, ##[ is found anywhere),
// https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands and
// https://www.jetbrains.com/help/teamcity/service-messages.html.
var (
	lineCommand   = regexp.MustCompile(`(?m)^([\pZ\t]*):(:[^\n]*::)`)
	inlineCommand = regexp.MustCompile(`(?i)#(#(?:\[|vso\[|teamcity\[))`)
)

// harmless reports whether there is nothing to replace, the common case.
func harmless(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || c < ' ' && c != '\n' && c != '\t' || c == 0x7f || c == '#' || c == ':' {
			return false
		}
	}
	return true
}

func escaped(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1, n == 1 && hidden(r):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !hidden(r):
			b.WriteString(s[i : i+n])
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
	softHyphen         = '\u00ad' // the one format character of Latin-1
)

// hidden reports whether a character does something else than being seen.
func hidden(r rune) bool {
	switch r {
	case '\n', '\t', zeroWidthJoiner, zeroWidthNonJoiner:
		return false
	}
	return unicode.IsControl(r) || r > unicode.MaxLatin1 && unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r == softHyphen
}
