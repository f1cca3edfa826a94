package source

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/sensitive"
)

// mask hides values that look like secrets in a line of an excerpt. It judges the text
// alone, since a file may not be valid YAML: a value is hidden by the name of its key,
// to the end of the line, and by its shape.
func mask(line string) string {
	path := ""
	for _, m := range keyOfValue.FindAllStringSubmatchIndex(line, -1) {
		value := strings.TrimSpace(line[m[1]:])
		key := path + line[m[2]:m[3]]
		if strings.HasPrefix(value, "{") && !noSecret.MatchString(value) {
			path = key + "." // its keys are judged by themselves
			continue
		}
		if value == "" || strings.HasPrefix(value, "#") || blockHeader.MatchString(value) || noSecret.MatchString(value) {
			continue
		}
		if secretName(key) {
			line = line[:m[1]] + " " + engine.Redacted
			break
		}
	}
	return sensitive.Mask(line, engine.Redacted)
}

// hidden reports whether a whole line lies below a key that looks like a secret:
// in a block of text, or in a list or mapping of values. A key of its own that holds no
// secret excepts it: secret: {name: …}.
func (s *File) hidden(line int) bool {
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
		return blockHeader.MatchString(value) || own == nil || !sensitive.Plain(own[1])
	}
	return false
}

// maxAbove is how many lines above are searched for the key of a value.
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
	// out already, a switch, and the declaration of a variable without a default.
	noSecret = regexp.MustCompile(`^(["']?(\$\{[^}]*\}|\(secret\))["']?|true|false|null|~|\{\s*secret:\s*(true|false)\s*\})\s*([,}\]#]|$)`)

	// blockHeader stands after the key of a block of text.
	blockHeader = regexp.MustCompile(`^[|>][-+0-9]*(\s+#.*)?$`)
)

// secretName reports whether the value of a key is hidden in an excerpt. The keys key
// and keys name an entry in most objects of Kubernetes, and the kubeconfig of a plan and
// those of a fleet are names of files.
func secretName(path string) bool {
	switch strings.ToLower(path[strings.LastIndexByte(path, '.')+1:]) {
	case "key", "keys", "kubeconfig", "kubeconfigs":
		return false
	case "stringdata":
		return true
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
			if distance(key[len(key)-n:], word, 2) == 1 {
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

// holdsKeys reports whether a file is one of keys: no line of it is ever shown.
func holdsKeys(data []byte) bool {
	return slices.ContainsFunc(keyMarks, func(m []byte) bool { return bytes.Contains(data, m) })
}
