package spec_test

import (
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/keypath"
)

// shared is embedded in target.
type shared struct {
	Mount string `yaml:"mount" check:"oneof=pki|kv"`
}

// target has every check.
type target struct {
	shared
	Name   string            `yaml:"name" check:"required"`
	Size   int               `yaml:"size" check:"min=1,max=9"`
	Ratio  *float64          `yaml:"ratio" check:"max=0.5"`
	Modes  []string          `yaml:"modes" check:"oneof=fast|slow"`
	Wait   engine.Duration   `yaml:"wait" check:"min=1s"`
	Token  engine.Secret     `yaml:"token" check:"min=4"`
	Title  string            `yaml:"title" check:"nonempty,max=5"`
	Items  []string          `yaml:"items" check:"min=1"`
	Labels map[string]string `yaml:"labels" check:"max=1"`
	Inner  struct {
		Count uint   `yaml:"count" check:"min=2"`
		Text  string `yaml:"text"`
	} `yaml:"inner"`
	Any any `yaml:"any"`
}

// TestStructs: the problems of a mapping with their places; "" if it is valid.
func TestStructs(t *testing.T) {
	scope := values{
		"vars.n": variable(t, "12"), "vars.map": variable(t, "{count: 1, txet: x}"), "vars.secret": secretly(variable(t, canary)),
		"steps.a.size": output(12), "steps.a.later": later("x"), "steps.a.modes": output([]string{"fast", "slo"}),
	}
	for text, want := range map[string]string{
		`{name: x}`: "",
		`{name: x, size: 9, ratio: 0.5, modes: [fast, slow], wait: 1s, token: abcd, title: ééééé, items: [a], labels: {a: b}, inner: {count: 2}, mount: kv}`: "",
		`{name: x, size: null, inner: null}`: "",
		`{}`:                                 "1:1: name is missing (add name: text)",
		`{name: null}`:                       "1:1: name is missing (add name: text)",
		`{name: ""}`:                         "1:8: name: must not be empty",
		`[]`:                                 "1:1: want a mapping, have a list (write {name: …})",
		`{name: x, size: 0}`:                 "1:17: size: 0 is less than the minimum 1",
		`{name: x, size: 10}`:                "1:17: size: 10 is more than the maximum 9",
		`{name: x, ratio: 0.75}`:             "1:18: ratio: 0.75 is more than the maximum 0.5",
		`{name: x, mount: ""}`:               "",
		`{name: x, modes: [""]}`:             `1:19: modes[0]: "" is not one of fast, slow`,
		`{name: x, mount: kvv}`:              `1:18: mount: "kvv" is not one of pki, kv (did you mean "kv"?)`,
		`{name: x, modes: [fast, slwo]}`:     `1:25: modes[1]: "slwo" is not one of fast, slow (did you mean "slow"?)`,
		`{name: x, wait: 10ms}`:              "1:17: wait: 10ms is less than the minimum 1s",
		`{name: x, token: abc}`:              "1:18: token: has 3 characters, which is less than the minimum 4",
		`{name: x, title: ""}`:               "1:18: title: must not be empty (give it a value, or leave the key out: an empty title may be a variable that was forgotten)",
		`{name: x, title: éééééé}`:           "1:18: title: has 6 characters, which is more than the maximum 5",
		`{name: x, items: []}`:               "1:18: items: has 0 items, which is less than the minimum 1",
		`{name: x, labels: {a: b, c: d}}`:    "1:19: labels: has 2 keys, which is more than the maximum 1",
		`{nmae: x}`:                          `1:2: unknown key "nmae" (did you mean "name"?)`,
		`{nmae: x, name: y}`:                 `1:2: unknown key "nmae" (did you mean "name"?)`,
		`{name: x, inner: {qqq: 1}}`:         `1:19: inner: unknown key "qqq" (the keys here are count and text)`,
		`{name: x, inner: {count: 1}}`:       "1:26: inner.count: 1 is less than the minimum 2",
		`{size: 0, modes: [x]}`:              `1:8: size: 0 is less than the minimum 1; 1:19: modes[0]: "x" is not one of fast, slow; 1:1: name is missing (add name: text)`,
		// By references: at the place where they are used.
		`{name: x, size: "${vars.n}"}`:               "1:17: size: 12 is more than the maximum 9",
		`{name: x, size: "${steps.a.size}"}`:         "1:17: size: 12 is more than the maximum 9",
		`{name: x, modes: "${steps.a.modes}"}`:       `1:18: modes[1]: "slo" is not one of fast, slow (did you mean "slow"?)`,
		`{name: x, inner: "${vars.map}"}`:            `1:18: inner.count: 1 is less than the minimum 2; 1:18: inner: unknown key "txet" (did you mean "text"?)`,
		`{name: "${steps.a.later}", size: 0}`:        "1:34: size: 0 is less than the minimum 1",
		`{name: x, any: {a: ["${vars.secret}"]}}`:    "1:22: any.a[0]: ${vars.secret} is a secret, and this input is not: it would be shown",
		`{name: x, labels: {"${vars.n}": b}}`:        `1:20: labels["${vars.n}"]: references are for values: the key "${vars.n}" cannot hold one`,
		`{name: x, labels: {on: a, true: b}}`:        `1:20: labels.on: keys on and true, in line 1, are both read as "true": write them in quotes`,
		"name: x\ninner:\n  count: 3\n  text: [a]\n": "4:9: inner.text: want text, have a list (write one value, without the list: a)",
	} {
		d, n, problems := decoder(t, text, scope)
		d.Decode(n, nil, new(target))
		if got := strings.Join(*problems, "; "); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// TestSubjects: a problem begins with the step and the input; problems of the plan's
// connections name no step.
func TestSubjects(t *testing.T) {
	d, n, problems := decoder(t, `{size: 0, zzz: 1}`, values{})
	d.Subject = "step a (k)"
	d.Decode(n, []keypath.Elem{keypath.Key("with"), {Index: 2}}, new(target))
	d, n, connected := decoder(t, `{size: 0}`, values{})
	d.Subject = "step a (k)"
	d.Partial = true
	size := n.Content[1]
	d.Connected, d.Plan = map[*yaml.Node]bool{size: true}, d.Document
	d.Decode(n, []keypath.Elem{keypath.Key("vault")}, new(target))
	got := append(*problems, *connected...)
	want := []string{
		"1:8: step a (k): with[2].size: 0 is less than the minimum 1",
		`1:11: step a (k): with[2]: unknown key "zzz" (the keys here are any, inner, items, labels, modes, mount, name, ratio, size, title, token and wait)`,
		"1:1: step a (k): with[2].name is missing (add name: text)",
		"1:8: connections.vault.size: 0 is less than the minimum 1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestUnsettled: a kind's own problem is not reported if it may follow from an input
// that is not known yet, or wrong.
func TestUnsettled(t *testing.T) {
	d, n, _ := decoder(t, `{name: "${steps.a.later}", inner: {count: 1}, labels: {a: "${steps.a.later}"}}`, values{"steps.a.later": later("x")})
	d.Decode(n, nil, new(target))
	if got := d.Pending(); !slices.Equal(got, []string{"name", "labels.a"}) {
		t.Errorf("pending %q", got)
	}
	for path, want := range map[string]bool{
		"": true, "name": true, "inner": true, "inner.count": true, "inner.text": false, "labels": true, "labels.a": true, "labels.b": false, "size": false,
		"names": false, "nam": false,
	} {
		if got := d.Unsettled(path); got != want {
			t.Errorf("%q: %v, want %v", path, got, want)
		}
	}
	d, n, _ = decoder(t, `{name: x, size: 0}`, values{})
	d.Decode(n, nil, new(target))
	if d.Unsettled("") || !d.Unsettled("size") {
		t.Error("only inputs that are not known unsettle the spec as a whole")
	}
}
