package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztlab/controlplane"
	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
	"github.com/ztplan/ztplan/cmd/ztlab/supervisor"
)

// serveFlags are the flags of a lab that is about to start.
type serveFlags struct {
	charts                 string
	audit                  bool
	issuer, authentication string
	fresh, ephemeral       bool
}

func (f *serveFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.charts, "charts", "", "serve the packaged charts (*.tgz) in this directory instead of the lab's own")
	cmd.Flags().BoolVar(&f.audit, "audit", false, "record API requests to audit/audit.log in the lab directory")
	cmd.Flags().StringVar(&f.issuer, "service-account-issuer", controlplane.DefaultIssuer, "issuer of ServiceAccount tokens, an https URL; a lab that other labs trust needs one of its own")
	cmd.Flags().StringVar(&f.authentication, "authentication-config", "", "give the API server a copy of this AuthenticationConfiguration (apiserver.config.k8s.io/v1)")
	cmd.Flags().BoolVar(&f.fresh, "fresh", false, "forget the lab that was in the directory")
	cmd.Flags().BoolVar(&f.ephemeral, "ephemeral", false, "forget the lab when it stops")
}

// args gives the flags back as arguments, for a supervisor that is started.
func (f *serveFlags) args() []string {
	return []string{
		"--charts=" + f.charts,
		fmt.Sprintf("--audit=%t", f.audit),
		"--service-account-issuer=" + f.issuer,
		"--authentication-config=" + f.authentication,
		fmt.Sprintf("--fresh=%t", f.fresh),
		fmt.Sprintf("--ephemeral=%t", f.ephemeral),
	}
}

// applied reports an error unless the flags that were given are in effect in a lab
// that is up.
func (f *serveFlags) applied(given func(flag string) bool, s labstate.Status) error {
	serves := "the lab's own charts"
	if s.Charts != "" {
		serves = "the charts in " + s.Charts
	}
	switch {
	case f.fresh:
		return fmt.Errorf("%s: a lab is up; stop it first with: ztlab down", s.Dir)
	case given("charts") && f.charts != s.Charts:
		return fmt.Errorf("%s: a lab is up and serves %s: --charts has an effect when a lab starts; stop it first with: ztlab down", s.Dir, serves)
	case given("audit") && f.audit != (s.Audit != ""):
		return fmt.Errorf("%s: a lab is up: --audit has an effect when a lab starts; stop it first with: ztlab down", s.Dir)
	case given("service-account-issuer") && f.issuer != s.ServiceAccountIssuer:
		return fmt.Errorf("%s: a lab is up with the issuer %s: --service-account-issuer has an effect when a lab starts; stop it first with: ztlab down", s.Dir, s.ServiceAccountIssuer)
	case given("authentication-config") && f.authentication != s.AuthenticationConfig:
		return fmt.Errorf("%s: a lab is up: --authentication-config has an effect when a lab starts; stop it first with: ztlab down", s.Dir)
	case given("ephemeral") && f.ephemeral != s.Ephemeral:
		return fmt.Errorf("%s: a lab is up: --ephemeral has an effect when a lab starts; stop it first with: ztlab down", s.Dir)
	}
	return nil
}

// check makes the flags independent of the working directory, and reports values
// that no lab could start with.
func (f *serveFlags) check() error {
	for name, path := range map[string]*string{"charts": &f.charts, "authentication-config": &f.authentication} {
		if *path == "" {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("--%s: %w", name, err)
		}
		*path = absolute
	}
	if issuer, err := url.Parse(f.issuer); err != nil || issuer.Scheme != "https" || issuer.Host == "" {
		return usageError{fmt.Errorf("--service-account-issuer: %q is not an https URL: other clusters could not find its keys", f.issuer)}
	}
	return nil
}

// shutdownLimit ends a supervisor that does not end by itself; the parts end
// with it.
const shutdownLimit = 20 * time.Second

func serveCommand(lab *labFlag) *cobra.Command {
	var flags serveFlags
	var parentPipe, detached bool
	var output outputFlag
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a lab in the foreground until it is interrupted",
		Long: `Run a lab in the foreground until it is interrupted.

One line goes to standard output when every part answers: the kubeconfig's path
or, with --output json, the status. The log goes to standard error.

With --parent-pipe the lab also ends when its standard input does: a program
that starts a lab holds the other end of a pipe, and the lab cannot outlive it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := lab.open()
			if err != nil {
				return err
			}
			if err := flags.check(); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			if parentPipe {
				ctx = untilEnd(ctx, os.Stdin)
			}
			return serve(ctx, cmd.OutOrStdout(), dir, flags, output, detached)
		},
	}
	flags.add(cmd)
	output.add(cmd)
	cmd.Flags().BoolVar(&parentPipe, "parent-pipe", false, "end when standard input ends")
	cmd.Flags().BoolVar(&detached, "detached", false, "log to log/supervisor.log in the lab directory")
	_ = cmd.Flags().MarkHidden("detached")
	return cmd
}

// untilEnd returns a context that ends with ctx or with held.
func untilEnd(ctx context.Context, held io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, held)
		cancel()
	}()
	return ctx
}

// serve runs the lab. A detached one writes its failure to standard output too,
// where "ztlab up" reads it.
func serve(ctx context.Context, out io.Writer, dir labstate.Dir, flags serveFlags, output outputFlag, detached bool) error {
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("own executable: %w", err)
	}
	openLog := func(labstate.Dir) (io.WriteCloser, error) { return stderr{os.Stderr}, nil }
	if detached {
		openLog = detachedLog
	}
	signal.Ignore(syscall.SIGPIPE) // the reader of the one line may be gone
	err = supervisor.Run(ctx, supervisor.Options{
		Dir: dir, Executable: executable, ChartsDir: flags.charts,
		Audit: flags.audit, Issuer: flags.issuer, AuthenticationConfig: flags.authentication, Fresh: flags.fresh, Ephemeral: flags.ephemeral,
		OpenLog: openLog, Composition: composition(),
		Stopping: func() {
			time.AfterFunc(shutdownLimit, func() { os.Exit(1) })
		},
		Ready: func(s labstate.Status) {
			if output.json {
				_ = json.NewEncoder(out).Encode(s)
			} else {
				fmt.Fprintln(out, s.Kubeconfig)
			}
		},
	})
	if err != nil && detached {
		_ = json.NewEncoder(out).Encode(labstate.Status{Dir: string(dir), Message: err.Error()})
	}
	return err
}

// A stderr is standard error, which stays open.
type stderr struct{ io.Writer }

func (stderr) Close() error { return nil }

// detachedLog opens the supervisor's log, and sends a crash there as well.
func detachedLog(dir labstate.Dir) (io.WriteCloser, error) {
	file, err := os.OpenFile(dir.Log("supervisor"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lab log: %w", err)
	}
	if err := debug.SetCrashOutput(file, debug.CrashOptions{}); err != nil {
		return nil, fmt.Errorf("lab log: %w", err)
	}
	return file, nil
}
