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
		level: debug, url: "postgres://app:correct-horse-battery@db/app", both: "a opaque-token-value b", plain: "postgres://db/app"}}`)
	mask := NewMask([]values.Values{{"auth": map[string]any{"password": password, "enabled": true}, "level": "debug"}}, secret)
	shown := func(gk schema.GroupKind, flat map[string]any, random map[string]bool) string {
		return fmt.Sprint(mask.Fields(gk, flat, random))
	}
	got := shown(schema.GroupKind{Kind: "ConfigMap"}, kubefields.Flatten(config.Object), nil)
	for _, hidden := range []string{password, "opaque-token-value"} {
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
