package planflags

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/journal"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps/session"
	"github.com/ztplan/ztplan/steps/session/cluster"
)

// CacheDir returns where charts are kept, private to the user.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache directory: %w; set XDG_CACHE_HOME or HOME", err)
	}
	return filepath.Join(dir, "ztplan"), nil
}

// StateDir returns the directory of files that cannot be made again: $XDG_STATE_HOME/ztplan,
// else ~/.local/state/ztplan.
func StateDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "ztplan"), nil
	}
	home, err := os.UserHomeDir() // an error for an empty one, too
	if err != nil {
		return "", engine.WithHint(fmt.Errorf("no place for the journal: %w", err), "set XDG_STATE_HOME or HOME")
	}
	return filepath.Join(home, ".local", "state", "ztplan"), nil
}

// Journals returns the place of the journals of the plan's runs, and those that count.
func (a *Flags) Journals(p *plan.Plan, c session.Cluster) (journal.Plan, error) {
	where := journal.Plan{Base: a.Runs, Name: p.Name, File: filepath.Join(p.Dir, filepath.Base(p.File))}
	for _, s := range p.Steps {
		where.Steps = append(where.Steps, s.ID)
	}
	where.Owns = func(step, kind string) func(string) bool { return owns(p.Step(step), kind) }
	if where.Base != "" {
		return where, nil // those of a lab, whose address changes
	}
	state, err := StateDir()
	where.Base, where.Server = filepath.Join(state, "runs"), cluster.Server(c)
	return where, err
}

// owns returns which of the things that the step made as one of a kind it still
// asks for, nil for all; see [engine.Owner].
func owns(s *plan.Step, kind string) func(path string) bool {
	if s.Kind.Name != kind {
		return func(string) bool { return false }
	}
	spec, unknown := s.Draft()
	if o, ok := spec.(engine.Owner); ok {
		return o.Owns(unknown)
	}
	return nil
}

// History returns the journals of past runs of all plans, newest first: of those on this
// machine, or of those on the lab.
func (a *Flags) History(ctx context.Context) ([]*journal.Report, error) {
	if err := a.checkLab(); err != nil {
		return nil, err
	}
	if a.Lab {
		_, lab, err := a.FindLab(ctx)
		return journal.History(filepath.Join(lab.Dir, "runs")), err
	}
	state, err := StateDir()
	if err != nil {
		return nil, &cli.Error{Code: cli.Failed, Text: err.Error(), Hint: engine.HintOf(err)}
	}
	return journal.History(filepath.Join(state, "runs")), nil
}
