package redact_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/redact"
)

// FuzzRedact: a secret that the run knows is in nothing that leaves it, as it is
// or in the forms that Redactor.Add names, with any text around it.
func FuzzRedact(f *testing.F) {
	f.Add("hvs.CAESIJlU", "token ", " is bad")
	f.Add("123456", "", "")
	f.Add("pass word/with+ä\n\"quotes\"<&>", "https://x/?p=", "&y")
	f.Add("-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49\n-----END PRIVATE KEY-----\n", "key: ", "")
	f.Add("(secret)(secret)", "(secret)", "")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		if len(secret) < 6 || !utf8.ValidString(secret+before+after) || nearRedacted(secret) {
			t.Skip()
		}
		r := new(redact.Redactor)
		r.Add(engine.NewSecret(secret))
		quoted, err := json.Marshal(secret)
		if err != nil {
			t.Fatal(err)
		}
		for what, form := range map[string]string{
			"plain": secret, "json": strings.TrimSuffix(strings.TrimPrefix(string(quoted), `"`), `"`), "query": url.QueryEscape(secret), "path": url.PathEscape(secret),
			"hex": hex.EncodeToString([]byte(secret)), "base64": base64.StdEncoding.EncodeToString([]byte(secret)), "base64url": base64.RawURLEncoding.EncodeToString([]byte(secret)),
		} {
			if got := r.Text(before + form + after); strings.Contains(got, form) && !strings.Contains(before+engine.Redacted+after, form) {
				t.Errorf("%s: %q of %q survives in %q", what, form, secret, got)
			}
		}
		if len(secret) >= 16 {
			core := base64.StdEncoding.EncodeToString([]byte(before + secret + after))
			if got := r.Text(core); got == core {
				t.Errorf("inside other base64: %q survives in %q", secret, got)
			}
		}
		event := engine.Event{
			Path: before + secret, Message: secret + after, Error: secret, Hint: before + secret + after,
			Have: map[string]any{before + secret: []any{secret, map[string]any{"k": secret + after}}, "raw": []byte(secret), "n": json.Number("1")},
			Want: struct{ A, B any }{secret, []string{before + secret}}, Data: fmt.Errorf("%s", secret),
			Outputs: map[string]any{"x": secret},
		}
		got, err := json.Marshal(r.Event(event))
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.TrimSuffix(strings.TrimPrefix(string(quoted), `"`), `"`)
		blank, _ := json.Marshal(new(redact.Redactor).Event(replaced(event, secret)))
		if strings.Contains(string(got), plain) && !strings.Contains(string(blank), plain) {
			t.Errorf("%q survives in %s", secret, got)
		}
	})
}

// replaced is the event as if the secret were the redacted text.
func replaced(e engine.Event, secret string) engine.Event {
	text, _ := json.Marshal(new(redact.Redactor).Event(e))
	quoted, _ := json.Marshal(secret)
	plain := strings.TrimSuffix(strings.TrimPrefix(string(quoted), `"`), `"`)
	var out engine.Event
	_ = json.Unmarshal([]byte(strings.ReplaceAll(string(text), plain, engine.Redacted)), &out)
	return out
}

// nearRedacted reports whether the text that stands for secrets could become a
// part of the secret again.
func nearRedacted(secret string) bool {
	for i := range len(secret) {
		for j := i + 1; j <= len(secret); j++ {
			if part := secret[i:j]; (strings.HasPrefix(engine.Redacted, part) && j == len(secret)) || (strings.HasSuffix(engine.Redacted, part) && i == 0) || strings.Contains(part, engine.Redacted) {
				return true
			}
		}
	}
	return false
}

func TestShapesAreRedacted(t *testing.T) {
	got := new(redact.Redactor).Event(engine.Event{Error: "dial postgres://app:CANARY@db/app: refused", Data: map[string]any{"token": "hvs.CANARY" + strings.Repeat("x", 20)}})
	if text := fmt.Sprint(got); strings.Contains(text, "CANARY") {
		t.Error(text)
	}
}
