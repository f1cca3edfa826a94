package planflags

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/release"
	"github.com/ztplan/ztplan/cmd/ztplan/ztlab"
	"github.com/ztplan/ztplan/engine/display"
)

// checkLab refuses flags that mean something only with --lab.
func (a *Flags) checkLab() error {
	if a.Lab {
		return nil
	}
	var without []string
	for _, f := range []struct {
		name  string
		given bool
	}{{"--lab-dir", a.LabDir != ""}, {"--keep", a.Keep}, {"--charts", a.Charts != ""}} {
		if f.given {
			without = append(without, f.name)
		}
	}
	if len(without) > 0 {
		return &cli.Error{Code: cli.Invalid, Text: strings.Join(without, ", ") + " without --lab: this would not be about the lab", Hint: "add --lab"}
	}
	return nil
}

// A labWorld is the lab that a run happens in.
type labWorld struct {
	ztlab.Status
	sinks string       // where secrets of this lab go
	Leave func() error // ends the lab if the run started it
}

// FindLab returns the lab's program and the state of the lab, which need not be up.
func (a *Flags) FindLab(ctx context.Context) (b ztlab.Binary, s ztlab.Status, err error) {
	path, err := ztlab.Find()
	if err != nil {
		return b, s, &cli.Error{Code: cli.Failed, Text: err.Error(), Hint: release.LabHint(a.Version, runtime.GOOS, runtime.GOARCH)}
	}
	b = ztlab.Binary{Path: path, Dir: a.LabDir}
	if s, err = b.Status(ctx); err != nil {
		return b, s, &cli.Error{Code: cli.Failed, Text: err.Error()}
	}
	return b, s, nil
}

// enterLab uses the lab that is up, or starts one.
func (a *Flags) enterLab(ctx context.Context) (*labWorld, error) {
	b, s, err := a.FindLab(ctx)
	if err != nil {
		return nil, err
	}
	nothing := func() error { return nil }
	if s.Ready {
		fmt.Fprintf(a.Stderr, "lab: using the one that is up, %s\n", s.Kubeconfig)
		return a.labWorld(s, nothing)
	}
	if s.PID != 0 {
		return nil, &cli.Error{Code: cli.Failed, Text: "the lab is up and not ready: " + s.Message, Hint: "see what is wrong with: ztplan lab status"}
	}
	var charts []string
	if a.Charts != "" {
		charts = []string{"--charts", a.Charts}
	}
	if a.Keep {
		if s, err = b.Up(ctx, charts...); err != nil {
			return nil, &cli.Error{Code: cli.Failed, Text: err.Error()}
		}
		fmt.Fprintf(a.Stderr, "lab: up and kept; export KUBECONFIG=%s   (ztplan lab down stops it)\n", s.Kubeconfig)
		return a.labWorld(s, nothing)
	}
	temporary := ""
	if b.Dir == "" {
		if temporary, err = os.MkdirTemp("", "ztplan-lab-"); err != nil {
			return nil, &cli.Error{Code: cli.Failed, Text: "lab: " + err.Error()}
		}
		b.Dir = temporary
	}
	remove := func() error {
		if temporary == "" {
			return nil
		}
		return os.RemoveAll(temporary)
	}
	fmt.Fprintln(a.Stderr, "lab: starting")
	began := a.Now()
	args := charts
	if temporary != "" {
		args = append(args, "--ephemeral") // gone with the lab even if this program is killed
	}
	owned, err := b.Start(ctx, args...)
	if err != nil {
		return nil, &cli.Error{Code: cli.Failed, Text: errors.Join(err, remove()).Error()}
	}
	fmt.Fprintf(a.Stderr, "lab: up in %s; it stops with this run (--keep leaves it)\n", display.Seconds(a.Now().Sub(began).Seconds()))
	return a.labWorld(owned.Status, func() error { return errors.Join(owned.Stop(), remove()) })
}

func (a *Flags) labWorld(s ztlab.Status, leave func() error) (*labWorld, error) {
	if len(s.Problems) > 0 {
		fmt.Fprintln(a.Stderr, "lab: "+strings.Join(s.Problems, "\nlab: "))
	}
	sinks := filepath.Join(s.Dir, "secrets")
	if err := os.MkdirAll(sinks, 0o700); err != nil {
		return nil, &cli.Error{Code: cli.Failed, Text: errors.Join(fmt.Errorf("lab: %w", err), leave()).Error()}
	}
	return &labWorld{Status: s, sinks: sinks, Leave: leave}, nil
}
