package certmanager

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/cert-manager/cert-manager/pkg/util/cmapichecker"
	"github.com/spf13/pflag"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// checkInterval is how often the API is tried. The upstream command tries every
// five seconds; here everything is on one machine.
const checkInterval = 50 * time.Millisecond

// StartupAPICheck is "cmctl check api" of the chart's post-install Job: it creates
// CertificateRequests as a dry run until both webhooks have answered rightly, or
// --wait has passed. It returns nil when they have.
func StartupAPICheck(ctx context.Context, spec container.Spec, _ func(container.Report)) error {
	kubeconfig, err := prepare(spec)
	if err != nil {
		return err
	}
	wait, err := checkArguments(spec.Args)
	if err != nil {
		return err
	}
	rest, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	checker, err := cmapichecker.New(rest, spec.Namespace)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	for {
		last := checker.Check(ctx)
		if last == nil {
			fmt.Fprintln(os.Stderr, "The cert-manager API is ready")
			return nil
		}
		if simple := cmapichecker.TranslateToSimpleError(last); simple != nil {
			last = simple
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not ready after %s: %w", wait, last)
		}
	}
}

// checkArguments reads "check api --wait=1m".
func checkArguments(args []string) (wait time.Duration, err error) {
	fs := pflag.NewFlagSet("startupapicheck", pflag.ContinueOnError)
	fs.DurationVar(&wait, "wait", 0, "")
	fs.Duration("interval", 0, "")
	fs.BoolP("verbose", "v", false, "")
	if err := fs.Parse(args); err != nil {
		return 0, fmt.Errorf("arguments of the container: %w", err)
	}
	if rest := fs.Args(); len(rest) != 2 || rest[0] != "check" || rest[1] != "api" {
		return 0, fmt.Errorf("arguments of the container: got %q; want check api", rest)
	}
	// Without --wait upstream tries once; a deadline this short does the same.
	return max(wait, time.Second), nil
}
