package enginetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// toy is a step over a map, with one field per way to break the contract.
type toy struct {
	Keys     []string      `yaml:"keys"`
	Password engine.Secret `yaml:"password"`

	state *state
	sin   string
}

// state is the system that a test step changes.
type state struct {
	values map[string]string
	writes int
	looks  int
}

type facts struct {
	Count int
	First string
	Token engine.Secret
}

func (s *toy) Inspect(ctx context.Context, env *engine.Env) (facts, []engine.Edit, error) {
	s.state.looks++
	switch s.sin {
	case "writes while looking":
		s.state.writes++
	case "ignores cancellation":
		if ctx.Err() != nil {
			time.Sleep(2 * promptly) // nothing wakes it
		}
	case "logs a secret":
		env.Logf("logging in with %s", s.Password.Reveal())
	case "secret in an error":
		return facts{}, nil, engine.Permanent(fmt.Errorf("password %s is wrong", s.Password.Reveal()))
	case "cancelled is permanent":
		if ctx.Err() != nil {
			return facts{}, nil, engine.Permanent(ctx.Err())
		}
	}
	var edits []engine.Edit
	for _, key := range s.Keys {
		if s.state.values[key] != "" && s.sin != "never converges" {
			continue
		}
		e := engine.Edit{Path: key, Want: "set", Apply: func(ctx context.Context) error {
			if !engine.WritesAllowed(ctx) {
				return errors.New("writing is not allowed")
			}
			if s.sin == "depends on the edit before" && key == "b" && s.state.looks > 2 {
				return errors.New("a was set by another process")
			}
			s.state.writes++
			s.state.values[key] = "set"
			return nil
		}}
		switch s.sin {
		case "secret in an edit":
			e.Want = map[string]any{"password": s.Password.Reveal()}
		case "edits change from look to look":
			e.Want = s.state.looks
		case "no plain data":
			e.Want = struct{ A int }{1}
		case "no difference":
			e.Have = e.Want
		case "same path":
			e.Path = "x"
		}
		edits = append(edits, e)
	}
	if s.sin == "second edit unasked" && len(edits) == 0 && s.state.values["late"] == "" {
		edits = append(edits, engine.Edit{Path: "late", Want: "set", Apply: func(context.Context) error {
			s.state.values["late"] = "set"
			return nil
		}})
	}
	out := facts{Count: len(s.state.values), First: s.first(nil)}
	if len(edits) > 0 && s.sin != "promises what its edits change" {
		out.Count = 0
	}
	if s.sin == "outputs change" {
		out.Count = s.state.looks
	}
	return out, edits, nil
}

func (s *toy) Owns([]string) func(path string) bool {
	if s.sin == "cannot say what it makes" {
		return nil
	}
	return func(path string) bool { return s.sin != "disowns what it makes" || path != "b" }
}

func (s *toy) first(unknown []string) string {
	if !engine.Known("keys", unknown) {
		return ""
	}
	return cmp.Or(strings.Join(s.Keys, "/"), "none")
}

func (s *toy) Foresee(_ string, unknown []string) any {
	out := facts{First: s.first(unknown)}
	switch s.sin {
	case "foresees another output":
		out.First = "another"
	case "foresees what is not known":
		out.First = s.first(nil)
	case "foresees a secret":
		out.Token = s.Password
	case "foresees another type":
		return out.First
	}
	return out
}

const password = "canary-in-the-mine"

func toyCase(sin string) Case {
	w := &state{values: make(map[string]string)}
	return Case{
		Kind: engine.NewKind("toy", engine.DefaultPolicy(), func() *toy { return &toy{} }),
		Spec: func() any {
			return &toy{Keys: []string{"a", "b"}, Password: engine.NewSecret(password), state: w, sin: sin}
		},
		Env:    &engine.Env{Session: &engine.Session{}},
		Reset:  func(context.Context) error { clear(w.values); return nil },
		Writes: func() int { return w.writes },
	}
}

func TestRunAcceptsAStepThatKeepsTheContract(t *testing.T) {
	Run(t, toyCase(""))

	in := toyCase("")
	in.Reset = nil
	Run(t, in)
}

func inOneGoAndForesee(k *checker, ctx context.Context) error {
	return errors.Join(k.inOneGo(ctx), k.foresee(ctx))
}

// TestPartsFindSins breaks the contract in every way and expects the part that
// is about it to report that, without the secret.
func TestPartsFindSins(t *testing.T) {
	for sin, test := range map[string]struct {
		check func(*checker, context.Context) error
		want  string
	}{
		"writes while looking":           {(*checker).look, "looking wrote 2 times"},
		"edits change from look to look": {(*checker).look, "looking twice does not find the same"},
		"no plain data":                  {(*checker).look, "is not plain data"},
		"no difference":                  {(*checker).look, "shows no difference"},
		"same path":                      {(*checker).look, "two edits have the path x"},
		"disowns what it makes":          {(*checker).look, "the step makes b and says that it does not"},
		"cannot say what it makes":       {(*checker).editByEdit, "cannot say what it owns"},
		"cancelled is permanent":         {(*checker).cancelledLook, "beyond hope"},
		"never converges":                {(*checker).inOneGo, "after 1 rounds of applying these still differ"},
		"second edit unasked":            {(*checker).inOneGo, "late"},
		"promises what its edits change": {(*checker).editByEdit, "output Count comes with edits that change it: 1, then 2"},
		"outputs change":                 {func(k *checker, ctx context.Context) error { return errors.Join(k.inOneGo(ctx), k.again(ctx)) }, "outputs of what has converged change"},
		"depends on the edit before":     {func(k *checker, ctx context.Context) error { return errors.Join(k.look(ctx), k.editByEdit(ctx)) }, "set by another process"},
		"foresees another output":        {inOneGoAndForesee, "output First is foreseen, and the run gives another: another, then a/b"},
		"foresees what is not known":     {inOneGoAndForesee, "output First is foreseen without keys, and is another with it: none, then a/b"},
		"foresees a secret":              {inOneGoAndForesee, "foresees a secret"},
		"foresees another type":          {inOneGoAndForesee, "foresees a string and not the outputs"},
		"logs a secret":                  {(*checker).look, "secret 1 of 18 characters shows in log"},
		"secret in an edit":              {(*checker).look, "secret 1 of 18 characters shows in edit a"},
		"secret in an error":             {(*checker).look, "secret 1 of 18 characters shows in error"},
	} {
		t.Run(sin, func(t *testing.T) {
			k := newChecker(toyCase(sin))
			err := errors.Join(test.check(k, t.Context()), k.leaks())
			if err == nil {
				t.Fatal("nothing is found")
			}
			if got := k.redact(err.Error()); !strings.Contains(got, test.want) || strings.Contains(got, password) {
				t.Errorf("got %s, want it to contain %s", got, test.want)
			}
		})
	}
}

func TestAwaits(t *testing.T) {
	arrived := make(chan struct{})
	spec := &waiting{arrived: arrived}
	k := newChecker(Case{
		Kind: engine.NewKind("waiting", engine.DefaultPolicy(), func() *waiting { return &waiting{} }),
		Spec: func() any { return spec },
		Env:  &engine.Env{},
	})
	if err := k.inOneGo(t.Context()); err != nil {
		t.Error(err)
	}
	never := &waiting{arrived: make(chan struct{}), lost: true}
	k.Spec = func() any { return never }
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := k.inOneGo(ctx); err == nil || !strings.Contains(err.Error(), "still waiting for: guest: have absent, want here") {
		t.Errorf("got %v", err)
	}
}

// waiting is a step that waits for a guest, who comes when he is awaited.
type waiting struct {
	arrived chan struct{}
	lost    bool
}

func (s *waiting) Inspect(context.Context, *engine.Env) (facts, []engine.Edit, error) {
	select {
	case <-s.arrived:
		return facts{}, nil, nil
	default:
	}
	return facts{}, []engine.Edit{{Path: "guest", Have: "absent", Want: "here", Await: func(ctx context.Context) error {
		if s.lost {
			<-ctx.Done()
			return ctx.Err()
		}
		close(s.arrived)
		return nil
	}}}, nil
}

func TestRunAcceptsAProof(t *testing.T) {
	Run(t, Case{
		Kind: engine.NewProof("claim", engine.DefaultPolicy(), func() *claim { return &claim{} }),
		Spec: func() any { return &claim{holds: true} },
		Env:  &engine.Env{},
	})
	k := newChecker(Case{
		Kind: engine.NewProof("claim", engine.DefaultPolicy(), func() *claim { return &claim{} }),
		Spec: func() any { return &claim{} },
		Env:  &engine.Env{},
	})
	if err := k.prove(t.Context()); err == nil || !strings.Contains(err.Error(), `"it is so" does not hold`) {
		t.Errorf("got %v", err)
	}
}

// claim is a proof with one field per way to break the contract.
type claim struct {
	holds bool
	state *state
	sin   string
}

func (c *claim) Intent() []string { return []string{"look whether it is so"} }

func (c *claim) Changes() []engine.Edit {
	list := []engine.Edit{{Path: "gate", Want: "open"}}
	switch c.sin {
	case "declares nothing":
		return nil
	case "declares how":
		list[0].Apply = func(context.Context) error { return nil }
	case "declares by chance":
		c.state.looks++
		list[0].Want = c.state.looks
	}
	return list
}

func (c *claim) Prove(ctx context.Context, env *engine.Env) (facts, []engine.Finding, error) {
	if c.state != nil {
		if c.sin == "writes beside its edits" {
			c.state.writes++
		}
		edit := engine.Edit{Path: "gate/hinge", Want: "oiled", Apply: func(ctx context.Context) error {
			if !engine.WritesAllowed(ctx) {
				return errors.New("writing is not allowed")
			}
			c.state.writes++
			return nil
		}}
		if engine.WritesAllowed(ctx) {
			return facts{}, nil, errors.New("writing is allowed beside the edits")
		}
		if c.sin == "edit without a difference" {
			edit.Want = nil
		}
		_ = env.Apply(ctx, edit)
		if c.sin == "writes after its edits" {
			c.state.writes++
		}
	}
	return facts{}, []engine.Finding{{Rule: "it is so", Holds: c.holds}}, nil
}

func claimCase(sin string) Case {
	w := &state{}
	return Case{
		Kind:   engine.NewProof("claim", engine.DefaultPolicy(), func() *claim { return &claim{} }),
		Spec:   func() any { return &claim{holds: true, state: w, sin: sin} },
		Env:    &engine.Env{},
		Writes: func() int { return w.writes },
	}
}

func TestRunAcceptsAProofThatChangesSomething(t *testing.T) { Run(t, claimCase("")) }

func TestPartsFindSinsOfProofs(t *testing.T) {
	for sin, want := range map[string]string{
		"declares nothing":          "gate/hinge is changed and not declared",
		"declares how":              "gate has more",
		"declares by chance":        "does not declare the same",
		"writes beside its edits":   "wrote 1 times beside its edits",
		"writes after its edits":    "wrote 1 times beside its edits",
		"edit without a difference": "edit gate/hinge shows no difference",
	} {
		t.Run(sin, func(t *testing.T) {
			k := newChecker(claimCase(sin))
			err := k.changes(t.Context())
			if err == nil {
				err = k.prove(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want it to contain %q", err, want)
			}
		})
	}
}
