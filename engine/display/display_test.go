package display_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
)

func TestText(t *testing.T) {
	for name, test := range map[string]struct{ in, want string }{
		"plain":              {"a b\tc\nd", "a b\tc\nd"},
		"letters":            {"é 日本 👩‍💻", "é 日本 👩‍💻"},
		"colour":             {"\x1b[31mred", `\x1b[31mred`},
		"title":              {"\x1b]0;title\x07", `\x1b]0;title\x07`},
		"link":               {"\x1b]8;;https://x\x1b\\y", `\x1b]8;;https://x\x1b\y`},
		"C1":                 {"\u009b31m\u009d0;t", `\u009b31m\u009d0;t`},
		"C1 as a byte":       {"\x9b31m", `\x9b31m`},
		"DEL and backspace":  {"ok\x7f\b\b", `ok\x7f\x08\x08`},
		"return":             {"failed\rproved", `failed\x0dproved`},
		"Windows lines":      {"a\r\nb", "a\nb"},
		"bidi":               {"abc\u202edcba\u2066x\u200f", `abc\u202edcba\u2066x\u200f`},
		"line separator":     {"a\u2028b\u0085c", `a\u2028b\u0085c`},
		"zero width":         {"a\u200bb\ufeff", `a\u200bb\ufeff`},
		"tag":                {"a\U000e0041", `a\U000e0041`},
		"command":            {"::error::boom", `\x3a:error::boom`},
		"command, indented":  {"a\n \u00a0\t::add-mask::x", "a\n \u00a0\t\\x3a:add-mask::x"},
		"command, file":      {"::warning file=a,line=1::x", `\x3a:warning file=a,line=1::x`},
		"stop":               {"::stop-commands::t", `\x3a:stop-commands::t`},
		"command after \r":   {"x\r::error::y", `x\x0d::error::y`},
		"old command":        {"x ##[error]y", `x \x23#[error]y`},
		"Azure":              {"x ##VSO[task.setvariable]y", `x \x23#VSO[task.setvariable]y`},
		"TeamCity":           {"##teamcity[buildStop]", `\x23#teamcity[buildStop]`},
		"an address":         {"::1", "::1"},
		"a heading":          {"## ztplan", "## ztplan"},
		"in the middle":      {"std::string::npos", "std::string::npos"},
		"hidden in a prefix": {"\x1b::error::x", `\x1b::error::x`},
	} {
		if got := display.Text(test.in); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// Escaping twice is escaping once: a text may pass through several readers.
func FuzzText(f *testing.F) {
	f.Add("a\x1b[0m\r\n::error::x ##[y]\u202e\x9b")
	f.Fuzz(func(t *testing.T, s string) {
		once := display.Text(s)
		if twice := display.Text(once); twice != once {
			t.Errorf("%q, and again %q", once, twice)
		}
		if i := strings.IndexFunc(once, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 }); i >= 0 {
			t.Errorf("%q has a control character at %d", once, i)
		}
	})
}

// Every control, format and separator character of Unicode is escaped, but for line ends,
// tabs and the two joiners, without which words of some scripts and emoji fall apart.
func TestEveryHiddenCharacter(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		shown := r == '\n' || r == '\t' || r == '\u200c' || r == '\u200d' ||
			!unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
		if got := display.Text(string(r)); utf8.ValidRune(r) && (got == string(r)) != shown {
			t.Errorf("%U became %q", r, got)
		}
	}
}

func TestCopy(t *testing.T) {
	in := engine.Event{
		Message: "a\x1b", Time: time.Unix(1, 2), Needs: []string{"b\x1b"}, Summary: &engine.Summary{CriticalPath: []string{"c\x1b"}},
		Have: map[string]any{"d\x1b": []any{"e\x1b", 1, nil, map[string]any{"f": json.Number("1")}}}, Want: engine.NewSecret("g\x1b"),
	}
	before, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	got := display.Event(in)
	want := engine.Event{
		Message: `a\x1b`, Time: time.Unix(1, 2), Needs: []string{`b\x1b`}, Summary: &engine.Summary{CriticalPath: []string{`c\x1b`}},
		Have: map[string]any{`d\x1b`: []any{`e\x1b`, 1, nil, map[string]any{"f": json.Number("1")}}}, Want: in.Want,
	}
	if d := cmp.Diff(want, got, cmp.Comparer(engine.Secret.Equal)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if after, _ := json.Marshal(in); !bytes.Equal(before, after) {
		t.Errorf("the event itself was changed: %s", after)
	}
}

// JSON keeps its values.
func TestJSON(t *testing.T) {
	in := map[string]string{"a\u202e": "\x1b\u009b\x7f\U000e0041 é 👩‍💻\n::error::"}
	var b bytes.Buffer
	if err := json.NewEncoder(display.JSONWriter{W: &b}).Encode(in); err != nil {
		t.Fatal(err)
	}
	if i := strings.IndexFunc(b.String(), func(r rune) bool {
		return r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e || r > 0xe0000)
	}); i >= 0 {
		t.Errorf("%q has a hidden character at %d", b.String(), i)
	}
	var out map[string]string
	if err := json.Unmarshal(b.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(in, out); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
