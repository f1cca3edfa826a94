package spec_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// defaults is a spec with defaults; its first key is required.
type defaults struct {
	Name  string            `yaml:"name" check:"required"`
	Mode  string            `yaml:"mode" check:"oneof=fast|slow"`
	Must  string            `yaml:"must" check:"oneof=a|b,required"`
	Full  string            `yaml:"full" check:"oneof=a|b,nonempty"`
	Free  string            `yaml:"free"`
	Modes []string          `yaml:"modes" check:"oneof=fast|slow"`
	Size  *int              `yaml:"size" check:"max=9"`
	Login *login            `yaml:"login"`
	Needs *login            `yaml:"needs" check:"required"`
	Any   any               `yaml:"any"`
	Logs  map[string]login  `yaml:"logs"`
	Lists map[string][]int  `yaml:"lists"`
	Maps  map[string]*login `yaml:"maps"`
	Anys  []any             `yaml:"anys"`
	Short string            `yaml:"short" check:"max=3"`
	File  engine.File       `yaml:"file"`
	Token engine.Secret     `yaml:"token"`

	Nested map[string]map[string]int `yaml:"nested"`
}

type login struct {
	Method string `yaml:"method"`
	Role   string `yaml:"role"`
}

func newDefaults() *defaults {
	size := 3
	return &defaults{Name: "standard", Mode: "fast", Must: "a", Full: "a", Free: "standard", Size: &size, Any: "standard", Needs: &login{Method: "standard", Role: "standard"}}
}

// filled decodes a text into a spec with defaults and returns the field, or the problems.
func filled(t *testing.T, text, field string, scope values) string {
	t.Helper()
	d, n, problems := decoder(t, text, scope)
	in := newDefaults()
	d.Decode(n, nil, in)
	if len(*problems) > 0 {
		return strings.Join(*problems, "; ")
	}
	v := reflect.ValueOf(in).Elem().FieldByName(field)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	return fmt.Sprintf("%+v", v)
}

// TestDefaults: what an input has when it is left out, empty, null or given in part.
func TestDefaults(t *testing.T) {
	var none *float64
	scope := values{
		"vars.empty": variable(t, `""`), "vars.none": variable(t, "{}"), "vars.jwt": variable(t, "{method: jwt}"), "vars.list": variable(t, "[]"), "vars.octal": variable(t, "0400"),
		"steps.a.none": output(none), "steps.a.later": later("x"),
	}
	for _, tt := range []struct{ text, field, want string }{
		{`{}`, "Name", "standard"}, // required, and has a default
		{`{name: null}`, "Name", "standard"},
		{`{name: x}`, "Name", "x"},
		{`{name: ""}`, "Name", "1:8: name: must not be empty"},
		// An empty text of an enumeration leaves the key out.
		{`{mode: ""}`, "Mode", "fast"},
		{`{mode: slow}`, "Mode", "slow"},
		{`{mode: "${vars.empty}"}`, "Mode", "fast"},
		{`{must: ""}`, "Must", "1:8: must: must not be empty"},
		{`{full: ""}`, "Full", "1:8: full: must not be empty (give it a value, or leave the key out: an empty full may be a variable that was forgotten)"},
		{`{free: ""}`, "Free", ""},
		{`{modes: []}`, "Modes", "[]"},
		{`{modes: "${vars.list}"}`, "Modes", "[]"},
		{`{mode: [slow]}`, "Mode", "1:8: mode: want text, have a list (write one value, without the list: slow)"},
		// A variable that is an empty map leaves a key out, and an empty map does not.
		{`{login: {}}`, "Login", "{Method: Role:}"},
		{`{login: "${vars.none}"}`, "Login", "<nil>"},
		{`{login: "${vars.jwt}"}`, "Login", "{Method:jwt Role:}"},
		{`{login: {method: "${vars.empty}"}}`, "Login", "{Method: Role:}"},
		{`{login: null}`, "Login", "<nil>"},
		{`{needs: {role: x}}`, "Needs", "{Method:standard Role:x}"},
		{`{needs: "${vars.none}"}`, "Needs", "{Method:standard Role:standard}"},
		// Pointers: a number is set, or is not.
		{`{size: 4}`, "Size", "4"},
		{`{size: null}`, "Size", "3"},
		{`{size: 10}`, "Size", "1:8: size: 10 is more than the maximum 9"},
		// Inline YAML: null is a value.
		{`{any: null}`, "Any", "<nil>"},
		{`{any: {a: null, b: [null]}}`, "Any", "map[a:<nil> b:[<nil>]]"},
		{`{any: "{{ .Values.a }}"}`, "Any", "{{ .Values.a }}"},
		{`{anys: [1, null]}`, "Anys", "[1 <nil>]"},
		// The values of a mapping are their own.
		{`{logs: {a: {method: x}, b: {role: y}}}`, "Logs", "map[a:{Method:x Role:} b:{Method: Role:y}]"},
		{`{lists: {a: [1], b: null}}`, "Lists", "map[a:[1] b:[]]"},
		{`{maps: {a: null}}`, "Maps", "map[a:<nil>]"},
		{`{nested: {a: null}}`, "Nested", "map[a:map[]]"},
		{`{any: [{a: 1, b: {c: [!!int x]}}]}`, "Any", `1:23: any[0].b.c[0]: "x" is no int`},
		{`{any: [{a: {b: 1}}, "${vars.x}"]}`, "Any", `1:22: any[1]: ${vars.x}: unknown (know it)`},
		{`{any: {a: {b: 1}, c: "${vars.x}"}}`, "Any", `1:23: any.c: ${vars.x}: unknown (know it)`},
		{`{logs: {a: null}}`, "Logs", `1:12: logs.a: has no value (remove the key, or give it a value)`},
		// One problem for one mistake.
		{`{short: "${vars.octal}"}`, "Short", `1:9: short: want text, and ${vars.octal} is written 0400 and read as 256 (where it is given, write "0400" for the text, or 256)`},
		{`{nmae: x, naem: y}`, "Name", `1:2: unknown key "nmae" (did you mean "name"?); 1:11: unknown key "naem" (did you mean "name"?)`},
	} {
		if got := filled(t, tt.text, tt.field, scope); got != tt.want {
			t.Errorf("%s: %s\n got %s\nwant %s", tt.text, tt.field, got, tt.want)
		}
	}
	// An input that is not known yet has no value: not its default either.
	d, n, _ := decoder(t, `{name: "${steps.a.later}", size: 5}`, scope)
	in := newDefaults()
	if sound := d.Decode(n, nil, in); !sound || in.Name != "" || *in.Size != 5 {
		t.Errorf("sound %v, %+v; want a mapping that could be read, without the name", sound, in)
	}
	// Nor has one behind a pointer, or one that is wrong.
	for _, text := range []string{`{name: x, ratio: "${steps.a.ratio}"}`, `{name: x, ratio: x}`, `{name: x, ratio: null}`} {
		d, n, _ := decoder(t, text, values{"steps.a.ratio": later(0.5)})
		in := new(target)
		if d.Decode(n, nil, in); in.Ratio != nil {
			t.Errorf("%s: got %v", text, *in.Ratio)
		}
	}
	// A mapping that is wrong was given: the kind's own checks do not miss it.
	d, n, _ = decoder(t, `{login: text}`, scope)
	if d.Decode(n, nil, in); in.Login == nil {
		t.Error("a login that is text counts as left out")
	}
	// A key that is required is not left out by an empty map.
	got := decode(t, `{login: "${vars.none}"}`, struct {
		Login *login `yaml:"login" check:"required"`
	}{}, scope)
	if strings.Contains(got, "is missing") {
		t.Error(got)
	}
	// What is no mapping fills nothing, so the kind's own checks have nothing to look at.
	d, n, _ = decoder(t, `[a]`, scope)
	if d.Decode(n, nil, newDefaults()) {
		t.Error("a list is read as a mapping")
	}
}

// TestUnknownKeys: which key is meant, and that no second problem follows.
func TestUnknownKeys(t *testing.T) {
	type in struct {
		ID      string        `yaml:"id" check:"required"` // the first
		Name    string        `yaml:"name" check:"required"`
		Token   engine.Secret `yaml:"token"`
		Timeout string        `yaml:"timeout"`
		Inner   login         `yaml:"inner"`
	}
	for text, want := range map[string]string{
		`{id: a, nmae: x}`:                    `1:9: unknown key "nmae" (did you mean "name"?)`,
		`{name: a, zzz: x}`:                   `1:11: unknown key "zzz" (the keys here are id, inner, name, timeout and token); 1:1: id is missing (add id: text)`,
		`{id: a, name: b, insecure: true}`:    `1:18: unknown key "insecure" (there is none, on purpose: id, name, token, timeout, inner)`,
		`{id: a, name: b, retry: 3}`:          `1:18: unknown key "retry" (write it beside with)`,
		`{id: a, name: b, Timeout: 3}`:        `1:18: unknown key "Timeout" (did you mean "timeout"?)`,
		`{id: a, name: b, inner: {retry: 3}}`: `1:26: inner: unknown key "retry" (the keys here are method and role)`,
		`{id: a, name: b, tokn: x}`:           `1:18: unknown key "tokn" (did you mean "token"?)`,
		`{id: a, name: b, insecure: {}, x: 1}`: `1:18: unknown key "insecure" (there is none, on purpose: id, name, token, timeout, inner); ` +
			`1:32: unknown key "x" (the keys here are id, inner, name, timeout and token)`,
	} {
		d, n, problems := decoder(t, text, values{})
		d.Refused = func(key string, known []string) string {
			if key != "insecure" {
				return ""
			}
			return "there is none, on purpose: " + strings.Join(known, ", ")
		}
		d.Around = func(key string) string {
			return map[string]string{"retry": "write it beside with", "Timeout": "write it beside with"}[key]
		}
		d.Decode(n, nil, new(in))
		if got := strings.Join(*problems, "; "); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
	d, n, problems := decoder(t, `{inner: {a: 1}}`, values{})
	d.Decode(n, nil, new(in))
	if got, want := strings.Join(*problems, "; "), `1:10: inner: unknown key "a" (the keys here are method and role); 1:1: id is missing (add id: text); 1:1: name is missing (add name: text)`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	// The kind's own checks are silent about the key that was meant, and about one that is
	// missing; they are not about one that is there as well.
	for text, want := range map[string]string{
		`{id: a, nmae: x}`:                    "name",
		`{id: a, nmae: x, name: y}`:           "",
		`{id: a}`:                             "name",
		`{id: a, name: b}`:                    "",
		`{id: a, name: b, inner: {role: []}}`: "inner inner.role",
		`{id: a, name: b, inner: {rol: x}}`:   "inner inner.role",
	} {
		d, n, _ := decoder(t, text, values{})
		d.Decode(n, nil, new(in))
		var unsettled []string
		for _, path := range []string{"id", "name", "token", "inner", "inner.role", "inner.method"} {
			if d.Unsettled(path) {
				unsettled = append(unsettled, path)
			}
		}
		if got := strings.Join(unsettled, " "); got != want {
			t.Errorf("%s: unsettled %q, want %q", text, got, want)
		}
	}
}

// TestMisspeltSecret: a value under a key that is close to that of a secret is kept to be
// hidden; a reference is not its value.
func TestMisspeltSecret(t *testing.T) {
	d, n, _ := decoder(t, `{name: n, tokn: ["${vars.x}", {key: one}, two]}`, values{})
	var kept []string
	d.KeepSecret = func(s string) { kept = append(kept, s) }
	d.Decode(n, nil, newDefaults())
	if want := []string{"one", "two"}; !slices.Equal(kept, want) {
		t.Errorf("kept %q, want %q", kept, want)
	}
}

// TestKeys: keys of data, which YAML may read as something else than text.
func TestKeys(t *testing.T) {
	scope := values{"vars.map": variable(t, `{"${x}": 1}`), "steps.a.map": output(map[string]int{"${x}": 1})}
	for text, want := range map[string]string{
		`{on: 1}`:             `map[string]int{"true":1}`,
		`{on: 1, off: 2}`:     `map[string]int{"false":2, "true":1}`,
		`{on: 1, yes: 2}`:     `1:9: yes: keys yes and on, in line 1, are both read as "true": write them in quotes`,
		`{on: 1, "true": 2}`:  `1:2: on: keys on and true, in line 1, are both read as "true": write them in quotes`,
		`{"true": 2, on: 1}`:  `1:13: on: keys on and true, in line 1, are both read as "true": write them in quotes`,
		`{null: 1}`:           `1:2: null: a key has no name: write it in quotes`,
		`{"${vars.map}": 1}`:  `1:2: ["${vars.map}"]: references are for values: the key "${vars.map}" cannot hold one`,
		`"${vars.map}"`:       `map[string]int{"${x}":1}`,
		`"${steps.a.map}"`:    `map[string]int{"${x}":1}`,
		`{"$${x} ${y}": 1}`:   `1:2: ["$${x} ${y}"]: references are for values: the key "$${x} ${y}" cannot hold one`,
		`{"$${x} $${y}": 1}`:  `map[string]int{"$${x} $${y}":1}`,
		`{1: 1, 0x1: 2}`:      `1:8: ["0x1"]: keys 0x1 and 1, in line 1, are both read as "1": write them in quotes`,
		`{a: 1, null: 2}`:     `1:8: null: a key has no name: write it in quotes`,
		`{0x1: 1, null: 2}`:   `1:10: null: a key has no name: write it in quotes`,
		`{"null": 1, "~": 2}`: `map[string]int{"null":1, "~":2}`,
	} {
		if got := decode(t, text, map[string]int{}, scope); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// in returns a document whose files are in a directory.
func in(dir string, of spec.Document) spec.Document {
	of.FileOf = func(name string) engine.File { return engine.File{Name: name, Path: filepath.Join(dir, name)} }
	return of
}

// TestFilesOfFragments: a file is beside the document that names it; the default of a kind
// is beside the plan, whichever document has the step.
func TestFilesOfFragments(t *testing.T) {
	type files struct {
		Given   engine.File `yaml:"given"`
		Default engine.File `yaml:"default"`
	}
	there := variable(t, "v.pem")
	there.FileOf = in("/variables", spec.Document{}).FileOf
	scope := values{"vars.here": variable(t, "v"), "vars.there": there}
	for _, tt := range []struct {
		text      string
		connected bool
		want      string
	}{
		{`{given: a.pem}`, false, "/fragment/a.pem"},
		{`{given: a.pem}`, true, "/plan/a.pem"},
		{`{given: "${vars.here}.pem"}`, false, "/fragment/v.pem"},
		{`{given: "${vars.here}.pem"}`, true, "/plan/v.pem"},
		{`{given: "${vars.here}"}`, true, "/plan/v"},
		{`{given: "${vars.there}"}`, false, "/variables/v.pem"},
	} {
		d, n, problems := decoder(t, tt.text, scope)
		d.Plan, d.Document = in("/plan", d.Document), in("/fragment", d.Document)
		if tt.connected {
			d.Connected = map[*yaml.Node]bool{n.Content[1]: true}
		}
		got := files{Default: engine.File{Name: "d.pem"}}
		d.Decode(n, nil, &got)
		if len(*problems) > 0 || got.Given.Path != tt.want || got.Default.Path != "/plan/d.pem" {
			t.Errorf("%s: got %s and %s, want %s and /plan/d.pem; %q", tt.text, got.Given.Path, got.Default.Path, tt.want, *problems)
		}
	}
	d, n, _ := decoder(t, `{}`, scope)
	got := files{Default: engine.File{Name: "d.pem"}}
	if d.Decode(n, nil, &got); got.Default.Path != "/plans/d.pem" {
		t.Errorf("without a plan around it: %s, want it beside the document", got.Default.Path)
	}
}
