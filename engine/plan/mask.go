package plan

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

// mask hides what looks like a secret in a line of an excerpt. A file that cannot
// be read as YAML tells of no secret, so that only its text can be asked: a value
// is hidden by the name of its key, to the end of the line, and by its shape.
func mask(line string) string {
	for _, m := range keyOfValue.FindAllStringSubmatchIndex(line, -1) {
		value := strings.TrimSpace(line[m[1]:])
		if value == "" || strings.HasPrefix(value, "#") || blockHeader.MatchString(value) || noSecret.MatchString(value) {
			continue
		}
		if secretName(line[m[2]:m[3]]) {
			line = line[:m[1]] + " " + engine.Redacted
			break
		}
	}
	return secretShape.ReplaceAllString(line, engine.Redacted)
}

// hidden reports whether a whole line lies below a key that looks like a secret:
// in a block of text, or in a list or mapping of values. Its own key may say that
// it is none: secret: {name: …}.
func (s *source) hidden(line int) bool {
	text := s.line(line)
	indent := indentOf(text)
	if indent < 0 {
		return false
	}
	item := strings.HasPrefix(text[indent:], "- ") // may be as far in as its key
	for n := line - 1; n >= 1 && n >= line-maxAbove; n-- {
		above := s.line(n)
		at := indentOf(above)
		if at < 0 || at > indent || at == indent && (!item || strings.HasPrefix(above[at:], "-")) {
			continue
		}
		indent, item = at, strings.HasPrefix(above[at:], "- ")
		m := keyOfValue.FindStringSubmatchIndex(above)
		if m == nil || !secretName(above[m[2]:m[3]]) {
			continue
		}
		value := strings.TrimSpace(above[m[1]:])
		own := keyOfValue.FindStringSubmatch(text)
		return blockHeader.MatchString(value) || own == nil || !plainName.MatchString(strings.ToLower(own[1]))
	}
	return false
}

// maxAbove is how many lines above are asked for the key of a value.
const maxAbove = 500

// indentOf returns how far in a line begins, and -1 for an empty one.
func indentOf(line string) int {
	n := len(line) - len(strings.TrimLeft(line, " "))
	if n == len(line) {
		return -1
	}
	return n
}

var (
	// keyOfValue finds a key and its colon, in blocks and between braces, with or
	// without quotes; an equals sign counts as well, as in a command line.
	keyOfValue = regexp.MustCompile(`["']?([A-Za-z_][A-Za-z0-9_.-]*)["']?\s*[:=]`)

	// noSecret is a value that cannot be one: a reference, a known secret that is taken
	// out already, a switch, and the
	// declaration of a variable without a default.
	noSecret = regexp.MustCompile(`^(["']?(\$\{[^}]*\}|\(secret\))["']?|true|false|null|~|\{\s*secret:\s*(true|false)\s*\})\s*([,}\]#]|$)`)

	// blockHeader is what stands after the key of a block of text.
	blockHeader = regexp.MustCompile(`^[|>][-+0-9]*(\s+#.*)?$`)

	// secretWord is in names of what is secret, plainName in those of what only
	// says where one is or how it is used.
	secretWord = regexp.MustCompile(`passw|passphrase|secret|token|credential|(^|[^a-z])pass$|(^|[^a-z])pwd|authorization|(api|admin|access|private|priv|auth|license|licence|encryption|signing|unseal|recovery|master|root|ssh)[-_.]?keys?([^a-z]|$)|unseal_key|^keys?_?(base64|b64)|^stringdata$`)
	plainName  = regexp.MustCompile(`^(existing|pull|image|use|create|enable|mount|generate|rotate|require|automount)|(name|namespace|ref|refs|file|files|path|url|ttl|type|kind|version|mount|policies|policy|period|enabled|accessor)$|^(key|id|uses|needs|with|api[-_]?version)$`)

	// secretShape finds tokens and keys that their issuers mark as such, and
	// passwords in addresses.
	secretShape = regexp.MustCompile(`\b(hv[sbr]\.[\w-]{8,}|s\.[A-Za-z0-9]{24}\b|gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{8,}|sk-[\w-]{16,}|(AKIA|ASIA)[A-Z0-9]{12,}|AIza[\w-]{30,}|eyJ[\w-]{8,}\.[\w-]{8,}(\.[\w-]*)?|AGE-SECRET-KEY-[A-Z0-9-]+)|://[^\s/@:]*:[^\s/@]+@`)
)

func secretName(key string) bool {
	key = strings.ToLower(key)
	return secretWord.MatchString(key) && !plainName.MatchString(key)
}

// keyMarks are in files that hold keys and nothing else.
var keyMarks = [][]byte{
	[]byte("PRIVATE KEY"), []byte("AGE-SECRET-KEY-"), []byte("unseal_keys"), []byte("recovery_keys"), []byte("root_token"), []byte("keys_base64"),
}

// holdsKeys reports whether a file is one of keys: no line of it is ever shown.
func holdsKeys(data []byte) bool {
	return slices.ContainsFunc(keyMarks, func(m []byte) bool { return bytes.Contains(data, m) })
}
