package spec_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// results are outputs of every shape.
type results struct {
	Cert    string            `yaml:"cert"`
	Serials []string          `yaml:"serials"`
	Labels  map[string]string `yaml:"labels"`
	Names   *resultNames      `yaml:"names"`
	Port    *int              `yaml:"port"`
	Ports   []*int            `yaml:"ports"`
	Key     engine.Secret     `yaml:"key"`
	File    engine.File       `yaml:"file"`
	Addr    netip.Addr        `yaml:"addr"`
}

type resultNames struct {
	Common string   `yaml:"common"`
	Alt    []string `yaml:"alt"`

	hidden int
}

// TestOutput: the part of the outputs that a path leads to, or why there is none.
func TestOutput(t *testing.T) {
	full := &results{Cert: "c", Serials: []string{"1", "2"}, Labels: map[string]string{"a/b": "x", "c": "y"}, Names: &resultNames{Common: "n"}, Port: ptr(443), Ports: []*int{ptr(1)}}
	for _, tt := range []struct {
		outputs any
		path    string
		want    string
	}{
		{full, "cert", `"c"`},
		{*full, "cert", `"c"`},
		{full, "serials", `[]string{"1", "2"}`},
		{full, "serials[1]", `"2"`},
		{full, "serials[2]", `output serials has 2 items, so no [2]`},
		{full, `labels["a/b"]`, `"x"`},
		{full, "labels.c", `"y"`},
		{full, "labels.cc", `output labels has no key "cc"; it has a/b and c (did you mean "c"?)`},
		{full, "names.common", `"n"`},
		{full, "port", `443`},
		{full, "ports[0]", `1`},
		{&results{}, "port", `port is not set`},
		{&results{}, "names", `names is not set`},
		{&results{}, "names.common", `names is not set`},
		{&results{Ports: []*int{nil}}, "ports[0]", `ports[0] is not set`},
		{(*results)(nil), "cert", ` is not set`},
		{full, "other", `the outputs are of another type than the kind says: spec_test.results`},
		{full, "cert.x", `the outputs are of another type than the kind says: string`},
	} {
		v, err := new(spec.Types).Output(tt.outputs, keypath.Parse(tt.path))
		got := fmt.Sprint(err)
		if hint := engine.HintOf(err); hint != "" {
			got += " (" + hint + ")"
		}
		if err == nil {
			got = fmt.Sprintf("%#v", v)
		}
		if got != tt.want {
			t.Errorf("%s of %+v\n got %s\nwant %s", tt.path, tt.outputs, got, tt.want)
		}
	}
}

// TestHolds: an output that is empty counts as missing, and so does one with an empty part.
func TestHolds(t *testing.T) {
	full := results{
		Cert: "c", Serials: []string{"1"}, Labels: map[string]string{"a": "b"}, Names: &resultNames{Common: "n", Alt: []string{"a"}}, Port: ptr(443),
		Key: engine.NewSecret("k"), File: engine.File{Name: "f"}, Addr: netip.MustParseAddr("10.0.0.1"),
	}
	part := full
	part.Names = &resultNames{Common: "n"}
	paths := []string{"cert", "serials", "labels", "names", "port", "key", "file", "addr", "serials[0]", "names.common", "names.alt", "serials[1]", "labels.b", "other"}
	for _, tt := range []struct {
		outputs any
		lacks   []string
	}{
		{full, []string{"serials[1]", "labels.b", "other"}},
		{results{}, paths},
		{results{Key: engine.NewSecret(""), Serials: []string{}, Labels: map[string]string{}, File: engine.File{Path: "/a"}}, paths},
		{results{Port: ptr(0), Names: &resultNames{}}, paths},
		{part, []string{"names", "names.alt", "serials[1]", "labels.b", "other"}},
	} {
		for _, path := range paths {
			want := true
			for _, p := range tt.lacks {
				want = want && p != path
			}
			if got := new(spec.Types).Holds(tt.outputs, keypath.Parse(path)); got != want {
				t.Errorf("%+v: holds %s: %v, want %v", tt.outputs, path, got, want)
			}
		}
	}
}

// TestOutputType: the type of the output that a reference names, or the problem of the
// reference.
func TestOutputType(t *testing.T) {
	for path, want := range map[string]string{
		`cert`:           `string`,
		`serials`:        `[]string`,
		`serials[7]`:     `string`,
		`labels.x`:       `string`,
		`labels["a/b"]`:  `string`,
		`names`:          `*spec_test.resultNames`,
		`names.alt[0]`:   `string`,
		`names["alt"]`:   `[]string`,
		`ports[0]`:       `*int`,
		`key`:            `engine.Secret`,
		`crt`:            `${steps.s.crt}: step s (kind) has no output "crt" (did you mean "cert"?)`,
		`crt.x`:          `${steps.s.crt.x}: step s (kind) has no output "crt" (did you mean "cert"?)`,
		`zzz`:            `${steps.s.zzz}: step s (kind) has no output "zzz" (there is addr, cert, file, key, labels, names, port, ports and serials)`,
		`names.zzz`:      `${steps.s.names.zzz}: step s (kind) has no output "names.zzz" (there is alt and common)`,
		`names[0]`:       `${steps.s.names[0]}: step s (kind) has no output "names[0]" (there is alt and common)`,
		`outputs.cert`:   `${steps.s.outputs.cert}: step s (kind) has no output "outputs" (leave outputs out: ${steps.s[0].cert})`,
		`outputs`:        `${steps.s.outputs}: step s (kind) has no output "outputs" (there is addr, cert, file, key, labels, names, port, ports and serials)`,
		`serials.first`:  `${steps.s.serials.first}: output serials is a list and has no "first" (write ${steps.s[0].serials[0]} for its first item)`,
		`labels[0]`:      `${steps.s.labels[0]}: output labels is a mapping and has no parts`,
		`cert.pem`:       `${steps.s.cert.pem}: output cert is text and has no parts`,
		`cert[0]`:        `${steps.s.cert[0]}: output cert is text and has no parts`,
		`key.value`:      `${steps.s.key.value}: output key is a secret and has no parts`,
		`file.name`:      `${steps.s.file.name}: output file is a file name and has no parts`,
		`addr.zone`:      `${steps.s.addr.zone}: output addr is text and has no parts`,
		`port.x`:         `${steps.s.port.x}: output port is a whole number and has no parts`,
		`names.alt.x.yy`: `${steps.s.names.alt.x.yy}: output names.alt is a list and has no "x" (write ${steps.s[0].names.alt[0]} for its first item)`,
	} {
		ref, bad := syntax.ParseReference("${steps.s." + path + "}")
		if bad != nil {
			t.Fatal(bad)
		}
		typ, fault := new(spec.Types).OutputType(reflect.TypeFor[results](), ref, ref.Path[1:], spec.Producer{Step: "s[0]", Entry: "s", Kind: "kind"})
		got := fmt.Sprint(typ)
		if fault != nil {
			got = fault.Message
			if fault.Hint != "" {
				got += " (" + fault.Hint + ")"
			}
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", path, got, want)
		}
	}
}
