package certmanager

import (
	"fmt"
	"os"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager"
	"github.com/cert-manager/cert-manager/pkg/apis/config/controller/v1alpha1"
	shared "github.com/cert-manager/cert-manager/pkg/apis/config/shared/v1alpha1"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
	utilfeature "github.com/cert-manager/cert-manager/pkg/util/feature"
	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// kindController is the kind of the controller's configuration file.
const kindController = "ControllerConfiguration"

// controllerConfig returns the controller's configuration: the defaults, then
// the file that --config names, then the flags, as the upstream command does
// it.
func controllerConfig(spec container.Spec) (*v1alpha1.ControllerConfiguration, error) {
	var file string
	read := func(c *v1alpha1.ControllerConfiguration) error {
		fs := pflag.NewFlagSet("controller", pflag.ContinueOnError)
		fs.StringVar(&file, "config", file, "")
		addControllerFlags(fs, c)
		return fs.Parse(spec.Args)
	}
	if err := read(defaultConfig()); err != nil {
		return nil, fmt.Errorf("arguments of the container: %w", err)
	}
	config := defaultConfig()
	if file != "" {
		if err := readConfigFile(spec, file, v1alpha1.SchemeGroupVersion.String(), kindController, config); err != nil {
			return nil, err
		}
		if config.EnableGatewayAPI != nil && !*config.GatewayAPIConfig.Enabled {
			config.GatewayAPIConfig.Enabled = config.EnableGatewayAPI // the older name of the same
		}
	}
	return config, read(config)
}

// readConfigFile decodes a configuration file of the container into config,
// strictly.
func readConfigFile(spec container.Spec, file, apiVersion, kind string, config any) error {
	host, err := hostPath(spec, file)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(host)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var meta struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal(data, &meta); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if meta.APIVersion != apiVersion || meta.Kind != kind {
		return fmt.Errorf("%s: got %s %s; want %s %s", file, meta.APIVersion, meta.Kind, apiVersion, kind)
	}
	if err := yaml.UnmarshalStrict(data, config); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// defaultConfig holds upstream's defaults (internal/apis/config/controller/
// v1alpha1/defaults.go) of everything that has an effect here.
func defaultConfig() *v1alpha1.ControllerConfiguration {
	c := &v1alpha1.ControllerConfiguration{
		ClusterResourceNamespace: "kube-system",
		LeaderElectionConfig:     v1alpha1.LeaderElectionConfig{LeaderElectionConfig: defaultElection()},
		Controllers:              []string{"*"},

		IssuerAmbientCredentials:        ptr.To(false),
		ClusterIssuerAmbientCredentials: ptr.To(true),
		EnableCertificateOwnerRef:       ptr.To(false),
		CopiedAnnotationPrefixes:        []string{"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/"},
		NumberOfConcurrentWorkers:       ptr.To[int32](5),
		MaxConcurrentChallenges:         ptr.To[int32](60),
		KubernetesAPIQPS:                ptr.To[float32](20),
		KubernetesAPIBurst:              ptr.To[int32](50),
		IngressShimConfig: v1alpha1.IngressShimConfig{
			DefaultIssuerKind:                 "Issuer",
			DefaultIssuerGroup:                cmapi.GroupName,
			DefaultAutoCertificateAnnotations: []string{"kubernetes.io/tls-acme"},
		},
		GatewayAPIConfig:                         v1alpha1.GatewayAPIConfig{Enabled: ptr.To(false)},
		CertificateRequestMinimumBackoffDuration: shared.DurationFromTime(time.Hour),
		CertificateRequestMaximumBackoffDuration: shared.DurationFromTime(32 * time.Hour),
	}
	logsapi.SetRecommendedLoggingConfiguration(&c.Logging)
	return c
}

// defaultElection holds upstream's defaults of leader election.
func defaultElection() shared.LeaderElectionConfig {
	return shared.LeaderElectionConfig{
		Enabled:       ptr.To(true),
		Namespace:     "kube-system",
		LeaseDuration: shared.DurationFromTime(60 * time.Second),
		RenewDeadline: shared.DurationFromTime(40 * time.Second),
		RetryPeriod:   shared.DurationFromTime(15 * time.Second),
	}
}

// addControllerFlags adds the flags of upstream's controller command.
func addControllerFlags(fs *pflag.FlagSet, c *v1alpha1.ControllerConfiguration) {
	fs.StringVar(&c.ClusterResourceNamespace, "cluster-resource-namespace", c.ClusterResourceNamespace, "")
	fs.StringVar(&c.Namespace, "namespace", c.Namespace, "")
	fs.StringSliceVar(&c.Controllers, "controllers", c.Controllers, "")
	fs.Int32Var(c.NumberOfConcurrentWorkers, "concurrent-workers", *c.NumberOfConcurrentWorkers, "")
	fs.Float32Var(c.KubernetesAPIQPS, "kube-api-qps", *c.KubernetesAPIQPS, "")
	fs.Int32Var(c.KubernetesAPIBurst, "kube-api-burst", *c.KubernetesAPIBurst, "")
	fs.BoolVar(c.IssuerAmbientCredentials, "issuer-ambient-credentials", *c.IssuerAmbientCredentials, "")
	fs.BoolVar(c.ClusterIssuerAmbientCredentials, "cluster-issuer-ambient-credentials", *c.ClusterIssuerAmbientCredentials, "")
	fs.BoolVar(c.EnableCertificateOwnerRef, "enable-certificate-owner-ref", *c.EnableCertificateOwnerRef, "")
	fs.StringSliceVar(&c.CopiedAnnotationPrefixes, "copied-annotation-prefixes", c.CopiedAnnotationPrefixes, "")
	fs.DurationVar(&c.CertificateRequestMinimumBackoffDuration.Duration.Duration, "certificate-request-minimum-backoff-duration", c.CertificateRequestMinimumBackoffDuration.Duration.Duration, "")
	fs.DurationVar(&c.CertificateRequestMaximumBackoffDuration.Duration.Duration, "certificate-request-maximum-backoff-duration", c.CertificateRequestMaximumBackoffDuration.Duration.Duration, "")
	fs.BoolVar(c.GatewayAPIConfig.Enabled, "enable-gateway-api", *c.GatewayAPIConfig.Enabled, "")
	fs.StringVar(&c.IngressShimConfig.DefaultIssuerName, "default-issuer-name", c.IngressShimConfig.DefaultIssuerName, "")
	fs.StringVar(&c.IngressShimConfig.DefaultIssuerKind, "default-issuer-kind", c.IngressShimConfig.DefaultIssuerKind, "")
	fs.StringVar(&c.IngressShimConfig.DefaultIssuerGroup, "default-issuer-group", c.IngressShimConfig.DefaultIssuerGroup, "")
	fs.StringSliceVar(&c.IngressShimConfig.DefaultAutoCertificateAnnotations, "auto-certificate-annotations", c.IngressShimConfig.DefaultAutoCertificateAnnotations, "")
	fs.StringSliceVar(&c.IngressShimConfig.ExtraCertificateAnnotations, "extra-certificate-annotations", c.IngressShimConfig.ExtraCertificateAnnotations, "")
	addCommonFlags(fs, &c.LeaderElectionConfig.LeaderElectionConfig, &c.FeatureGates, &c.Logging)
	ignoreFlags(fs,
		"acme-http01-solver-image", "acme-http01-solver-resource-request-cpu", "acme-http01-solver-resource-request-memory",
		"acme-http01-solver-resource-limits-cpu", "acme-http01-solver-resource-limits-memory", "acme-http01-solver-run-as-non-root",
		"acme-http01-solver-nameservers", "acme-http01-solver-extra-labels", "acme-http01-solver-runtime-class-name",
		"dns01-recursive-nameservers", "dns01-recursive-nameservers-only", "dns01-check-retry-period", "max-concurrent-challenges",
		"enable-gateway-api-listenerset", "gateway-api-extra-protocols",
		"healthz-listen-address",
		"max-certificate-size", "max-private-key-size", "max-chain-length", "max-bundle-size")
}

// addCommonFlags adds the flags that controller and cainjector share.
func addCommonFlags(fs *pflag.FlagSet, election *shared.LeaderElectionConfig, gates *map[string]bool, logging *logsapi.LoggingConfiguration) {
	fs.BoolVar(election.Enabled, "leader-elect", *election.Enabled, "")
	fs.StringVar(&election.Namespace, "leader-election-namespace", election.Namespace, "")
	fs.DurationVar(&election.LeaseDuration.Duration.Duration, "leader-election-lease-duration", election.LeaseDuration.Duration.Duration, "")
	fs.DurationVar(&election.RenewDeadline.Duration.Duration, "leader-election-renew-deadline", election.RenewDeadline.Duration.Duration, "")
	fs.DurationVar(&election.RetryPeriod.Duration.Duration, "leader-election-retry-period", election.RetryPeriod.Duration.Duration, "")
	fs.Var(cliflag.NewMapStringBool(gates), "feature-gates", "")
	logf.AddFlags(logging, fs)
	ignoreFlags(fs,
		"enable-profiling", "profiler-address",
		"metrics-listen-address", "metrics-tls-cert-file", "metrics-tls-private-key-file", "metrics-tls-cipher-suites", "metrics-tls-min-version",
		"metrics-dynamic-serving-ca-secret-namespace", "metrics-dynamic-serving-ca-secret-name", "metrics-dynamic-serving-dns-names",
		"metrics-dynamic-serving-leaf-duration")
}

// ignoreFlags accepts flags that concern nothing in this process. A flag that
// upstream does not know stays an error.
func ignoreFlags(fs *pflag.FlagSet, names ...string) {
	for _, name := range names {
		fs.Var(&ignored{}, name, "")
		fs.Lookup(name).NoOptDefVal = "true"
	}
}

// ignored is the value of a flag without effect.
type ignored struct{ text string }

func (i *ignored) String() string     { return i.text }
func (i *ignored) Set(s string) error { i.text = s; return nil }
func (*ignored) Type() string         { return "string" }

// setFeatureGates sets the gates of the whole process.
func setFeatureGates(gates map[string]bool) error {
	if len(gates) == 0 {
		return nil
	}
	if err := utilfeature.DefaultMutableFeatureGate.SetFromMap(gates); err != nil {
		return fmt.Errorf("feature gates: %w", err)
	}
	return nil
}
