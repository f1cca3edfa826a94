package run_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
)

// A later step that wants another value than an earlier one wrote fails before it
// writes, and names the other; the same value, or one beside it, is fine.
func TestTwoOwners(t *testing.T) {
	first := engine.Edit{Path: "auth/k/role/app", Want: map[string]any{"audience": "x", "ttl": "5m"}}
	for name, c := range map[string]struct {
		second engine.Edit
		server string // of the second step
		fails  bool
	}{
		"a field":           {second: engine.Edit{Path: "auth/k/role/app/audience", Have: "x", Want: "y"}, fails: true},
		"the whole":         {second: engine.Edit{Path: "auth/k/role/app", Have: map[string]any{"ttl": "5m"}, Want: map[string]any{"ttl": "6m"}}, fails: true},
		"taken away":        {second: engine.Edit{Path: "auth/k/role/app", Have: map[string]any{"ttl": "5m"}}, fails: true},
		"in a part":         {second: engine.Edit{Path: "release/r", Want: "v2", Parts: []engine.Edit{{Path: "auth/k/role/app", Want: map[string]any{"ttl": "6m"}}}}, fails: true},
		"a part taken away": {second: engine.Edit{Path: "release/r", Want: "v2", Parts: []engine.Edit{{Path: "auth/k/role", Have: "exists"}}}, fails: true},
		"a part beside":     {second: engine.Edit{Path: "release/r", Want: "v2", Parts: []engine.Edit{{Path: "auth/k/role/app2", Have: "exists"}}}},
		"another field":     {second: engine.Edit{Path: "auth/k/role/app", Have: map[string]any{}, Want: map[string]any{"period": "1h"}}},
		"brought back":      {second: engine.Edit{Path: "auth/k/role/app/ttl", Have: "1m", Want: "5m"}},
		"another object":    {second: engine.Edit{Path: "auth/k/role/app2/ttl", Have: "1m", Want: "6m"}},
		"on another Vault":  {second: engine.Edit{Path: "auth/k/role/app/ttl", Have: "1m", Want: "6m"}, server: "https://other"},
	} {
		t.Run(name, func(t *testing.T) {
			var applied []string
			step := func(id string, needs []string, server string, e engine.Edit) run.Node {
				done := false
				e.Apply = func(context.Context) error { applied, done = append(applied, id), true; return nil }
				n := node(id, needs, nil)
				n.Kind = tenantKind
				n.Spec = func(run.Outputs) (any, error) {
					return &tenant{server: server, world: world{inspect: func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
						if done {
							return facts{}, nil, nil
						}
						return facts{}, []engine.Edit{e}, nil
					}}}, nil
				}
				return n
			}
			_, err := run.Run(t.Context(), []run.Node{step("a", nil, "", first), step("b", []string{"a"}, c.server, c.second)}, run.Options{})
			if !c.fails {
				if err != nil || len(applied) != 2 {
					t.Errorf("applied %v, error %v", applied, err)
				}
				return
			}
			if !errors.Is(err, engine.ErrPermanent) || len(applied) != 1 ||
				!strings.Contains(err.Error(), c.second.Path+": step a wrote ") || !strings.Contains(err.Error(), " in this run, and step b wants it otherwise") {
				t.Errorf("applied %v, error %v", applied, err)
			}
		})
	}
}

// The claims of a step, now that its inputs are known, are compared with those of others
// claim, before it looks: in a run, and in a dry run blocked by a step that differs.
func TestClaims(t *testing.T) {
	for _, mode := range []run.Mode{run.Apply, run.DryRun} {
		looked := false
		first := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			if looked {
				return facts{}, nil, nil
			}
			looked = true
			return facts{}, []engine.Edit{{Path: "x", Want: "y", Apply: func(context.Context) error { return nil }}}, nil
		})
		second := node("b", []string{"a"}, nil)
		second.Kind = tenantKind
		second.Spec = func(run.Outputs) (any, error) {
			return &tenant{claims: []engine.Claim{{Path: "auth/k/config", Want: "b"}}, world: world{inspect: func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
				t.Error("it looked")
				return facts{}, nil, nil
			}}}, nil
		}
		var claims engine.Claims
		claims.Add("a", []engine.Claim{{Path: "auth/k/config", Want: "a"}})
		_, err := run.Run(t.Context(), []run.Node{first, second}, run.Options{Mode: mode, Env: engine.Env{Claims: &claims}})
		if !errors.Is(err, engine.ErrPlan) || !strings.Contains(err.Error(), "auth/k/config is what step a makes as well, and differently") {
			t.Errorf("mode %d: %v", mode, err)
		}
	}
}

// tenant is a step that changes a server.
type tenant struct {
	server string
	world
	claims []engine.Claim
}

func (s *tenant) Claims(string, []string) []engine.Claim { return s.claims }

func (s *tenant) ServerID() string       { return s.server }
func (s *tenant) ServerInTarget() string { return "" }

var tenantKind = engine.NewKind("tenant", engine.DefaultPolicy(), func() *tenant { return new(tenant) })
