package sensitive

import (
	"encoding/base64"
	"regexp"
	"strings"
)

// A shape is a form that only secrets have. If the expression has a group, that
// is the secret in it.
type shape struct {
	sign string // part of every match, to look for first
	form *regexp.Regexp
}

// Sources: RFC 7468 (PEM), RFC 7519 (JWT), RFC 3986 (userinfo),
// https://age-encryption.org/v1, https://developer.hashicorp.com/vault/docs/concepts/tokens,
// https://docs.github.com/authentication/keeping-your-account-and-data-secure/about-authentication-to-github,
// https://docs.gitlab.com/security/tokens/, https://api.slack.com/authentication/token-types,
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html.
var shapes = []shape{
	{"PRIVATE KEY-----", regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----([\s\S]+?)(?:-----END|$)`)},
	{"eyJ", regexp.MustCompile(`\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*`)},
	{"AGE-", regexp.MustCompile(`\bAGE-(?:SECRET-KEY|PLUGIN-[A-Z0-9]+)-[A-Z0-9-]{20,}`)},
	{"://", regexp.MustCompile(`\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@:"'<>]*:([^\s/?#"'<>]+)@`)},
	{"hv", regexp.MustCompile(`\bhv[sbr]\.[\w-]{12,}`)},
	{"s.", regexp.MustCompile(`\bs\.[A-Za-z0-9]{24}\b`)},
	{"b.AAAA", regexp.MustCompile(`\bb\.AAAA[\w-]{20,}`)},
	{"gh", regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{36,})`)},
	{"gl", regexp.MustCompile(`\bgl(?:pat|dt|rt|cbt|ptt|ft|soat)-[\w.-]{20,}`)},
	{"xox", regexp.MustCompile(`\bxox[abeoprs]-[\w-]{10,}`)},
	{"hooks.slack.com/", regexp.MustCompile(`\bhooks\.slack\.com/(?:services|workflows|triggers)/([\w/-]{10,})`)},
	{"IA", regexp.MustCompile(`\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`)},
}

var base64PEM = regexp.MustCompile(`LS0tLS1CRUdJTi[A-Za-z0-9+/]{20,}={0,2}`)

// Mask returns text with instead in place of secrets that have a shape of their own.
func Mask(text, instead string) string {
	for _, s := range shapes {
		if strings.Contains(text, s.sign) {
			text = replace(s.form, text, instead)
		}
	}
	for _, coded := range privatePEM(text) {
		text = strings.ReplaceAll(text, coded, instead)
	}
	return text
}

func replace(form *regexp.Regexp, text, instead string) string {
	var b strings.Builder
	end := 0
	for _, m := range form.FindAllStringSubmatchIndex(text, -1) {
		from, to := m[len(m)-2], m[len(m)-1]
		if text[from:to] == instead {
			continue
		}
		b.WriteString(text[end:from])
		b.WriteString(instead)
		end = to
	}
	return b.String() + text[end:]
}

// privatePEM returns the parts of text that are base64 of private keys.
func privatePEM(text string) []string {
	if !strings.Contains(text, "LS0tLS1CRUdJTi") {
		return nil
	}
	var out []string
	for _, coded := range base64PEM.FindAllString(text, -1) {
		head := coded[:min(len(coded), 64)/4*4]
		if plain, err := base64.StdEncoding.DecodeString(head); err == nil && strings.Contains(string(plain), "PRIVATE KEY") {
			out = append(out, coded)
		}
	}
	return out
}

// Assigned returns the values that a text of configuration assigns to telling names, as
// password = x, "apiKey": "x", --token=x, --token x or Authorization: Bearer x, as far as
// they do not look like words.
func Assigned(text string) []string {
	var out []string
	for _, m := range assignment.FindAllStringSubmatch(text, -1) {
		if value := strings.TrimSuffix(m[3], `\`); Name(m[1]+m[2]) && Findable(value, false) {
			out = append(out, value)
		}
	}
	return out
}

// AssignedIn returns the values that the texts in plain data assign; see [Assigned].
func AssignedIn(v any) (out []string) {
	switch v := v.(type) {
	case string:
		return Assigned(v)
	case map[string]any:
		for _, e := range v {
			out = append(out, AssignedIn(e)...)
		}
	case []any:
		for _, e := range v {
			out = append(out, AssignedIn(e)...)
		}
	}
	return out
}

var assignment = regexp.MustCompile(`(?:([A-Za-z][\w.-]*)\\?["']?\s*[:=]|--([A-Za-z][\w.-]*)\s)\s*\\?["']?(?:(?:[Bb]earer|[Bb]asic)\s+)?([^\s"',;&{}<>$()]{6,})`)
