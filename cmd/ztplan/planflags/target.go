package planflags

import (
	"cmp"
	"context"
	"os"
	"path/filepath"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps/session"
)

// InTarget calls f with a plan that is read from a file and the environment that its steps
// have in a run. Connections that f opens in the environment are closed afterwards.
func (a *Flags) InTarget(ctx context.Context, file string, f func(context.Context, *plan.Plan, *plan.Selection, *engine.Env) error) (err error) {
	p, chosen, err := a.Load(ctx, file)
	if err != nil {
		return err
	}
	env, done, err := a.Environment(ctx, p)
	if err != nil {
		return err
	}
	defer func() {
		env.Session.Close()
		if cerr := done(); cerr != nil && err == nil {
			err = cerr
		}
	}()
	return f(ctx, p, chosen, env)
}

// Environment names the environment of the run: the lab, or a cluster.
func (a *Flags) Environment(ctx context.Context, p *plan.Plan) (env *engine.Env, done func() error, err error) {
	cache, err := CacheDir()
	if err != nil {
		return nil, nil, err
	}
	mirrors, err := a.MirrorList()
	if err != nil {
		return nil, nil, err
	}
	state, _ := StateDir() // without one there is one place less for keys in an emergency
	env = &engine.Env{
		Plan: p.Name, Dir: p.Dir, Inputs: p.Inputs, CacheDir: cache, StateDir: state, Claims: p.Claims(), Session: new(engine.Session), Detach: a.Detach,
		Now: a.Now, Logf: discard, Statusf: discard, Warnf: discard, Conceal: func(...engine.Secret) {}, // a run has its own
	}
	if err := a.checkLab(); err != nil {
		return nil, nil, err
	}
	if !a.Lab {
		var cluster session.Cluster
		if value, at := p.Connection("kubernetes"); value != nil {
			cluster = value.(*session.Kubernetes).Cluster(p.Dir, os.Getenv("HOME"))
			if a.Kubeconfig == "" && a.Context == "" {
				cluster.Position = at.String()
			}
		}
		cluster.Kubeconfig, cluster.Context = cmp.Or(a.Kubeconfig, cluster.Kubeconfig), cmp.Or(a.Context, cluster.Context)
		env.Settings = session.Settings{Mirrors: mirrors, Cluster: cluster}
		return env, func() error { return nil }, nil
	}
	if a.Kubeconfig != "" || a.Context != "" {
		return nil, nil, &cli.Error{Code: cli.Invalid, Text: "--lab and --kubeconfig or --context contradict each other",
			Hint: "leave one out: the lab brings its own kubeconfig"}
	}
	world, err := a.enterLab(ctx)
	if err != nil {
		return nil, nil, err
	}
	for from, to := range world.Mirrors {
		mirrors = append(mirrors, session.Mirror{From: from, To: to})
	}
	env.Settings = session.Settings{Cluster: session.Cluster{Kubeconfig: world.Kubeconfig}, Mirrors: mirrors, SinkDir: world.sinks}
	env.StateDir = world.Dir
	a.Entered = &world.Status
	a.Runs = filepath.Join(world.Dir, "runs")
	return env, world.Leave, nil
}

func discard(string, ...any) {}
