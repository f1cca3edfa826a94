package release

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/steps/internal/helmkit/values"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

// The objects of a release in a dry run show none of its secrets, wherever a template
// put them, and still show the other fields.
func TestMask(t *testing.T) {
	const password = "correct-horse-battery"
	secret := object(t, "{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {token: opaque-token-value}}")
	config := object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {
		level: debug, url: "postgres://app:correct-horse-battery@db/app", args: "an-argument-1 An0ther1y", both: "a opaque-token-value b", plain: "postgres://db/app"}}`)
	mask := NewMask([]values.Values{{"auth": map[string]any{"password": password, "enabled": true}, "level": "debug", "args": []any{"--token", "an-argument-1", "serve --api-key An0ther1y"}}}, secret)
	shown := func(gk schema.GroupKind, flat map[string]any, random map[string]bool) string {
		return fmt.Sprint(mask.Fields(gk, flat, random))
	}
	got := shown(schema.GroupKind{Kind: "ConfigMap"}, kubefields.Flatten(config.Object), nil)
	for _, hidden := range []string{password, "opaque-token-value", "an-argument-1", "An0ther1y"} {
		if strings.Contains(got, hidden) {
			t.Errorf("%s is shown: %s", hidden, got)
		}
	}
	for _, open := range []string{"debug", "postgres://db/app", "@db/app"} {
		if !strings.Contains(got, open) {
			t.Errorf("%s is hidden: %s", open, got)
		}
	}
	if got := shown(schema.GroupKind{Kind: "Secret"}, kubefields.Flatten(secret.Object), nil); strings.Contains(got, "opaque") {
		t.Errorf("a Secret is shown: %s", got)
	}
	got = shown(schema.GroupKind{Kind: "ConfigMap"}, map[string]any{"data/a": "x", "data/b": "y"}, map[string]bool{"data/a": true})
	if !strings.Contains(got, "data/a:"+Random) || !strings.Contains(got, "data/b:y") {
		t.Errorf("what is made anew: %s", got)
	}
	if len(mask.Secrets) == 0 {
		t.Error("nothing is searched for in what the run prints")
	}
}

// A field that differs in its hidden part only shows as a changed secret, not as two
// equal texts.
func TestMaskDifference(t *testing.T) {
	mask := NewMask([]values.Values{{"password": "first-password-1"}, {"password": "second-password-2"}})
	have, want := mask.Difference(schema.GroupKind{Kind: "ConfigMap"},
		map[string]any{"data/url": "db://first-password-1@h", "data/level": "a"},
		map[string]any{"data/url": "db://second-password-2@h", "data/level": "b"})
	if text := fmt.Sprint(have, want); strings.Contains(text, "password-") {
		t.Errorf("shows %s", text)
	}
	type equaler interface{ Reveal() string }
	a, aIs := have["data/url"].(equaler)
	b, bIs := want["data/url"].(equaler)
	if !aIs || !bIs || a.Reveal() == b.Reveal() {
		t.Errorf("the changed secret shows as %v and %v", have["data/url"], want["data/url"])
	}
	if have["data/level"] != "a" || want["data/level"] != "b" {
		t.Errorf("an open difference: %v, %v", have, want)
	}
}

// A value of a Secret that is too short to be searched for is hidden under its own key,
// however that is written, and nowhere else.
func TestMaskOfShortValues(t *testing.T) {
	mask := NewMask(nil, object(t, "{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {user_name: ana}}"))
	got := fmt.Sprint(mask.Fields(schema.GroupKind{Kind: "ConfigMap"}, map[string]any{"data/userName": "ana", "data/owner": "ana", "data/user-name": "bob"}, nil))
	if strings.Contains(got, "data/userName:ana") || !strings.Contains(got, "data/owner:ana") || !strings.Contains(got, "data/user-name:bob") {
		t.Errorf("got %s", got)
	}
}

// Secrets are found wherever a plan gives them: in lists, below maps, in variables and
// inside texts; and hidden in each form in which a difference shows values.
func TestMaskFindsSecretsInValues(t *testing.T) {
	const secret = "correct-horse-battery"
	for name, given := range map[string]values.Values{
		"a value":             {"password": secret},
		"below a map":         {"auth": map[string]any{"admin": map[string]any{"token": secret}}},
		"in a list":           {"users": []any{map[string]any{"name": "ana", "password": secret}}},
		"a variable":          {"env": []any{map[string]any{"name": "DB_PASSWORD", "value": secret}}},
		"an assignment":       {"config": "url = https://example.com\npassword = " + secret + "\n"},
		"passwords as a list": {"passwords": []any{secret}},
	} {
		mask := NewMask([]values.Values{given})
		side := map[string]any{"values": map[string]any{
			"a": "postgres://app:" + secret + "@db/app", "b": []any{secret, "open"}, "c": map[string]any{"d": []any{map[string]any{"e": secret}}}, "f": 1.0, "g": true, "h": "open",
		}}
		mask.Values(side)
		got := fmt.Sprint(side)
		if strings.Contains(got, secret) {
			t.Errorf("%s: shows %s", name, got)
		}
		for _, open := range []string{"postgres://app:", "@db/app", "f:1", "g:true", "h:open", " open]"} {
			if !strings.Contains(got, open) {
				t.Errorf("%s: %s is hidden in %s", name, open, got)
			}
		}
	}
	NewMask(nil).Values(map[string]any{"version": "1.0.0"}) // a side without values
}

// One secret may be the beginning of another: neither shows a rest of the other.
func TestMaskOfSecretsInSecrets(t *testing.T) {
	mask := NewMask([]values.Values{{"a": map[string]any{"password": "horse-battery"}, "b": map[string]any{"password": "horse-battery-staple"}, "c": map[string]any{"password": "correct-horse-battery-staple"}}})
	for _, text := range []string{"x correct-horse-battery-staple y", "x horse-battery-staple y", "x horse-battery y"} {
		got := fmt.Sprint(mask.Fields(schema.GroupKind{Kind: "ConfigMap"}, map[string]any{"data/a": text}, nil))
		for _, rest := range []string{"horse", "staple", "correct"} {
			if strings.Contains(got, rest) {
				t.Errorf("%s: shows %s", text, got)
			}
		}
	}
}

// Switches and what is empty are no secrets, whatever their names; two values of one key
// are both hidden under it.
func TestMaskOfCommonValues(t *testing.T) {
	mask := NewMask(nil,
		object(t, "{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {user: ana, flag: \"true\", none: \"\"}}"),
		object(t, "{apiVersion: v1, kind: Secret, metadata: {name: t}, stringData: {user: bob}}"))
	got := fmt.Sprint(mask.Fields(schema.GroupKind{Kind: "ConfigMap"}, map[string]any{"data/user": "ana", "spec/user": "bob", "env[USER]/value": "bob", "data/flag": "true", "data/none": "", "data/other": "bob"}, nil))
	for _, open := range []string{"data/flag:true", "data/none:", "data/other:bob"} {
		if !strings.Contains(got, open) {
			t.Errorf("%s is hidden in %s", open, got)
		}
	}
	for _, hidden := range []string{"data/user:ana", "spec/user:bob", "env[USER]/value:bob"} {
		if strings.Contains(got, hidden) {
			t.Errorf("%s is shown in %s", hidden, got)
		}
	}
}
