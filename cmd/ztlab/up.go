package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
	"github.com/ztplan/ztplan/cmd/ztlab/supervisor"
)

func upCommand(lab *labFlag) *cobra.Command {
	var flags serveFlags
	var output outputFlag
	var foreground bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a lab and print the path of its kubeconfig when every part answers",
		Long: `Start a lab in the background and print the path of its kubeconfig when every
part answers. A lab that is up already is left as it is; flags that it was not
started with are refused.

What a lab knows is kept in its directory until "ztlab down --purge" or "ztlab
up --fresh": after a restart Vault is sealed, as everywhere, and has its data.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, _, err := lab.client()
			if err != nil {
				return err
			}
			dir, err := lab.open()
			if err != nil {
				return err
			}
			if err := flags.check(); err != nil {
				return err
			}
			status, err := client.WaitStarted(cmd.Context())
			switch {
			case err == nil:
				if err := flags.applied(cmd.Flags().Changed, status); err != nil {
					return err
				}
				return output.printUp(cmd.OutOrStdout(), status)
			case !errors.Is(err, supervisor.ErrDown):
				return err
			}
			if foreground {
				ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
				defer stop()
				return serve(ctx, cmd.OutOrStdout(), dir, flags, output, false)
			}
			if status, err = startDetached(cmd.Context(), dir, flags); err != nil {
				// Another "ztlab up" may have been a moment faster.
				var other error
				if status, other = waitOther(cmd.Context(), client, dir); other != nil {
					return err
				}
			}
			return output.printUp(cmd.OutOrStdout(), status)
		},
	}
	flags.add(cmd)
	output.add(cmd)
	cmd.Flags().BoolVar(&foreground, "foreground", false, "stay in the foreground until interrupted, as ztlab serve does")
	return cmd
}

// startDetached starts a supervisor in a session of its own and returns when
// it reports that it is ready. An interrupt before that ends it.
func startDetached(ctx context.Context, dir labstate.Dir, flags serveFlags) (labstate.Status, error) {
	var status labstate.Status
	executable, err := os.Executable()
	if err != nil {
		return status, fmt.Errorf("own executable: %w", err)
	}
	args := append([]string{"serve", "--detached", "--output=json", "--lab-dir=" + string(dir)}, flags.args()...)
	cmd := exec.Command(executable, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return status, fmt.Errorf("supervisor: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return status, fmt.Errorf("supervisor: %w", err)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	interrupted := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer interrupted()

	line, err := bufio.NewReader(out).ReadBytes('\n')
	if ctx.Err() != nil {
		return status, errors.New("interrupted; the lab is stopping")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return status, fmt.Errorf("supervisor: %w", err)
	}
	if len(line) == 0 {
		return status, fmt.Errorf("supervisor: it ended without a word; see %s", dir.Log("supervisor"))
	}
	if err := json.Unmarshal(line, &status); err != nil {
		return status, fmt.Errorf("supervisor: %w", err)
	}
	if status.Kubeconfig == "" {
		return status, errors.New(status.Message)
	}
	return status, nil
}

// waitOther returns the status of a lab that another process has begun to
// start, when it is ready, or an error when no process holds the directory.
func waitOther(ctx context.Context, client *supervisor.Client, dir labstate.Dir) (status labstate.Status, err error) {
	err = wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		status, err = client.WaitStarted(ctx)
		if !errors.Is(err, supervisor.ErrDown) {
			return true, err
		}
		unlock, lockErr := dir.Lock()
		if lockErr == nil {
			unlock()
			return true, err
		}
		return false, nil
	})
	return status, err
}
