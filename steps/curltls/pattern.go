package curltls

import (
	"fmt"
	"regexp"
	"strings"
)

// A pattern is a text, or a regular expression between slashes.
type pattern struct {
	text string
	re   *regexp.Regexp // nil for a text
}

func parsePattern(s string) (pattern, error) {
	if len(s) < 2 || !strings.HasPrefix(s, "/") || !strings.HasSuffix(s, "/") {
		return pattern{text: s}, nil
	}
	re, err := regexp.Compile(s[1 : len(s)-1])
	if err != nil {
		return pattern{}, fmt.Errorf("regular expression %s: %w", s, err)
	}
	return pattern{text: s, re: re}, nil
}

// mustPattern is parsePattern for a text that Validate has accepted. One that does
// not compile matches itself only.
func mustPattern(s string) pattern {
	p, err := parsePattern(s)
	if err != nil {
		return pattern{text: s}
	}
	return p
}

func (p pattern) equals(s string) bool {
	if p.re != nil {
		return p.re.MatchString(s)
	}
	return p.text == s
}

func (p pattern) within(s string) bool {
	if p.re != nil {
		return p.re.MatchString(s)
	}
	return strings.Contains(s, p.text)
}

// verb returns match for a regular expression and otherwise plain.
func (p pattern) verb(plain string) string {
	if p.re != nil {
		return "matches"
	}
	return plain
}

func (p pattern) String() string {
	if p.re != nil {
		return p.text
	}
	return fmt.Sprintf("%q", p.text)
}
