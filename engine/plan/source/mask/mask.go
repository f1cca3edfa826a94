// Package mask hides values that look like secrets in the text of a file, which need not be
// valid YAML: by the names of their keys and by their shape.
package mask

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source/spelling"
	"github.com/ztplan/ztplan/engine/sensitive"
)

// Line hides values that look like secrets in a line of an excerpt. It judges the text
// alone, since a file may not be valid YAML: a value is hidden by the name of its key,
// to the end of the line, and by its shape. marked is set for a line of an object of
// which a mark says that it holds a secret; declared are further keys of secrets.
func Line(line string, marked bool, declared []string) string {
	b := brackets{line: line}
	for _, k := range keysIn(line) {
		around := b.open(k.start)
		own := max(secrecyOf(k.name, marked), around.of(k.name))
		if slices.Contains(declared, k.name) {
			own = secret
		}
		b.value = max(own, around)
		if own == public || isComment(k.value) || opensMapping.MatchString(k.value) || blockHeader.MatchString(k.value) || noSecret.MatchString(k.value) {
			continue
		}
		line = strings.TrimRight(line[:k.end], " \t") + " " + engine.Redacted
		break
	}
	return sensitive.Mask(line, engine.Redacted)
}

// A key is the name of a value in a line.
type key struct {
	name       string
	option     bool   // of a command: --password
	value      string // all that is behind it
	start, end int    // of the key with its separator
}

func keysIn(line string) []key {
	var out []key
	for _, m := range keyOfValue.FindAllStringSubmatchIndex(line, -1) {
		k := key{option: m[4] >= 0, value: strings.TrimSpace(line[m[1]:]), start: m[0], end: m[1]}
		if k.name = line[max(m[2], m[4]):max(m[3], m[5])]; k.option {
			k.start = m[4]
		}
		out = append(out, k)
	}
	return out
}

// A secrecy is how much of a value is hidden.
type secrecy int

const (
	public  secrecy = iota
	guarded         // all but what is below a key that names no secret: secret: {name: …}
	secret
)

// of returns the secrecy of the value of a key that is in a value of secrecy s; the key is
// "" for a value without one.
func (s secrecy) of(key string) secrecy {
	if s == guarded && sensitive.Plain(key) {
		return public
	}
	return s
}

// secrecyOf returns the secrecy of the value of a key by its name. In a marked object, the
// keys under which the value stands count.
func secrecyOf(key string, marked bool) secrecy {
	switch low := strings.ToLower(key); {
	case low == "stringdata", marked && (low == "default" || low == "value" || low == "data"):
		return secret
	case secretName(key):
		return guarded
	}
	return public
}

// brackets follows the flow collections of a line.
type brackets struct {
	line  string
	at    int
	inner []secrecy // of the values in each collection that is open
	value secrecy   // of the value that comes next
}

// open goes on to an offset and returns the secrecy of the values in the collection there.
func (b *brackets) open(offset int) secrecy {
	for start := true; b.at < offset; b.at++ {
		switch c := b.line[b.at]; c {
		case '{', '[':
			b.inner = append(b.inner, b.value)
		case '}', ']':
			b.inner = b.inner[:max(0, len(b.inner)-1)]
		case ',':
			b.value = b.innermost()
		case '"', '\'':
			if end := QuoteEnd(b.line, b.at+1, c); start && end > 0 {
				b.at = end - 1 // brackets in a quoted text are none
			}
		}
		start = strings.IndexByte(" {[,:=", b.line[b.at]) >= 0
	}
	return b.innermost()
}

func (b *brackets) innermost() secrecy {
	if len(b.inner) == 0 {
		return public
	}
	return b.inner[len(b.inner)-1]
}

// isComment reports whether a key has no value, or only a comment behind it. A
// password may begin with #: YAML takes it for a comment, its author does not.
func isComment(value string) bool {
	return value == "" || strings.HasPrefix(value, "# ")
}

var (
	// keyOfValue finds a key and its colon, in blocks and between braces, with or
	// without quotes; an equals sign counts as well, as in a command line. The second
	// group is an option whose value is the next argument.
	keyOfValue = regexp.MustCompile(`["']?([A-Za-z_][A-Za-z0-9_.-]*)["']?\s*[:=]|(?:^|[\s"'\[])--?([A-Za-z][A-Za-z0-9_.-]*)["']?(?:[,\s]|$)`)

	// noSecret is a value that cannot be one: a reference, a known secret that is taken
	// out already, a switch, and the declaration of a variable without a default.
	noSecret = regexp.MustCompile(`^(["']?(\$\{[^}]*\}|\(secret\))["']?|true|false|null|~|\{\s*secret:\s*(true|false)\s*\})\s*([,}\]#]|$)`)

	// opensMapping is a mapping, whose keys are judged by themselves.
	opensMapping = regexp.MustCompile(`^\{\s*(["']?[A-Za-z_][A-Za-z0-9_.-]*["']?\s*:|#|$)`)

	// blockHeader stands after the key of a block of text.
	blockHeader = regexp.MustCompile(`^([&!]\S*\s+)*[|>][-+0-9]*(\s+#.*)?$`)

	// mark says that an object holds a secret: the declaration of a variable, a Secret of
	// Kubernetes, and an entry of a list whose name, in the group, may be one.
	mark = regexp.MustCompile(`(?:^|[\s{,])["']?(?:secret["']?\s*:\s*true\b|kind["']?\s*:\s*["']?Secret\b|name["']?\s*:\s*["']?([A-Za-z_][A-Za-z0-9_.-]*))`)
)

// secretName reports whether the value of a key is hidden in an excerpt. The keys key
// and keys name an entry in most objects of Kubernetes, and the kubeconfig of a plan and
// those of a fleet are names of files.
func secretName(path string) bool {
	switch strings.ToLower(path[strings.LastIndexByte(path, '.')+1:]) {
	case "key", "keys", "kubeconfig", "kubeconfigs":
		return false
	}
	return sensitive.Name(path) || misspeltSecret(path)
}

// misspeltSecret reports whether the end of a key is one letter away from the name of
// a secret: pasword, dbPasswort.
func misspeltSecret(path string) bool {
	key := strings.ToLower(path[strings.LastIndexByte(path, '.')+1:])
	for _, word := range []string{"password", "passphrase", "secret", "token", "credentials", "privatekey", "apikey"} {
		if strings.Contains(key, word) {
			return false // spelt well, and no secret by its other words
		}
		for n := len(word) - 1; n <= len(word)+1; n++ {
			// Many a word ends like a short one: broken.
			if n > len(key) || n < len(key) && len(word) < 8 {
				continue
			}
			if spelling.Distance(key[len(key)-n:], word, 2) == 1 {
				return true
			}
		}
	}
	return false
}

// keyMarks are in files that hold keys and nothing else.
var keyMarks = [][]byte{
	[]byte("PRIVATE KEY"), []byte("AGE-SECRET-KEY-"), []byte("unseal_keys"), []byte("recovery_keys"), []byte("root_token"), []byte("keys_base64"),
}

// HoldsKeys reports whether a file is one of keys: no line of it is ever shown.
func HoldsKeys(data []byte) bool {
	return slices.ContainsFunc(keyMarks, func(m []byte) bool { return bytes.Contains(data, m) })
}

// QuoteEnd returns the offset behind a quote that closes a text which goes on at an offset,
// or -1.
func QuoteEnd(text string, at int, quote byte) int {
	for ; at < len(text); at++ {
		switch {
		case text[at] == '\\' && quote == '"':
			at++
		case text[at] != quote:
		case quote == '\'' && at+1 < len(text) && text[at+1] == quote:
			at++
		default:
			return at + 1
		}
	}
	return -1
}
