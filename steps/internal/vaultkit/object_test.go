package vaultkit_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

func TestObject(t *testing.T) {
	day := engine.Duration(24 * time.Hour)
	for name, c := range map[string]struct {
		have any
		want any
		edit string // empty for none
	}{
		"seconds":                    {json.Number("86400"), day, ""},
		"duration text":              {"24h", day, ""},
		"long duration text":         {"24h0m0s", day, ""},
		"seconds as text":            {"86400", day, ""},
		"another duration":           {json.Number("3600"), day, "o/f: 1h -> 24h"},
		"no duration":                {nil, day, "o/f: 0s -> 24h"},
		"not a duration":             {"often", day, "o/f: often -> 24h"},
		"unset duration":             {nil, engine.Duration(0), ""},
		"bool":                       {true, true, ""},
		"other bool":                 {true, false, "o/f: true -> false"},
		"absent bool":                {nil, false, ""},
		"number":                     {json.Number("2048"), 2048, ""},
		"other number":               {json.Number("0"), 2048, "o/f: 0 -> 2048"},
		"list":                       {[]any{"a", "b"}, []string{"b", "a"}, ""},
		"other list":                 {[]any{"a", "b"}, []string{"a"}, "o/f: [a b] -> [a]"},
		"shorter list":               {[]any{"a"}, []string{"a", "a"}, "o/f: [a] -> [a a]"},
		"comma list":                 {"a,b", []string{"a", "b"}, ""},
		"no list":                    {nil, []string(nil), ""},
		"empty list":                 {[]any{}, []string(nil), ""},
		"text":                       {"x", "x", ""},
		"other text":                 {"y", "x", "o/f: y -> x"},
		"absent text":                {nil, "", ""},
		"number for duration text":   {json.Number("86400"), "24h", ""},
		"number for other text":      {json.Number("5"), "24h", "o/f: 5 -> 24h"},
		"something quite different":  {map[string]any{"a": "b"}, "x", "o/f: map[a:b] -> x"},
		"a list where text is asked": {[]any{"a"}, "a", "o/f: [a] -> a"},
	} {
		t.Run(name, func(t *testing.T) {
			edits := vaultkit.Object("o", map[string]any{"f": c.have}, []vaultkit.Field{{Name: "f", Want: c.want}}, nil)
			got := ""
			if len(edits) > 0 {
				got = vaulttest.Show(edits)[0]
			}
			if got != c.edit {
				t.Errorf("edit is %q, want %q", got, c.edit)
			}
		})
	}
}

func TestObjectThatIsNotThere(t *testing.T) {
	edits := vaultkit.Object("o", nil, []vaultkit.Field{
		{Name: "ttl", Want: engine.Duration(time.Hour)},
		{Name: "list", Want: []string(nil)},
		{Name: "quiet", Want: true, OmitIfAbsent: true},
	}, nil)
	want := map[string]any{"ttl": "1h", "list": []string{}}
	if len(edits) != 1 || edits[0].Have != nil {
		t.Fatalf("edits: %v", vaulttest.Show(edits))
	}
	if diff := cmp.Diff(want, edits[0].Want); diff != "" {
		t.Error(diff)
	}
}

// An object is written once, by whichever edit comes first; a failed write is
// not taken for done.
func TestObjectIsWrittenOnce(t *testing.T) {
	calls := 0
	write := func(context.Context) error {
		if calls++; calls == 1 {
			return errors.New("no")
		}
		return nil
	}
	edits := vaultkit.Object("o", map[string]any{}, []vaultkit.Field{{Name: "a", Want: "x"}, {Name: "b", Want: "y"}}, write)
	if err := edits[0].Apply(t.Context()); err == nil {
		t.Error("the failure is lost")
	}
	for _, e := range edits {
		if err := e.Apply(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if calls != 2 {
		t.Errorf("written %d times, want 2", calls)
	}
}

func TestExtra(t *testing.T) {
	known := map[string]any{"ttl": engine.Duration(0), "list": []string(nil), "flag": true, "bits": 0}
	got, err := vaultkit.Extra(map[string]any{
		"ttl": "30s", "list": []any{"a", "b"}, "flag": false, "bits": 2048, "unknown": []any{"c"}, "other": "text",
	}, known)
	if err != nil {
		t.Fatal(err)
	}
	want := []vaultkit.Field{
		{Name: "bits", Want: 2048}, {Name: "flag", Want: false}, {Name: "list", Want: []string{"a", "b"}},
		{Name: "other", Want: "text"}, {Name: "ttl", Want: engine.Duration(30 * time.Second)}, {Name: "unknown", Want: []string{"c"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, v := range map[string]any{"ttl": "soon", "list": 5, "flag": "yes", "bits": "many"} {
		if _, err := vaultkit.Extra(map[string]any{name: v}, known); err == nil {
			t.Errorf("%s: %v is taken", name, v)
		}
	}
}

// TestExtraSplitsAsVault: a text for a list is split as Vault's API does, and
// Vault's report of it is no difference.
func TestExtraSplitsAsVault(t *testing.T) {
	known := map[string]any{"key_usage": []string(nil)}
	for text, want := range map[string][]string{
		"DigitalSignature,KeyEncipherment": {"DigitalSignature", "KeyEncipherment"},
		" a , b":                           {"a", "b"},
		"a":                                {"a"},
		"a,":                               {"a", ""},
		"":                                 {},
	} {
		fields, err := vaultkit.Extra(map[string]any{"key_usage": text}, known)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, fields[0].Want); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
		var stored []any
		for _, s := range want {
			stored = append(stored, s)
		}
		have := map[string]any{"key_usage": stored}
		if edits := vaultkit.Object("x", have, fields, nil); len(edits) > 0 {
			t.Errorf("%q: differs from what Vault made of it: %v", text, vaulttest.Show(edits))
		}
	}
}

func TestValidateServer(t *testing.T) {
	for address, problem := range map[string]string{
		"https://vault.example.com:8200": "", "http://127.0.0.1:8200/": "",
		"vault.example.com": "v.address", "ftp://x": "v.address", "https://": "v.address",
		"https://user:word@x": "v.address", "https://x/v1": "v.address", "https://x?a=b": "v.address",
	} {
		p := &engine.Problems{}
		vaultkit.Server{Address: address}.Validate(p, "v")
		got := ""
		for _, one := range p.List() {
			got += one.Field
		}
		if got != problem {
			t.Errorf("%s: problem with %q, want %q", address, got, problem)
		}
	}
	p := &engine.Problems{}
	vaultkit.Server{}.Validate(p, "v")
	if len(p.List()) != 1 || p.List()[0].Field != "v.service" {
		t.Errorf("problems: %v", p.List())
	}
}

func TestValidatePath(t *testing.T) {
	for path, ok := range map[string]bool{
		"pki": true, "team/pki_int": true, "a-b.c": true,
		"": false, "/pki": false, "pki/": false, "a//b": false, "..": false, "a/../b": false, "a b": false, "ä": false,
	} {
		p := &engine.Problems{}
		vaultkit.ValidatePath(p, "mount", path)
		if got := len(p.List()) == 0; got != ok {
			t.Errorf("%q is valid: %v", path, got)
		}
	}
}
