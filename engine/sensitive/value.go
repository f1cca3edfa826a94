package sensitive

import (
	"net/url"
	"regexp"
	"strings"
)

// Lengths from which on a value is searched for in everything that is shown.
const (
	shortestNamed = 6  // under a telling name
	shortestOther = 8  // any other value of a Secret
	shortestWords = 16 // one that is made of words
)

// Findable reports whether a value that is secret may be searched for in texts;
// see the package for the rule. named is set for a value under a telling name.
func Findable(value string, named bool) bool {
	value = strings.TrimSpace(value)
	switch n := len(value); {
	case n < shortestNamed, n < shortestOther && !named, isNumber(value) && n < shortestOther, common[strings.ToLower(value)], telling(words(value)) && !strings.ContainsAny(value, "0123456789/:. "):
		return false
	case public(value):
		return false
	case named:
		return true
	case address.MatchString(value):
		return withPassword(value)
	case strings.HasPrefix(value, "/") && !strings.ContainsAny(value, "+="):
		return false
	case wordy(value):
		return n >= shortestWords && !strings.ContainsAny(value, ".:")
	}
	return true
}

var common = map[string]bool{
	"enabled": true, "disabled": true, "default": true, "required": true, "optional": true, "localhost": true,
	"undefined": true, "internal": true, "production": true, "development": true, "username": true,
}

var address = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://`)

func withPassword(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return true
	}
	_, set := u.User.Password()
	return set
}

// wordy reports whether a text is made of words and numbers: a host, a version, a
// name. Random texts mix them.
func wordy(text string) bool {
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("-_. :/,@", r) }) {
		if !word.MatchString(part) {
			return false
		}
	}
	return true
}

var word = regexp.MustCompile(`^([0-9]+|([A-Z]+|[A-Z]?[a-z]+([A-Z][a-z]+)*)[0-9]{0,3})$`)

// public reports whether a text is made to be read by everybody: certificates and
// public keys.
func public(text string) bool {
	return strings.HasPrefix(text, "-----BEGIN ") && !strings.Contains(text, "PRIVATE KEY-----") ||
		strings.HasPrefix(text, "LS0tLS1CRUdJTi") && len(privatePEM(text)) == 0
}

// Holds reports whether the text at a path is a secret by its name: see [Name].
// The name of a Secret, as under tlsSecret, and a switch are none.
func Holds(path, text string) bool {
	switch text {
	case "", "true", "false", "null":
		return false
	}
	return Name(path) && !(strings.HasSuffix(strings.ToLower(path), "secret") && objectName.MatchString(text))
}

var objectName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)
