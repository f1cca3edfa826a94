package kubeyaml_test

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
	kyaml "sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/engine/kubeyaml"
)

// words are scalars that YAML 1.1 and 1.2 read differently, and their
// neighbours.
var words = strings.Fields(`0400 0o400 0O17 08 09 0 -0 00 0x1F 0X1f 0b11 -0b11 0b12 1_000 1__0 _1 1_ +5 -5 +0400 -0x1f 1e3 1E3 1.5e7 1e-3 1e400 .5 5. -.5 1. 1.0 1.10 1.1.1
	yes no on off y n Y N Yes YES yEs No NO On ON oN Off OFF TRUE True true tRUE FALSE False false ~ null Null NULL nULL
	2026-01-18 2026-01-18T10:00:00Z 2026-1-8 22:22:22 1:20 1.2.3.4 "0400" 'yes' "no" 9007199254740993 18446744073709551615 18446744073709551616 -9223372036854775808
	99999999999999999999999 1.7976931348623157e308 - -- --1 ... . .. +. -. + e1 1e 0x 0b 0o 0x_1 12e03 1e+3 .1e1 a-1 -a 1a a1 f fa t tr o of nu nul yess
	!!str\ 0400 !!int\ "0400" !!float\ 3 !!bool\ yes !!bool\ "off" !!null\ "" !!binary\ aGFsbG8= .inf .nan -.Inf +.INF .NaN`)

func scalars() []string {
	var out []string
	for _, w := range words {
		out = append(out, strings.ReplaceAll(w, `\`, ""))
	}
	return out
}

// same compares the readings of a text by kubeyaml and sigs.k8s.io/yaml, as JSON.
func same(t *testing.T, text string) {
	t.Helper()
	want, wantErr := kyaml.YAMLToJSON([]byte(text))
	v, err := kubeyaml.Unmarshal([]byte(text))
	if (err != nil) != (wantErr != nil) {
		t.Errorf("%s\ngot error %v, the library has %v", text, err, wantErr)
	}
	if err != nil || wantErr != nil {
		return
	}
	got, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s\nwant what the library reads (-want +got):\n%s", text, diff)
	}
}

func TestScalarsAsKubectl(t *testing.T) {
	words := []string{}
	for _, w := range scalars() {
		words = append(words, w)
		if strings.HasPrefix(w, "!!") {
			continue
		}
		if len(w) > 1 {
			words = append(words, w+"_", "+"+w, w+".0")
		}
	}
	for _, w := range words {
		same(t, "k: "+w+"\n")
		same(t, "- "+w+"\n")
		if !strings.HasPrefix(w, "!!") {
			same(t, fmt.Sprintf("{a: %s, b: [%s, x]}", w, w))
		}
	}
}

func TestKeysAsKubectl(t *testing.T) {
	for _, w := range scalars() {
		if strings.HasPrefix(w, "!!") || w == "~" || strings.EqualFold(w, "null") && w != "nULL" {
			continue
		}
		same(t, w+": 1\n")
	}
}

// TestDocumentsAsKubectl: mappings, lists, anchors and merge keys of random
// shape are read as the library reads them.
func TestDocumentsAsKubectl(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for range 500 {
		var b strings.Builder
		b.WriteString("base: &a {x: yes, y1: 0400, z: [on]}\nother: &b {x: off, w: *a}\n")
		document(r, &b, "", 3)
		same(t, b.String())
	}
	same(t, "a: &a {k: 1}\nb: {k: 2, <<: *a}\nc: {<<: *a, k: 2}\nd: {<<: [*a, {k: 3, l: 4}], m: 5}\n")
}

func document(r *rand.Rand, b *strings.Builder, indent string, depth int) {
	all := scalars()
	for i := range 1 + r.Intn(4) {
		fmt.Fprintf(b, "%sk%d: ", indent, i)
		switch n := r.Intn(7); {
		case n == 0 && depth > 0:
			b.WriteString("\n")
			document(r, b, indent+"  ", depth-1)
		case n == 1 && depth > 0:
			fmt.Fprintf(b, "{<<: *a, k: %s, x: %s}\n", "yes", "0x10")
		case n == 2:
			b.WriteString("*b\n")
		case n == 3:
			b.WriteString("|\n" + indent + "  0400\n" + indent + "  yes\n")
		case n == 4:
			b.WriteString("0400\n" + indent + "  and more\n")
		default:
			w := all[r.Intn(len(all))]
			if strings.Contains(strings.ToLower(w), "inf") || strings.Contains(strings.ToLower(w), "nan") || w == "-" {
				w = "y"
			}
			b.WriteString(w + "\n")
		}
	}
}

func TestProblemsNameTheKey(t *testing.T) {
	_, err := kubeyaml.Unmarshal([]byte("s:\n  k: .inf\n  l: [1, -.nan, .NaN]\n  on: 1\n  yes: 2\n  l: 3\n  ~: 4\n? [a]\n: 5\nc: &c [*c]\n"))
	if err == nil {
		t.Fatal("no error")
	}
	const want = `line 2: s.k: .inf has no form in JSON: write a number, or the text in quotes
line 3: s.l[2]: .NaN has no form in JSON: write a number, or the text in quotes
line 5: s: keys yes and on, in line 4, are both read as "true": write them in quotes
line 6: s: key "l" is given twice; first in line 3
line 7: s: a key has no name: write it in quotes
line 8: a key is a mapping or a list: keys are plain text
line 10: c[0][0]: anchor "c" contains itself`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

// TestTagsAreNotNamed: a password that begins with ! is a tag when it is not in quotes.
func TestTagsAreNotNamed(t *testing.T) {
	_, err := kubeyaml.Unmarshal([]byte("password: !hunter2\n"))
	if want := "line 1: password: a tag, which is a word that begins with !, has no meaning here"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestAliasesAreBounded: nine levels of nine aliases are a problem, not memory.
func TestAliasesAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 x\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	if _, err := kubeyaml.Unmarshal([]byte(b.String())); err == nil || !strings.Contains(err.Error(), "aliases repeat") {
		t.Errorf("got %v", err)
	}
}

func TestReading(t *testing.T) {
	for text, want := range map[string]string{"NO": "false", "y": "true", "0400": "256", "1_000": "", "0x10": "16", "TRUE": "", "1.10": "", "10": "", "+5": "", "x": "", `"no"`: "", "~": ""} {
		var n yaml.Node
		if err := yaml.Unmarshal([]byte(text), &n); err != nil {
			t.Fatal(err)
		}
		kubeyaml.Resolve(&n)
		if got := kubeyaml.Reading(n.Content[0]); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// FuzzScalar: any plain word has the meaning that the library gives it.
func FuzzScalar(f *testing.F) {
	for _, w := range scalars() {
		f.Add(w)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Trim(text, "0123456789abcdefABCDEFxXoOyYnNsStTrRuUlLiI_+-.~") != "" {
			t.Skip()
		}
		same(t, "[x, "+text+"]")
	})
}
