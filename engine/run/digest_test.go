package run_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
)

type inspecting = func(context.Context, *engine.Env) (facts, []engine.Edit, error)

// differing is a step that finds these edits; one without Apply is to be
// marked by a Note of "wait".
func differing(edits ...engine.Edit) inspecting {
	return func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
		out := make([]engine.Edit, len(edits))
		for i, e := range edits {
			if out[i] = e; e.Note != "wait" {
				out[i].Apply = func(context.Context) error { panic("applied by a dry run") }
			}
		}
		return facts{}, out, nil
	}
}

func digestOf(t *testing.T, nodes ...run.Node) engine.Summary {
	t.Helper()
	var rec recorder
	res, err := run.Run(t.Context(), nodes, run.Options{Mode: run.DryRun, Sink: rec.sink})
	if err != nil {
		t.Fatal(err)
	}
	end, _ := rec.find(engine.ActionEnd)
	if end.Summary == nil || end.Summary.Digest != res.Summary.Digest {
		t.Errorf("the end event does not carry the digest %q", res.Summary.Digest)
	}
	if s := res.Summary.Digest; !strings.HasPrefix(s, "sha256:") || len(s) != len("sha256:")+64 {
		t.Errorf("digest %q", s)
	}
	return res.Summary
}

func TestDigestSeesWhatMatters(t *testing.T) {
	dir := t.TempDir()
	manifest := filepath.Join(dir, "m.yaml")
	write := func(text string) {
		if err := os.WriteFile(manifest, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	secret := func(s string) engine.Edit {
		return engine.Edit{Path: "p", Have: engine.NewSecret("the-old-secret"), Want: engine.NewSecret(s)}
	}
	after := func(literal any) []run.Node {
		n := node("b", []string{"a"}, same)
		n.Literal = func() any { return literal }
		n.Preview = func() any {
			return &struct {
				Files []engine.File `check:"exists"`
				Sink  engine.File
			}{
				Files: []engine.File{{Name: "m.yaml", Path: manifest}},
				Sink:  engine.File{Name: "sink", Path: filepath.Join(dir, "absent")},
			}
		}
		return []run.Node{node("a", nil, differing(engine.Edit{Path: "a"})), n}
	}
	one := func(e ...engine.Edit) []run.Node { return []run.Node{node("a", nil, differing(e...))} }
	base := digestOf(t, one(engine.Edit{Path: "p", Have: "x", Want: map[string]any{"k": 1, "l": []any{"m"}}})...).Digest
	for _, tc := range []struct {
		name  string
		nodes []run.Node
		same  bool
	}{
		{"again", one(engine.Edit{Path: "p", Have: "x", Want: map[string]any{"l": []any{"m"}, "k": 1}}), true},
		{"a note is no edit", one(engine.Edit{Path: "p", Have: "x", Note: "n", Want: map[string]any{"k": 1, "l": []any{"m"}}}), true},
		{"nor is waiting", one(engine.Edit{Path: "p", Have: "x", Want: map[string]any{"k": 1, "l": []any{"m"}}}, engine.Edit{Path: "pods", Have: "1 of 3", Note: "wait"}), true},
		{"have", one(engine.Edit{Path: "p", Have: "y", Want: map[string]any{"k": 1, "l": []any{"m"}}}), false},
		{"have is nothing", one(engine.Edit{Path: "p", Want: map[string]any{"k": 1, "l": []any{"m"}}}), false},
		{"want", one(engine.Edit{Path: "p", Have: "x", Want: map[string]any{"k": "1", "l": []any{"m"}}}), false},
		{"path", one(engine.Edit{Path: "q", Have: "x", Want: map[string]any{"k": 1, "l": []any{"m"}}}), false},
		{"another edit", one(engine.Edit{Path: "p", Have: "x", Want: map[string]any{"k": 1, "l": []any{"m"}}}, engine.Edit{Path: "q"}), false},
		{"nothing", []run.Node{node("a", nil, same)}, false},
		{"another step", []run.Node{node("c", nil, differing(engine.Edit{Path: "p", Have: "x", Want: map[string]any{"k": 1, "l": []any{"m"}}}))}, false},
	} {
		if got := digestOf(t, tc.nodes...).Digest; (got == base) != tc.same {
			t.Errorf("%s: equal is %v, want %v", tc.name, got == base, tc.same)
		}
	}

	reviewed := digestOf(t, one(secret("the-new-secret"))...)
	if digestOf(t, one(secret("another-secret"))...).Digest == reviewed.Digest {
		t.Error("another secret than the reviewed one has its digest")
	}
	if digestOf(t, one(secret("the-new-secret"))...).Digest != reviewed.Digest {
		t.Error("the digest of the same secret is another")
	}
	if plain := sha256.Sum256([]byte("the-new-secret")); strings.Contains(fmt.Sprint(reviewed), hex.EncodeToString(plain[:])) {
		t.Error("a plain hash of the secret is shown")
	}
	url := func(password string) engine.Edit {
		return engine.Edit{Path: "p", Want: "postgres://app:" + password + "@db"}
	}
	if digestOf(t, one(url("a"))...).Digest == digestOf(t, one(url("b"))...).Digest {
		t.Error("a secret inside a text counts for nothing")
	}
	literal := func(text string) map[string]any { return map[string]any{"token": engine.NewSecret(text)} }
	if digestOf(t, after(literal("the-new-secret"))...).Digest == digestOf(t, after(literal("another-secret"))...).Digest {
		t.Error("a secret input of a step blocked by others counts for nothing")
	}
	if digestOf(t, one(secret("the-new-secret"))...).Digest == digestOf(t, one(secret("the-old-secret"))...).Digest {
		t.Error("a secret that changes is not told from one that does not")
	}

	first := digestOf(t, after(map[string]any{"ttl": "1h"})...)
	if again := digestOf(t, after(map[string]any{"ttl": "1h"})...); again.Digest != first.Digest || len(again.Digests) != 2 {
		t.Errorf("known after: %+v, then %+v", first, again)
	}
	if digestOf(t, after(map[string]any{"ttl": "2h"})...).Digest == first.Digest {
		t.Error("another literal input is not seen")
	}
	write("two")
	changed := digestOf(t, after(map[string]any{"ttl": "1h"})...)
	if changed.Digest == first.Digest || changed.Digests["a"] != first.Digests["a"] || changed.Digests["b"] == first.Digests["b"] {
		t.Errorf("a file with other contents: %v, then %v", first.Digests, changed.Digests)
	}
}

// The order in which steps end, and in which secrets become known, is chance.
func TestDigestDoesNotDependOnOrder(t *testing.T) {
	const canary = "hvs.CANARY-0123456789"
	seen := make(map[string]bool)
	for _, delays := range [][2]time.Duration{{0, time.Second}, {time.Second, 0}} {
		synctest.Test(t, func(t *testing.T) {
			slow := func(d time.Duration, in inspecting) inspecting {
				return func(ctx context.Context, env *engine.Env) (facts, []engine.Edit, error) {
					time.Sleep(d)
					return in(ctx, env)
				}
			}
			knows := func(_ context.Context, env *engine.Env) (facts, []engine.Edit, error) {
				env.Conceal(engine.NewSecret(canary))
				return facts{}, nil, nil
			}
			nodes := []run.Node{
				node("a", nil, slow(delays[0], differing(engine.Edit{Path: "x", Have: "token " + canary}))),
				node("b", nil, slow(delays[1], knows)),
				node("c", nil, differing(engine.Edit{Path: "y"}, engine.Edit{Path: "x"})),
			}
			if delays[0] == 0 { // nor on the order in the plan or of the edits
				nodes[0], nodes[2] = nodes[2], nodes[0]
				nodes[0] = node("c", nil, differing(engine.Edit{Path: "x"}, engine.Edit{Path: "y"}))
			}
			seen[digestOf(t, nodes...).Digest] = true
		})
	}
	if len(seen) != 1 {
		t.Errorf("digests %v", seen)
	}
}

func TestNoDigestWithoutALookAtAll(t *testing.T) {
	bad := node("b", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
		return facts{}, nil, engine.Permanent(os.ErrPermission)
	})
	res, err := run.Run(t.Context(), []run.Node{node("a", nil, differing(engine.Edit{Path: "p"})), bad}, run.Options{Mode: run.DryRun})
	if err == nil || res.Summary.Digest != "" || res.Summary.Digests != nil {
		t.Errorf("err %v, digest %q", err, res.Summary.Digest)
	}
	res, err = run.Run(t.Context(), []run.Node{node("a", nil, same)}, run.Options{})
	if err != nil || res.Summary.Digest != "" {
		t.Errorf("a run that writes: err %v, digest %q", err, res.Summary.Digest)
	}
}

func TestChangedSecretsShow(t *testing.T) {
	var rec recorder
	n := node("a", nil, differing(engine.Edit{
		Path: "p",
		Have: map[string]any{"same": engine.NewSecret("aaaaaaaa"), "other": []any{engine.NewSecret("bbbbbbbb")}},
		Want: map[string]any{"same": engine.NewSecret("aaaaaaaa"), "other": []any{engine.NewSecret("cccccccc")}, "new": engine.NewSecret("dddddddd")},
	}))
	if _, err := run.Run(t.Context(), []run.Node{n}, run.Options{Mode: run.DryRun, Sink: rec.sink}); err != nil {
		t.Fatal(err)
	}
	e, _ := rec.find(engine.ActionDiffers)
	got, _ := json.Marshal(e.Want)
	if want := `{"new":"(secret)","other":["(secret, changed)"],"same":"(secret)"}`; string(got) != want {
		t.Errorf("want is %s, want %s", got, want)
	}
}

func TestTheStreamNamesItsSchema(t *testing.T) {
	var rec recorder
	if _, err := run.Run(t.Context(), []run.Node{node("a", nil, same), node("b", nil, same)}, run.Options{Sink: rec.sink}); err != nil {
		t.Fatal(err)
	}
	for i, e := range rec.events {
		if (e.Schema == engine.EventSchema) != (i == 0) {
			t.Errorf("event %d, %s: schema %q", i, e.Action, e.Schema)
		}
	}
}

// The secrets in the literal inputs of a step are known before anything is
// shown, also when the step cannot be looked at.
func TestLiteralSecretsAreKnown(t *testing.T) {
	var rec recorder
	n := node("a", nil, differing(engine.Edit{Path: "p", Want: "x LEAK01aaaaaaaaaaaa y LEAK02aaaaaaaaaaaa", Note: "as admin"}))
	n.Literal = func() any {
		return map[string]any{"values": map[string]any{"password": engine.NewSecret("LEAK01aaaaaaaaaaaa"), "user": engine.NewSecret("admin"), "lists": []any{[]any{"color = red\napi_key = LEAK02aaaaaaaaaaaa"}}}}
	}
	if _, err := run.Run(t.Context(), []run.Node{n}, run.Options{Mode: run.DryRun, Sink: rec.sink}); err != nil {
		t.Fatal(err)
	}
	e, _ := rec.find(engine.ActionDiffers)
	if e.Want != "x (secret) y (secret)" || e.Message != "as admin" {
		t.Errorf("%v, %s", e.Want, e.Message)
	}
}
