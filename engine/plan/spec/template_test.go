package spec_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// paths gives a reference to vars.a the text of its path, and others what values have.
type paths struct{ values }

func (p paths) Resolve(n *yaml.Node, ref *syntax.Reference) (spec.Value, *spec.Fault) {
	if ref.Root == "vars" && len(ref.Path) > 1 && ref.Path[0].Name == "a" {
		return spec.Value{Node: &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: keypath.String(ref.Path)}}, nil
	}
	return p.values.Resolve(n, ref)
}

// TestIndices: the value of a reference between brackets is a key or a place in a list.
func TestIndices(t *testing.T) {
	scope := paths{values{
		"each.key": variable(t, "shop"), "each.index": variable(t, "2"), "vars.text": variable(t, `"2"`), "vars.zero": variable(t, "0"), "vars.no": variable(t, "no"),
		"vars.less": variable(t, "-1"), "vars.float": variable(t, "1.5"), "vars.nothing": variable(t, "null"), "vars.list": variable(t, "[1]"), "vars.tagged": variable(t, "!!int [1]"),
		"vars.large": variable(t, "18446744073709551615"), "vars.wrong": variable(t, "!!int abc"), "vars.secret": secretly(variable(t, canary)), "steps.b.n": output(1), "steps.b.later": later("x"),
	}}
	for text, want := range map[string]string{
		`${vars.a[each.key].b}`:                `"a[\"shop\"].b"`,
		`${vars.a[each.index][each.key]}`:      `"a[2][\"shop\"]"`,
		`x ${vars.a[each.key]} ${vars.a["b"]}`: `"x a[\"shop\"] a[\"b\"]"`,
		`${vars.a[vars.text]}`:                 `"a[\"2\"]"`,
		`${vars.a[vars.zero]}`:                 `"a[0]"`,
		`${vars.a[vars.less]}`:                 `1:1: ${vars.a[vars.less]}: the index [vars.less] is the number -1: want text or a whole number from 0`,
		`${vars.a[vars.float]}`:                `1:1: ${vars.a[vars.float]}: the index [vars.float] is the number 1.5: want text or a whole number from 0`,
		`${vars.a[vars.large]}`:                `1:1: ${vars.a[vars.large]}: the index [vars.large] is the number 18446744073709551615: want text or a whole number from 0`,
		`${vars.a[vars.wrong]}`:                `1:1: ${vars.a[vars.wrong]}: the index [vars.wrong] is the number abc: want text or a whole number from 0`,
		`${vars.a[vars.no]}`:                   `1:1: ${vars.a[vars.no]}: the index [vars.no] is no (false, as YAML 1.1 reads it): want text or a whole number from 0`,
		`${vars.a[vars.nothing]}`:              `1:1: ${vars.a[vars.nothing]}: the index [vars.nothing] is nothing: want text or a whole number from 0`,
		`${vars.a[vars.list]}`:                 `1:1: ${vars.a[vars.list]}: the index [vars.list] is a list: want text or a whole number from 0`,
		`${vars.a[vars.tagged]}`:               `1:1: ${vars.a[vars.tagged]}: the index [vars.tagged] is a list: want text or a whole number from 0`,
		`${vars.a[vars.secret]}`:               `1:1: ${vars.a[vars.secret]}: the index [vars.secret] is a secret, and ids and problems would show it`,
		`${vars.a[steps.b.n]}`:                 `1:1: ${vars.a[steps.b.n]}: the index [steps.b.n] is an output: which value is meant has to be known before any step runs`,
		`${vars.a[steps.b.later]}`:             `1:1: ${vars.a[steps.b.later]}: the index [steps.b.later] is an output: which value is meant has to be known before any step runs`,
		`é ${vars.a[0]} ${vars.a[vars.zzz]}`:   `1:16: ${vars.zzz}: unknown (know it)`,
	} {
		if got := decode(t, text, "", scope); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// TestIndicesOfConditions: a condition that was read has the indices of its items, again for
// each.
func TestIndicesOfConditions(t *testing.T) {
	scope := paths{values{"each.key": variable(t, "shop")}}
	d, n, problems := decoder(t, `${vars.a[each.key]} == 'a["blog"]'`, scope)
	c := d.Condition(n)
	var got []any
	for _, key := range []string{"shop", "blog"} {
		scope.values["each.key"] = variable(t, key)
		v, ok := d.Eval(c)
		got = append(got, v, ok)
	}
	if fmt.Sprint(got) != "[false true true true]" {
		t.Errorf("got %v, %q", got, *problems)
	}
}

// A fallen scope has no values: problems with them were reported elsewhere.
type fallen struct{}

func (fallen) Resolve(*yaml.Node, *syntax.Reference) (spec.Value, *spec.Fault) {
	return spec.Value{}, new(spec.Fault)
}

// TestFollowing: what follows from another problem is not one more.
func TestFollowing(t *testing.T) {
	for text, path := range map[string]string{
		`{name: x, size: "${vars.n}"}`:                  "size",
		`{name: x, size: "1${vars.n}"}`:                 "size",
		`{name: x, inner: {text: "${vars.n}"}}`:         "inner.text",
		`{name: x, any: {a: [1, "a ${vars.n}"]}}`:       "any.a[1]",
		`{name: x, modes: [fast, "${vars.n}"]}`:         "modes[1]",
		`{name: x, modes: [fast, "${vars.n[vars.i]}"]}`: "modes[1]",
	} {
		d, n, problems := decoder(t, text, fallen{})
		d.Decode(n, nil, new(target))
		if len(*problems) > 0 || !d.Unsettled(path) || d.Unsettled("name") {
			t.Errorf("%s: %q; %s is unsettled: %v", text, *problems, path, d.Unsettled(path))
		}
	}
	// A mistake where a value is written unsettles what uses it.
	d, n, problems := decoder(t, `{name: "${vars.t}", title: "x ${vars.t}", inner: {text: y}}`, values{"vars.t": placed(t, "{a: '{{ .Values.a }}'}")})
	if d.Decode(n, nil, new(target)); len(*problems) != 2 || !d.Unsettled("name") || !d.Unsettled("title") || d.Unsettled("inner") {
		t.Errorf("%q; unsettled: %v, %v, %v", *problems, d.Unsettled("name"), d.Unsettled("title"), d.Unsettled("inner"))
	}
	// The rest of a text after a problem with one of its references.
	for text, want := range map[string]string{
		`1${vars.x}${vars.n}`: `1:2: ${vars.x}: unknown (know it)`,
		`${vars.x}m`:          `1:1: ${vars.x}: unknown (know it)`,
	} {
		if got := decode(t, text, 0, values{"vars.n": variable(t, "a")}); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// TestItemsThatAreChecked: an item that is not known yet, or is wrong already, is not
// checked further.
func TestItemsThatAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		`{name: x, modes: ["${steps.a.later}", slo]}`:         `1:39: modes[1]: "slo" is not one of fast, slow (did you mean "slow"?)`,
		`{name: x, modes: [[fast], slo, "${vars.x}"]}`:        `1:19: modes[0]: want text, have a list (write one value, without the list: fast); 1:33: modes[2]: ${vars.x}: unknown (know it); 1:27: modes[1]: "slo" is not one of fast, slow (did you mean "slow"?)`,
		`{name: x, modes: "${vars.modes}"}`:                   `1:18: modes[0]: "slo" is not one of fast, slow (did you mean "slow"?)`,
		`{name: x, modes: [fast, "${vars.mode}"]}`:            `1:25: modes[1]: "slo" is not one of fast, slow (did you mean "slow"?)`,
		`{name: x, items: "${vars.none}"}`:                    `1:18: items: has 0 items, which is less than the minimum 1`,
		`{name: x, ratio: "${steps.a.none}"}`:                 ``,
		`{name: x, ratio: 0.75, size: 0, wait: 999ms}`:        `1:18: ratio: 0.75 is more than the maximum 0.5; 1:30: size: 0 is less than the minimum 1; 1:39: wait: 999ms is less than the minimum 1s`,
		`{name: x, token: "${steps.a.short}"}`:                `1:18: token: has 3 characters, which is less than the minimum 4`,
		`{name: x, token: "${vars.hex}"}`:                     `1:18: token: want text, and ${vars.hex} is a number in a form that changes when it is read (write it in quotes where it is given)`,
		`{name: "${vars.empty}"}`:                             `1:8: name: must not be empty`,
		`{name: x, inner: "${vars.inner}", labels: {a: "b"}}`: `1:18: inner.count: want a whole number, and ${vars.inner} is the text "x"`,
	} {
		var none *float64
		d, n, problems := decoder(t, text, values{
			"steps.a.later": later("x"), "steps.a.none": output(none), "steps.a.short": output(engine.NewSecret("abc")), "vars.modes": variable(t, "[slo]"), "vars.mode": variable(t, "slo"),
			"vars.hex": variable(t, "0x1"), "vars.none": variable(t, "[]"), "vars.empty": variable(t, `""`), "vars.inner": variable(t, "{count: x}"),
		})
		d.Decode(n, nil, new(target))
		if got := strings.Join(*problems, "; "); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// TestForeignTemplates: a template of Helm is refused where text of a plan is wanted, at the
// place where it is written, and is none of the plan's business in inline YAML and in secrets.
func TestForeignTemplates(t *testing.T) {
	of := func(text string) spec.Value {
		n, _ := node(t, "a: "+text)
		return spec.Value{Node: n.Content[1], File: source.NewFile("vars.yaml", []byte("a: "+text))}
	}
	given := of("'{{ .Values.a }}'") // on the command line
	bare := *given.Node
	bare.Line = 0
	given.Node = &bare
	scope := values{"vars.a": of("'{{ .Values.a }}'"), "vars.b": of("'{{ .Values.b }}'"), "vars.c": of("c"), "vars.given": given, "vars.fileless": variable(t, "'{{ .Values.a }}'"), "steps.a.text": output("{{ .Values.a }}")}
	const (
		message = "{{ .Values.a }} is a template of Helm, which a plan does not fill in"
		hint    = " (declare a variable below vars, and write ${vars.a})"
	)
	for _, tt := range []struct {
		text string
		like any
		want string
	}{
		{`"{{ .Values.a }}"`, "", "p.yaml:1:1: " + message + hint},
		{`"{{ .Values.a }}"`, 0, "p.yaml:1:1: " + message + hint},
		{`["{{ .Values.a }}"]`, []string{}, "p.yaml:1:2: [0]: " + message + hint},
		{`"{{ .Values.a }}"`, engine.Secret{}, "secret {{ .Values.a }}"},
		{`{a: "{{ .Values.a }}"}`, map[string]any{}, `map[string]interface {}{"a":"{{ .Values.a }}"}`},
		{`${vars.a}`, "", "vars.yaml:1:4: " + message + ", used at p.yaml:1:1" + hint},
		{`x ${vars.a} ${vars.b}`, "", "vars.yaml:1:4: " + message + ", used at p.yaml:1:1" + hint},
		{`x ${vars.c}`, "", `"x c"`},
		{`x ${vars.c} ${vars.b} ${vars.a}`, "", "vars.yaml:1:4: {{ .Values.b }} is a template of Helm, which a plan does not fill in, used at p.yaml:1:1 (declare a variable below vars, and write ${vars.b})"},
		{`${vars.given}`, "", "p.yaml:1:1: " + message + hint},
		{`x ${vars.given}`, "", "p.yaml:1:1: " + message + hint},
		{`${vars.fileless}`, "", "p.yaml:1:1: " + message + hint},
		{`x ${vars.fileless} ${vars.b}`, "", "vars.yaml:1:4: {{ .Values.b }} is a template of Helm, which a plan does not fill in, used at p.yaml:1:1 (declare a variable below vars, and write ${vars.b})"},
		{`x ${vars.a}`, engine.Secret{}, "secret x {{ .Values.a }}"},
		{`{a: "x ${vars.a}", b: "${vars.a}"}`, map[string]any{}, `map[string]interface {}{"a":"x {{ .Values.a }}", "b":"{{ .Values.a }}"}`},
		{`${steps.a.text}`, "", `"{{ .Values.a }}"`}, // as a server has it
	} {
		d, n, _ := decoder(t, tt.text, scope)
		into := reflect.New(reflect.TypeOf(tt.like))
		got := ""
		d.Report = func(p *source.Problem) {
			got += p.String() + ": " + p.Summary
			if p.Detail != "" {
				got += ", " + p.Detail
			}
			got += " (" + p.Hint + ")"
		}
		if d.Decode(n, nil, into.Interface()); got == "" {
			got = show(into.Elem().Interface())
		}
		if got != tt.want {
			t.Errorf("%s as %T\n got %s\nwant %s", tt.text, tt.like, got, tt.want)
		}
	}
}

// TestLongTexts: how long a text made of references may be.
func TestLongTexts(t *testing.T) {
	long := spec.Value{Node: &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.Repeat("a", 1<<20)}}
	for text, want := range map[string]string{
		strings.Repeat("${vars.a}", 4):         "",
		strings.Repeat("${vars.a}", 4) + "b":   "",
		strings.Repeat("${vars.a}", 5):         "1:1: the text is longer than 4194304 bytes",
		"a" + strings.Repeat("${vars.a}", 100): "1:1: the text is longer than 4194304 bytes",
	} {
		d, n, problems := decoder(t, text, values{"vars.a": long})
		var s string
		d.Decode(n, nil, &s)
		if got := strings.Join(*problems, "; "); got != want || (want == "") != (len(s) >= 4<<20) {
			t.Errorf("%.30s…: got %q and %d bytes, want %q", text, got, len(s), want)
		}
	}
}

// TestWrittenElsewhere: the problem of a value names the place of the value if that is in
// another file.
func TestWrittenElsewhere(t *testing.T) {
	n, _ := node(t, "text")
	bare := *n
	bare.Line = 0
	far := source.NewFile("vars.yaml", []byte("text"))
	for name, want := range map[string]string{"vars.far": "the value is written at vars.yaml:1:1", "vars.given": "", "vars.near": ""} {
		d, plan, _ := decoder(t, `{name: x, size: "${`+name+`}"}`, nil)
		d.Scope = values{"vars.far": {Node: n, File: far}, "vars.given": {Node: &bare, File: far}, "vars.near": {Node: n, File: d.File}}
		var got []string
		d.Report = func(p *source.Problem) { got = append(got, p.Detail) }
		d.Decode(plan, nil, new(target))
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// TestScan: references in inputs whose types are not known are followed, and the mistakes in
// them are reported.
func TestScan(t *testing.T) {
	d, n, problems := decoder(t, `{a: ["${vars.x}", "$${vars.y}", 3], b: {c: "x ${vars.n} ${vars.z}"}, d: "${vars.}", e: "a $ b"}`, values{"vars.n": variable(t, "1")})
	d.Scan(n)
	want := "1:7: ${vars.x}: unknown (know it); 1:57: ${vars.z}: unknown (know it); 1:74: ${vars.}: a name is missing after a dot (write $${ for the text ${ itself)"
	if got := strings.Join(*problems, "; "); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}
