package certmanager

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cert-manager/cert-manager/pkg/apis/config/controller/v1alpha1"
	"github.com/cert-manager/cert-manager/pkg/controller"
	shimgateways "github.com/cert-manager/cert-manager/pkg/controller/certificate-shim/gateways"
	"github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	// Controllers and issuers register themselves when they are imported.
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificate-shim/ingresses"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/vault"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/metrics"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/vault"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// The ports of the controller's container.
const (
	metricsPort = 9402
	healthzPort = 9403
)

// Controller runs cert-manager's controllers for the pod in spec until ctx
// ends. It is ready as soon as it runs, as the image, which has no readiness probe:
// during a rollout the new pod waits for the lease of the old one, and is ready.
func Controller(ctx context.Context, spec container.Spec, report func(container.Report)) error {
	kubeconfig, err := prepare(spec)
	if err != nil {
		return err
	}
	config, err := controllerConfig(spec)
	if err != nil {
		return err
	}
	logf.InitLogs()
	defer logf.FlushLogs()
	if err := logf.ValidateAndApply(&config.Logging); err != nil {
		return err
	}
	if err := setFeatureGates(config.FeatureGates); err != nil {
		return err
	}
	log := logf.FromContext(ctx, "controller")
	ctx = logf.NewContext(ctx, log)
	log.Info("starting cert-manager controller", "version", Version())

	factory, err := controller.NewContextFactory(ctx, contextOptions(config, kubeconfig))
	if err != nil {
		return err
	}
	root, err := factory.Build()
	if err != nil {
		return err
	}
	if err := awaitResources(ctx, root.RESTConfig, "certificates", "certificaterequests", "issuers", "clusterissuers"); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	ports, err := serveStatus(ctx, group, root)
	if err != nil {
		return err
	}
	report(container.Report{Listen: ports, Ready: ptr.To(true)})
	group.Go(func() error {
		// The identity is the pod's, as upstream: a container that is
		// restarted in its pod gets its own lease back at once.
		l := lock{
			election: config.LeaderElectionConfig.LeaderElectionConfig,
			name:     "cert-manager-controller",
			identity: spec.Pod + "-external-cert-manager-controller",
			client:   root.Client,
			recorder: root.Recorder,
		}
		return l.lead(ctx, func(ctx context.Context) error {
			return runControllers(ctx, factory, root, config)
		})
	})
	return group.Wait()
}

// contextOptions are the controllers' part of the configuration.
func contextOptions(c *v1alpha1.ControllerConfiguration, kubeconfig string) controller.ContextOptions {
	return controller.ContextOptions{
		Kubeconfig:         kubeconfig,
		ConfigOptions:      controller.ConfigOptions{EnableGatewayAPI: *c.GatewayAPIConfig.Enabled},
		KubernetesAPIQPS:   *c.KubernetesAPIQPS,
		KubernetesAPIBurst: int(*c.KubernetesAPIBurst),
		Namespace:          c.Namespace,
		IssuerOptions: controller.IssuerOptions{
			ClusterResourceNamespace:        c.ClusterResourceNamespace,
			ClusterIssuerAmbientCredentials: *c.ClusterIssuerAmbientCredentials,
			IssuerAmbientCredentials:        *c.IssuerAmbientCredentials,
		},
		IngressShimOptions: controller.IngressShimOptions{
			DefaultIssuerName:                 c.IngressShimConfig.DefaultIssuerName,
			DefaultIssuerKind:                 c.IngressShimConfig.DefaultIssuerKind,
			DefaultIssuerGroup:                c.IngressShimConfig.DefaultIssuerGroup,
			DefaultAutoCertificateAnnotations: c.IngressShimConfig.DefaultAutoCertificateAnnotations,
			ExtraCertificateAnnotations:       c.IngressShimConfig.ExtraCertificateAnnotations,
		},
		CertificateOptions: controller.CertificateOptions{
			EnableOwnerRef:                           *c.EnableCertificateOwnerRef,
			CopiedAnnotationPrefixes:                 c.CopiedAnnotationPrefixes,
			CertificateRequestMinimumBackoffDuration: c.CertificateRequestMinimumBackoffDuration.Duration.Duration,
			CertificateRequestMaximumBackoffDuration: c.CertificateRequestMaximumBackoffDuration.Duration.Duration,
		},
		SchedulerOptions: controller.SchedulerOptions{MaxConcurrentChallenges: int(*c.MaxConcurrentChallenges)},
	}
}

// runControllers builds and runs every enabled controller until ctx ends or one
// of them fails.
func runControllers(ctx context.Context, factory *controller.ContextFactory, root *controller.Context, c *v1alpha1.ControllerConfiguration) error {
	log := logf.FromContext(ctx)
	enabled := enabledControllers(c.Controllers, controller.Known())
	if !root.GatewaySolverEnabled {
		enabled.Delete(shimgateways.ControllerName) // its resources are not served, or not asked for
	}
	group, ctx := errgroup.WithContext(ctx)
	for name, build := range controller.Known() {
		if !enabled.Has(name) {
			log.Info("not starting controller as it's disabled", "controller", name)
			continue
		}
		if c.Namespace != "" && name == clusterissuers.ControllerName {
			log.Info("not starting controller as cert-manager has been scoped to a single namespace", "controller", name)
			continue
		}
		control, err := build(factory)
		if err != nil {
			return fmt.Errorf("controller %s: %w", name, err)
		}
		group.Go(func() error {
			if err := control.Run(int(*c.NumberOfConcurrentWorkers), ctx); err != nil {
				return fmt.Errorf("controller %s: %w", name, err)
			}
			return nil
		})
	}
	root.SharedInformerFactory.Start(ctx.Done())
	root.KubeSharedInformerFactory.Start(ctx.Done())
	root.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())
	if root.GatewaySolverEnabled {
		root.GWShared.Start(ctx.Done())
	}
	return group.Wait()
}

// enabledControllers evaluates --controllers: "*" is all, a name adds one, a
// name with a dash removes one.
func enabledControllers(list []string, known map[string]controller.Constructor) sets.Set[string] {
	enabled := sets.New[string]()
	if slices.Contains(list, "*") || !slices.ContainsFunc(list, func(s string) bool { return !strings.HasPrefix(s, "-") }) {
		enabled = sets.KeySet(known)
	}
	for _, item := range list {
		switch name, off := strings.CutPrefix(item, "-"); {
		case off:
			enabled.Delete(name)
		case item != "*":
			enabled.Insert(item)
		}
	}
	return enabled
}

// serveStatus serves metrics and liveness on loopback ports.
func serveStatus(ctx context.Context, group *errgroup.Group, root *controller.Context) (map[int]string, error) {
	metrics, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	healthz, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		metrics.Close() // nothing was served
		return nil, err
	}
	live := http.NewServeMux()
	live.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	serve(ctx, group, root.Metrics.NewServer(metrics), metrics)
	serve(ctx, group, &http.Server{Handler: live, ReadHeaderTimeout: 10 * time.Second}, healthz)
	return map[int]string{metricsPort: metrics.Addr().String(), healthzPort: healthz.Addr().String()}, nil
}

// serve runs a server until ctx ends.
func serve(ctx context.Context, group *errgroup.Group, s *http.Server, ln net.Listener) {
	group.Go(func() error {
		<-ctx.Done()
		return s.Close()
	})
	group.Go(func() error {
		if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
}
