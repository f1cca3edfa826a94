package values

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
)

// What a difference shows of lists and of what is in them: the secrets are hidden and
// everything else is as the plan has it, key by key.
func TestDifferingShowsLists(t *testing.T) {
	secret := cmp.Comparer(func(a, b engine.Secret) bool { return a.Equal(b) })
	hidden := engine.NewSecret
	type m = map[string]any
	for name, c := range map[string]struct {
		given string
		want  m
	}{
		"a variable": {"env: [{name: DB_PASSWORD, value: abc}, {name: LEVEL, value: x}]",
			m{"env": []any{m{"name": "DB_PASSWORD", "value": hidden("abc")}, m{"name": "LEVEL", "value": "x"}}}},
		"a variable that refers to a Secret": {"env: [{name: DB_PASSWORD, valueFrom: {secretKeyRef: {name: db, key: pw}}}]",
			m{"env": []any{m{"name": "DB_PASSWORD", "valueFrom": m{"secretKeyRef": m{"name": "db", "key": "pw"}}}}}},
		"a variable that is emptied": {"env: [{name: DB_PASSWORD, value: null}]",
			m{"env": []any{m{"name": "DB_PASSWORD", "value": nil}}}},
		"a user": {"users: [{name: ana, password: abc}]",
			m{"users": []any{m{"name": "ana", "password": hidden("abc")}}}},
		"deep below": {"pools: [{members: [{auth: {token: abc, realm: r}}]}]",
			m{"pools": []any{m{"members": []any{m{"auth": m{"token": hidden("abc"), "realm": "r"}}}}}}},
		"passwords as a list": {"passwords: [abc, def]",
			m{"passwords": hidden(`["abc","def"]`)}},
		"arguments": {"args: [--password, abc, --level, x]",
			m{"args": []any{"--password", hidden("abc"), "--level", "x"}}},
		"switches, numbers and names": {"list: [true, 1, x, null]",
			m{"list": []any{true, 1.0, "x", nil}}},
		"the name of a Secret": {"existingSecret: db\nauth: {secretName: db}",
			m{"existingSecret": "db", "auth.secretName": "db"}},
	} {
		given := parsed(t, c.given)
		have, want := Differing(nil, given)
		if d := cmp.Diff(c.want, want, secret); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		if len(have) > 0 {
			t.Errorf("%s: what was not there shows as %v", name, have)
		}
		if d := cmp.Diff(parsed(t, c.given), given); d != "" {
			t.Errorf("%s: the values were changed (-before +after):\n%s", name, d)
		}
		if have, want := Differing(given, parsed(t, c.given)); len(have)+len(want) > 0 {
			t.Errorf("%s: differs from itself: %v, %v", name, have, want)
		}
	}
}

// Values that cannot be read are the plan's fault: they are named, and no later look
// tries them again.
func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		files  []engine.File
		inline map[string]any
		want   string
	}{
		"a file that is not there": {files: []engine.File{{Name: "absent.yaml", Path: "/does/not/exist/absent.yaml"}}, want: "absent.yaml"},
		"a list":                   {files: []engine.File{file(t, "[a]")}, want: "must hold a mapping"},
		"a text":                   {files: []engine.File{file(t, "a: 1\n"), file(t, "text\n")}, want: "must hold a mapping"},
		"a key twice":              {files: []engine.File{file(t, "a: 1\na: 2\n")}, want: "values.yaml"},
		"what JSON has not":        {inline: map[string]any{"a": func() {}}, want: "values: "},
	} {
		got, err := Read(c.files, c.inline)
		if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), c.want) || got != nil {
			t.Errorf("%s: got %v, %v, want an error with %q", name, got, err, c.want)
		}
	}
}

// Files and inline values stay as they are when others are laid over them.
func TestReadKeepsItsInput(t *testing.T) {
	inline := map[string]any{"a": map[string]any{"b": 1}}
	got, err := Read([]engine.File{file(t, "a: {c: 2}\n")}, inline)
	if err != nil {
		t.Fatal(err)
	}
	got["a"].(map[string]any)["b"] = "changed"
	if d := cmp.Diff(map[string]any{"a": map[string]any{"b": 1}}, inline); d != "" {
		t.Errorf("(-before +after):\n%s", d)
	}
}
