package sensitive

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Name reports whether a value at a path is a secret by its name. The path is
// dotted or slashed, with names or indices of elements in brackets:
// auth.superuserPassword, data/refresh_token, spec/containers[app]/env[DB_PASS]/value.
// The last key counts, in any style; below passwords, tokens and credentials all values
// are secrets.
func Name(path string) bool {
	keys := strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '/' || r == '[' || r == ']' })
	if len(keys) > 0 && keys[0] == "metadata" {
		return false // labels and annotations are public
	}
	for len(keys) > 1 && (strings.EqualFold(keys[len(keys)-1], "value") || isNumber(keys[len(keys)-1])) {
		keys = keys[:len(keys)-1]
	}
	if len(keys) == 0 {
		return false
	}
	last := words(keys[len(keys)-1])
	parents := keys[:len(keys)-1]
	if slices.ContainsFunc(parents, selects) {
		return false
	}
	if telling(last) {
		return true
	}
	return slices.ContainsFunc(parents, holdsSecrets) && !Plain(keys[len(keys)-1])
}

// Plain reports whether a key only names a secret, its place or its use: secretName,
// existingSecret, tokenTTL, namespace.
func Plain(key string) bool {
	w := words(key)
	return reference.MatchString(strings.Join(w, "")) || switches[first(w)]
}

func telling(words []string) bool {
	if len(words) == 0 || switches[words[0]] || slices.Contains(words, "pull") {
		return false
	}
	joined := singular(strings.TrimRight(strings.Join(words, ""), "0123456789"))
	if secretName.MatchString(joined) {
		return true
	}
	what, isKey := strings.CutSuffix(joined, "key")
	return isKey && !plainKeys.MatchString(what)
}

func holdsSecrets(key string) bool { return manySecrets.MatchString(strings.Join(words(key), "")) }

// selects reports whether keys below this one name something else.
func selects(key string) bool { return selectors.MatchString(strings.Join(words(key), "")) }

var (
	secretName = regexp.MustCompile(`(password|passwd|passphrase|passcode|^pass|^pwd|dbpass|userpass|adminpass|secret|token|credential|accesskeyid|webhook|webhookurl|dsn|connectionstring|connectionuri|connstr|dockerconfigjson|dockercfg|htpasswd|kubeconfig|bearer|authorization)$`)

	// Keys that are no secrets: public ones, and those that name an entry.
	plainKeys   = regexp.MustCompile(`(public|pub|primary|foreign|sort|group|topology|label|annotation|config|partition|cache|routing|map|tag|object|lookup|index|row|password|token|user|username|name|field|data|crypto|kms|host|known|authorized|property|search|order|metric|ca|cert|certificate|dependency|idempotency|registry|content|value)$`)
	manySecrets = regexp.MustCompile(`(passwords|tokens|credentials|apikeys)$`)
	reference   = regexp.MustCompile(`(name|names|ref|reference|file|path|dir|ttl|type|enabled|namespace|username|user|login|id|url|host|port|mount)$|^existing`)
	selectors   = regexp.MustCompile(`(ref|selector|toleration|tolerations|expressions|affinity|constraints|items)$`)
)

// switches are first words of names of options that are on or off.
var switches = map[string]bool{
	"existing": true, "enable": true, "enabled": true, "disable": true, "create": true, "mount": true, "automount": true,
	"use": true, "generate": true, "auto": true, "rotate": true, "require": true, "allow": true, "has": true, "is": true,
	"show": true, "skip": true, "validate": true, "verify": true, "check": true, "max": true, "min": true, "num": true,
}

// words splits a key at separators and where lower case ends: superuserPassword,
// SUPERUSER_PASSWORD and superuser-password are the same.
func words(key string) []string {
	var out []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			out = append(out, strings.ToLower(string(word)))
		}
		word = nil
	}
	runes := []rune(key)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			flush()
			continue
		case unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]) && unicode.IsUpper(runes[i-1])):
			flush()
		}
		word = append(word, r)
	}
	flush()
	return out
}

func singular(s string) string {
	if strings.HasSuffix(s, "ss") {
		return s
	}
	return strings.TrimSuffix(s, "s")
}

func first(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
