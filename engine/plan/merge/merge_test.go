package merge_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/merge"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// server is like the inputs that connections fill.
type server struct {
	Address string         `yaml:"address"`
	Service service        `yaml:"service"`
	Login   login          `yaml:"login"`
	Labels  map[string]any `yaml:"labels"`
}

type service struct {
	Name string `yaml:"name"`
	Port int    `yaml:"port"`
	TLS  tls    `yaml:"tls"`
}

type tls struct {
	CA string `yaml:"ca"`
}

type login struct {
	Method string `yaml:"method"`
	Role   string `yaml:"role"`
}

// other is another type of inputs with the same name.
type other struct {
	Address string `yaml:"address"`
	Service struct {
		Zone string `yaml:"zone"`
	} `yaml:"service"`
}

// node reads YAML; nil for "".
func node(t *testing.T, text string) *yaml.Node {
	t.Helper()
	if text == "" {
		return nil
	}
	return source.Parse(source.NewFile("x.yaml", []byte(text)), "a value", func(p *source.Problem) { t.Fatal(p) })
}

// text writes a node in one line.
func text(n *yaml.Node) string {
	switch {
	case n == nil:
		return "none"
	case n.Kind == yaml.ScalarNode:
		return n.Value
	}
	var parts []string
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			parts = append(parts, text(item))
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	for k, v := range source.Pairs(n) {
		parts = append(parts, k.Value+":"+text(v))
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// TestFill: keys that are left out come from the other mapping, in structs inside as well.
// What is written stays as it is, null too, and both mappings stay what they are.
func TestFill(t *testing.T) {
	types := new(spec.Types)
	for _, tt := range []struct{ own, from, want, made string }{
		{"", "{address: a}", "{address:a}", "{address:a}"},
		{"{address: own}", "{address: a}", "same", ""},
		{"{address: own}", "{login: {role: r}}", "{address:own login:{role:r}}", "{role:r}"},
		{"{}", "{address: a}", "{address:a}", ""},
		{"{address: ~}", "{address: a}", "same", ""},
		{"{login: {}}", "{address: ~, login: {role: ~}}", "same", ""},
		{"", "{address: ~, unknown: x}", "none", ""},
		{"", "{unknown: {name: x}, login: {unknown: x}}", "none", ""},
		{"{login: {method: m}}", "{login: {method: x, role: r}, address: a}", "{login:{method:m role:r} address:a}", ""},
		{"{login: {method: m, role: r}}", "{login: {method: x, role: y}}", "same", ""},
		{"{service: {name: n}}", "{service: {name: x, port: 1, tls: {ca: c}}}", "{service:{name:n port:1 tls:{ca:c}}}", "{ca:c}"},
		{"{service: {tls: {}}}", "{service: {tls: {ca: c}}}", "{service:{tls:{ca:c}}}", ""},
		{"", "{service: {tls: {ca: c}}}", "{service:{tls:{ca:c}}}", "{ca:c} {tls:{ca:c}} {service:{tls:{ca:c}}}"},
		{"{login: text}", "{login: {role: r}}", "same", ""},                  // a mistake, which is reported elsewhere
		{"{login: {role: r}}", "{login: text}", "same", ""},                  // as well
		{"{login: ~}", "{login: {role: r}}", "same", ""},                     // none
		{"{address: a}", "{login: text}", "{address:a login:text}", ""},      // reported where it is written
		{"{labels: {a: 1}}", "{labels: {b: 2}}", "same", ""},                 // a value of its own
		{"{address: a}", "{labels: {b: 2}}", "{address:a labels:{b:2}}", ""}, // as a whole
		{"[a]", "{address: a}", "same", ""},
		{"{address: a}", "[b]", "same", ""},
		{"", "[b]", "[b]", ""},
	} {
		own, from := node(t, tt.own), node(t, tt.from)
		var made []string
		got := merge.Fill(types, own, from, types.Of(reflect.TypeFor[server]()), func(n *yaml.Node) { made = append(made, text(n)) })
		shown := text(got)
		if own != nil && got == own {
			shown = "same"
		}
		if shown != tt.want || strings.Join(made, " ") != tt.made {
			t.Errorf("%s from %s: got %s, want %s; made %s, want %s", tt.own, tt.from, shown, tt.want, made, tt.made)
		}
		if text(own) != text(node(t, tt.own)) || text(from) != text(node(t, tt.from)) {
			t.Errorf("%s from %s: they are %s and %s now", tt.own, tt.from, text(own), text(from))
		}
	}
}

// TestFillPlaces: a mapping is where the inputs write it, and one that is filled as a whole
// where the other writes it.
func TestFillPlaces(t *testing.T) {
	types := new(spec.Types)
	own, from := node(t, "\n\n  service: {name: n}\n"), node(t, "\n service: {port: 1, tls: {ca: c}}\n login: {role: r}\n")
	got := merge.Fill(types, own, from, types.Of(reflect.TypeFor[server]()), func(*yaml.Node) {})
	place := func(path ...string) string {
		n := got
		for _, key := range path {
			_, n = source.Lookup(n, key)
		}
		return fmt.Sprintf("%d:%d", n.Line, n.Column)
	}
	for want, at := range map[string]string{"3:3": place(), "3:12": place("service"), "2:26": place("service", "tls"), "3:9": place("login")} {
		if at != want {
			t.Errorf("got %s, want %s", at, want)
		}
	}
}

// TestWithout: what excludes what the inputs give is left out, and so is the mapping around
// a key that decides and has another value.
func TestWithout(t *testing.T) {
	exclusive := [][]string{{"address", "service"}, {"service.port", "service.name"}}
	deciding := map[string]string{"login.method": "token"}
	for _, tt := range []struct{ from, own, want string }{
		{"{address: a, login: {role: r}}", "{service: {}}", "{login:{role:r}}"},
		{"{address: a, service: {name: n}}", "{address: b}", "{address:a}"},
		{"{address: a}", "{address: b}", "{address:a}"},
		{"{address: a}", "{service: ~}", "{address:a}"},
		{"{address: a}", "{labels: {}}", "{address:a}"},
		{"{address: a}", "", "{address:a}"},
		{"{service: {name: n, port: 1}}", "{service: {port: 2}}", "{service:{port:1}}"},
		{"{service: {port: 1}}", "{service: {port: 2}}", "{service:{port:1}}"},
		{"{login: {role: r, method: token}}", "{login: {method: jwt}}", "{}"},
		{"{login: {role: r}, labels: {}}", "{login: {method: jwt}}", "{labels:{}}"},
		{"{login: {role: r}}", "{login: {method: token}}", "{login:{role:r}}"},
		{"{login: {role: r, method: ~}}", "{login: {method: token}}", "{login:{role:r method:~}}"},
		{"{login: {role: r, method: jwt}}", "{login: {method: token}}", "{}"},
		{"{login: {role: r, method: jwt}}", "{login: {method: jwt}}", "{login:{role:r method:jwt}}"},
		{"{login: {role: r, method: jwt}}", "{login: {method: ~}}", "{login:{role:r method:jwt}}"},
		{"{login: {role: r, method: jwt}}", "{login: {role: x}}", "{login:{role:r method:jwt}}"},
		{"{login: text}", "{login: {method: jwt}}", "{}"},
	} {
		from := node(t, tt.from)
		before := text(from)
		if got := text(merge.Without(from, node(t, tt.own), exclusive, deciding)); got != tt.want {
			t.Errorf("%s for %s: got %s, want %s", tt.from, tt.own, got, tt.want)
		}
		if got := text(from); got != before {
			t.Errorf("%s for %s: it is %s now", tt.from, tt.own, got)
		}
	}
}

func TestReplace(t *testing.T) {
	with, value := node(t, "{a: 1, b: 2, c: 3}"), node(t, "new")
	key, _ := source.Lookup(with, "b")
	got := merge.Replace(with, key, value, source.Position{Line: 7, Column: 8})
	if text(got) != "{a:1 c:3 b:new}" || text(with) != "{a:1 b:2 c:3}" || got.Line != 1 || got.Column != 1 || got.Kind != yaml.MappingNode {
		t.Errorf("got %s at %d:%d of %s", text(got), got.Line, got.Column, text(with))
	}
	if got = merge.Replace(with, node(t, "d"), value, source.Position{}); text(got) != "{a:1 b:2 c:3 d:new}" {
		t.Errorf("a new key: %s", text(got))
	}
	if got = merge.Replace(nil, key, value, source.Position{Line: 7, Column: 8}); text(got) != "{b:new}" || got.Line != 7 || got.Column != 8 {
		t.Errorf("a new mapping: %s at %d:%d", text(got), got.Line, got.Column)
	}
}

// TestUnknown: a key is unknown if no type has it; below a key, the types are those of the
// types that have it.
func TestUnknown(t *testing.T) {
	types := new(spec.Types)
	of := []*spec.Struct{types.Of(reflect.TypeFor[server]()), types.Of(reflect.TypeFor[other]())}
	for text, want := range map[string][]string{
		"{address: a, login: {role: r}, service: {zone: z, name: n, tls: {ca: c}}}": nil,
		"{adress: {x: 1}}": {"c adress [address labels login service]"},
		"{service: {prt: 1, tls: {a: b}, zone: {x: y}}, labels: {any: 1}}": {"c.service prt [name port tls zone]", "c.service.tls a [ca]"},
		"{address: {x: 1}, service: text, login: [a, b]}":                  nil, // of another type, which is reported elsewhere
	} {
		var got []string
		merge.Unknown(types, node(t, text), of, "c", func(path string, key *yaml.Node, known []string) {
			got = append(got, fmt.Sprint(path, " ", key.Value, " ", known))
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", text, diff)
		}
	}
	count := 0
	twice := []*spec.Struct{of[0], of[0]}
	merge.Unknown(types, node(t, "{service: {x: 1}}"), twice, "c", func(string, *yaml.Node, []string) { count++ })
	if count != 1 {
		t.Errorf("types that are alike: %d problems", count)
	}
}

// TestAbsent: what connections would fill is not known, whatever the step gives for it; that
// is looked at by itself.
func TestAbsent(t *testing.T) {
	type inputs struct {
		Vault      server `yaml:"vault"`
		Kubernetes server `yaml:"kubernetes"`
		Name       string `yaml:"name"`
	}
	connections := []engine.Connection{{Key: "vault"}, {Key: "kubernetes", New: func() any { return nil }}, {Key: "consul"}}
	for with, want := range map[string]string{
		"":                               "{vault:absent} at 5:6, own []",
		"{name: n}":                      "{name:n vault:absent} at 1:1, own []",
		"{vault: {address: a}, name: n}": "{name:n vault:absent} at 1:1, own [{address:a}]",
		"{kubernetes: {address: a}}":     "{kubernetes:{address:a} vault:absent} at 1:1, own []",
		"{vault: ~}":                     "{vault:absent} at 1:1, own [~]",
		"[a]":                            "[a] at 1:1, own []",
	} {
		var own []string
		types := new(spec.Types)
		got := merge.Absent(types.Of(reflect.TypeFor[inputs]()), connections, node(t, with), node(t, "absent"), source.Position{Line: 5, Column: 6},
			func(n *yaml.Node) { own = append(own, text(n)) })
		if got := fmt.Sprintf("%s at %d:%d, own %v", text(got), got.Line, got.Column, own); got != want {
			t.Errorf("%s: got %s, want %s", with, got, want)
		}
	}
	got := merge.Absent(new(spec.Types).Of(reflect.TypeFor[inputs]()), connections, nil, node(t, "absent"), source.Position{Line: 5, Column: 6}, nil)
	if key := got.Content[0]; key.Line != 5 || key.Column != 6 {
		t.Errorf("the key is at %d:%d", key.Line, key.Column)
	}
}
