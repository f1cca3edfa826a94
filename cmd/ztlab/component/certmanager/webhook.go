package certmanager

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	logf "github.com/cert-manager/cert-manager/pkg/logs"
	servertls "github.com/cert-manager/cert-manager/pkg/server/tls"
	"github.com/cert-manager/cert-manager/pkg/webhook/admission"
	"github.com/cert-manager/cert-manager/pkg/webhook/options"
	"github.com/cert-manager/cert-manager/pkg/webhook/server"
	webhooktest "github.com/cert-manager/cert-manager/test/webhook"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// Webhook serves cert-manager's admission webhook for the pod in spec. It is
// ready when it has a serving certificate, signed by the authority that it keeps
// in a Secret of its namespace for cainjector to find.
//
// Webhook never returns: it ends the process. The webhook's constructor is
// internal to cert-manager; only a helper for tests is exported, so the
// process becomes a test binary with one test, and the server is run from
// inside it.
func Webhook(ctx context.Context, spec container.Spec, report func(container.Report)) error {
	w, err := newWebhook(spec, report)
	if err != nil {
		return err
	}
	// Only testing.Main parses the flags of package testing, and a test may
	// not end by itself after ten minutes.
	os.Args = []string{os.Args[0], "-test.timeout=0"}
	testing.Main(
		func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "webhook", F: func(t *testing.T) { w.run(ctx, t) }}},
		nil, nil)
	return errors.New("unreachable: testing.Main ends the process")
}

// A webhook is the admission webhook before it has been constructed.
type webhook struct {
	args   []string
	ports  struct{ secure, healthz int }
	report func(container.Report)
}

// newWebhook reads the container's arguments, as the upstream command does.
func newWebhook(spec container.Spec, report func(container.Report)) (*webhook, error) {
	kubeconfig, err := prepare(spec)
	if err != nil {
		return nil, err
	}
	flags := options.NewWebhookFlags()
	config, err := options.NewWebhookConfiguration()
	if err != nil {
		return nil, err
	}
	fs := pflag.NewFlagSet("webhook", pflag.ContinueOnError)
	flags.AddFlags(fs)
	options.AddConfigFlags(fs, config)
	if err := fs.Parse(spec.Args); err != nil {
		return nil, fmt.Errorf("arguments of the container: %w", err)
	}
	switch {
	case flags.Config != "":
		return nil, fmt.Errorf("%s: the lab's webhook takes its configuration from flags only; unset webhook.config in the chart's values", flags.Config)
	case config.EnableClientVerification:
		return nil, errors.New("--enable-client-verification: not possible in the lab; set webhook.enableClientVerification=false in the chart's values")
	case !config.TLSConfig.DynamicConfigProvided():
		return nil, errors.New("--dynamic-serving-ca-secret-name: required in the lab")
	}
	if err := logf.ValidateAndApply(&config.Logging); err != nil {
		return nil, err
	}
	if err := setFeatureGates(config.FeatureGates); err != nil {
		return nil, err
	}
	w := &webhook{args: append(spec.Args, "--kubeconfig="+kubeconfig), report: report}
	w.ports.secure, w.ports.healthz = int(config.SecurePort), int(config.HealthzPort)
	return w, nil
}

// run constructs the server and serves until ctx ends.
func (w *webhook) run(ctx context.Context, t *testing.T) {
	webhooktest.StartWebhookServer(t, w.args, func(s *server.Server) {
		// The helper would listen on all interfaces; it calls this with the
		// finished server, which has everything that is needed to listen on
		// loopback instead. So it is never returned to.
		if err := w.serve(ctx, s); err != nil {
			fmt.Fprintln(os.Stderr, "webhook:", err)
			os.Exit(1)
		}
		os.Exit(0)
	})
}

// certificateRetry is how soon the first serving certificate is asked for
// again. Upstream waits a second: its authority starts empty.
const certificateRetry = 20 * time.Millisecond

// serve serves the admission webhook and its health.
func (w *webhook) serve(ctx context.Context, s *server.Server) error {
	log := klog.Background().WithName("webhook")
	ctrl.SetLogger(log)
	ctx = logf.NewContext(ctx, log)
	if dynamic, ok := s.CertificateSource.(*servertls.DynamicSource); ok {
		dynamic.RetryInterval = certificateRetry
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	healthz, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	handlers := http.NewServeMux()
	handlers.Handle("/mutate", admission.NewCustomMutationWebhook(s.MutationWebhook))
	handlers.Handle("/validate", admission.NewCustomValidationWebhook(s.ResourceScheme, s.ValidationWebhook))
	health := http.NewServeMux()
	health.HandleFunc("/livez", func(http.ResponseWriter, *http.Request) {})
	health.HandleFunc("/healthz", func(rw http.ResponseWriter, _ *http.Request) {
		if !s.CertificateSource.Healthy() {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	})
	w.report(container.Report{
		Listen:  map[int]string{w.ports.secure: secure.Addr().String(), w.ports.healthz: healthz.Addr().String()},
		Ready:   ptr.To(false),
		Message: "the webhook has no serving certificate yet",
	})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.CertificateSource.Start(ctx) })
	group.Go(func() error { return w.watchHealth(ctx, s.CertificateSource) })
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.CertificateSource.GetCertificate}
	serve(ctx, group, &http.Server{Handler: handlers, ReadHeaderTimeout: 10 * time.Second}, tls.NewListener(secure, tlsConfig))
	serve(ctx, group, &http.Server{Handler: health, ReadHeaderTimeout: 10 * time.Second}, healthz)
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// Health is looked at often until the server is healthy for the first time, and
// as often as the chart's probe later.
const (
	healthFirst = 5 * time.Millisecond
	healthLater = 5 * time.Second
)

// watchHealth reports readiness as it changes.
func (w *webhook) watchHealth(ctx context.Context, source servertls.CertificateSource) error {
	ready, interval := false, healthFirst
	for {
		if healthy := source.Healthy(); healthy != ready {
			ready, interval = healthy, healthLater
			w.report(container.Report{Ready: &healthy, Message: message(healthy, "the webhook has no valid serving certificate")})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(interval):
		}
	}
}

// message returns text when something is not ready.
func message(ready bool, text string) string {
	if ready {
		return ""
	}
	return text
}
