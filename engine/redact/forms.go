package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
)

// longEnough is the length from which on a part of a secret is looked for by
// itself: a line of it, or its remainder inside other base64.
const longEnough = 16

// forms are the texts that give a secret away.
func forms(text string) []string {
	out := written(text)
	if strings.Contains(text, "\n") {
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			// The frame of PEM is no secret.
			if len(line) >= longEnough && !strings.HasPrefix(line, "-----") {
				out = append(out, written(line)...)
			}
		}
	}
	return out
}

func written(text string) []string {
	out := []string{
		text,
		url.QueryEscape(text), url.PathEscape(text),
		hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text))),
		strings.Trim(strconv.Quote(text), `"`),
	}
	if q, err := json.Marshal(text); err == nil {
		out = append(out, strings.TrimSuffix(strings.TrimPrefix(string(q), `"`), `"`))
	}
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		out = append(out, e.EncodeToString([]byte(text)))
		if len(text) >= longEnough {
			out = append(out, inside(e, text)...)
		}
	}
	return out
}

// inside returns the base64 of text when it is in the middle of something
// else, at each of the three places that it can begin at: without the characters
// at both ends, which depend on the neighbours.
func inside(e *base64.Encoding, text string) []string {
	var out []string
	for shift := range 3 {
		coded := e.EncodeToString([]byte("xx"[:shift%3] + text))
		first := (shift*8 + 5) / 6
		last := (shift + len(text)) * 8 / 6
		out = append(out, coded[first:last])
	}
	return out
}
