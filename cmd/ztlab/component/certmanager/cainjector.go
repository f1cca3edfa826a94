package certmanager

import (
	"context"
	"fmt"
	"strings"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/cert-manager/cert-manager/pkg/apis/config/cainjector/v1alpha1"
	"github.com/cert-manager/cert-manager/pkg/controller/cainjector"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
	"github.com/cert-manager/cert-manager/pkg/util"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apiext "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	kubescheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
	apireg "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// kindCAInjector is the kind of cainjector's configuration file.
const kindCAInjector = "CAInjectorConfiguration"

// CAInjector runs cert-manager's cainjector for the pod in spec until ctx ends.
// It is ready as soon as it runs: the image has no probe.
func CAInjector(ctx context.Context, spec container.Spec, report func(container.Report)) error {
	kubeconfig, err := prepare(spec)
	if err != nil {
		return err
	}
	config, err := injectorConfig(spec)
	if err != nil {
		return err
	}
	if err := logf.ValidateAndApply(&config.Logging); err != nil {
		return err
	}
	if err := setFeatureGates(config.FeatureGates); err != nil {
		return err
	}
	ctrl.SetLogger(klog.Background())
	rest, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	rest = util.RestConfigWithUserAgent(rest, "cainjector")
	kube, err := kubernetes.NewForConfig(rest)
	if err != nil {
		return err
	}
	if *config.EnableDataSourceConfig.Certificates {
		if err := awaitResources(ctx, rest, "certificates"); err != nil {
			return err
		}
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{kubescheme.AddToScheme, apiext.AddToScheme, apireg.AddToScheme, cmapi.AddToScheme} {
		if err := add(scheme); err != nil {
			return fmt.Errorf("cainjector: %w", err)
		}
	}
	// Upstream's identity is random, and a killed container waits for its own
	// lease to run out. Here it is the pod's, as the controller's is.
	l := lock{
		election: config.LeaderElectionConfig, name: "cert-manager-cainjector-leader-election",
		identity: spec.Pod + "_cainjector", client: kube,
	}
	resource, err := l.resource()
	if err != nil {
		return fmt.Errorf("leader election: %w", err)
	}
	namespaces := map[string]cache.Config{}
	if config.Namespace != "" {
		namespaces[config.Namespace] = cache.Config{}
	}
	mgr, err := ctrl.NewManager(rest, ctrl.Options{
		Scheme:                              scheme,
		Cache:                               cache.Options{ReaderFailOnMissingInformer: true, DefaultNamespaces: namespaces},
		Client:                              client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
		LeaderElection:                      *config.LeaderElectionConfig.Enabled,
		LeaderElectionResourceLockInterface: resource,
		LeaderElectionReleaseOnCancel:       true,
		LeaseDuration:                       &config.LeaderElectionConfig.LeaseDuration.Duration.Duration,
		RenewDeadline:                       &config.LeaderElectionConfig.RenewDeadline.Duration.Duration,
		RetryPeriod:                         &config.LeaderElectionConfig.RetryPeriod.Duration.Duration,
		Metrics:                             metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return fmt.Errorf("cainjector: %w", err)
	}
	if err := cainjector.RegisterAllInjectors(ctx, mgr, setupOptions(config)); err != nil {
		return fmt.Errorf("cainjector: %w", err)
	}
	report(container.Report{Ready: ptr.To(true)})
	return mgr.Start(ctx)
}

// injectorConfig returns cainjector's configuration: defaults, file, flags.
func injectorConfig(spec container.Spec) (*v1alpha1.CAInjectorConfiguration, error) {
	defaults := func() *v1alpha1.CAInjectorConfiguration {
		c := &v1alpha1.CAInjectorConfiguration{LeaderElectionConfig: defaultElection()}
		c.EnableDataSourceConfig.Certificates = ptr.To(true)
		c.EnableInjectableConfig = v1alpha1.EnableInjectableConfig{
			ValidatingWebhookConfigurations: ptr.To(true), MutatingWebhookConfigurations: ptr.To(true),
			CustomResourceDefinitions: ptr.To(true), APIServices: ptr.To(true),
		}
		logsapi.SetRecommendedLoggingConfiguration(&c.Logging)
		return c
	}
	var file string
	read := func(c *v1alpha1.CAInjectorConfiguration) error {
		fs := pflag.NewFlagSet("cainjector", pflag.ContinueOnError)
		fs.StringVar(&file, "config", file, "")
		fs.StringVar(&c.Namespace, "namespace", c.Namespace, "")
		fs.StringSliceVar(&c.IgnoreNamespaces, "ignore-namespaces", c.IgnoreNamespaces, "")
		fs.BoolVar(c.EnableDataSourceConfig.Certificates, "enable-certificates-data-source", *c.EnableDataSourceConfig.Certificates, "")
		fs.BoolVar(c.EnableInjectableConfig.ValidatingWebhookConfigurations, "enable-validatingwebhookconfigurations-injectable", *c.EnableInjectableConfig.ValidatingWebhookConfigurations, "")
		fs.BoolVar(c.EnableInjectableConfig.MutatingWebhookConfigurations, "enable-mutatingwebhookconfigurations-injectable", *c.EnableInjectableConfig.MutatingWebhookConfigurations, "")
		fs.BoolVar(c.EnableInjectableConfig.CustomResourceDefinitions, "enable-customresourcedefinitions-injectable", *c.EnableInjectableConfig.CustomResourceDefinitions, "")
		fs.BoolVar(c.EnableInjectableConfig.APIServices, "enable-apiservices-injectable", *c.EnableInjectableConfig.APIServices, "")
		addCommonFlags(fs, &c.LeaderElectionConfig, &c.FeatureGates, &c.Logging)
		return fs.Parse(spec.Args)
	}
	if err := read(defaults()); err != nil {
		return nil, fmt.Errorf("arguments of the container: %w", err)
	}
	config := defaults()
	if file != "" {
		if err := readConfigFile(spec, file, v1alpha1.SchemeGroupVersion.String(), kindCAInjector, config); err != nil {
			return nil, err
		}
	}
	return config, read(config)
}

// setupOptions selects the targets and sources of injection.
func setupOptions(c *v1alpha1.CAInjectorConfiguration) cainjector.SetupOptions {
	var ignore []string
	for _, list := range c.IgnoreNamespaces {
		ignore = append(ignore, strings.Split(list, ",")...)
	}
	return cainjector.SetupOptions{
		Namespace:                    c.Namespace,
		IgnoreNamespaces:             ignore,
		EnableCertificatesDataSource: *c.EnableDataSourceConfig.Certificates,
		EnabledReconcilersFor: map[string]bool{
			cainjector.MutatingWebhookConfigurationName:   *c.EnableInjectableConfig.MutatingWebhookConfigurations,
			cainjector.ValidatingWebhookConfigurationName: *c.EnableInjectableConfig.ValidatingWebhookConfigurations,
			cainjector.CustomResourceDefinitionName:       *c.EnableInjectableConfig.CustomResourceDefinitions,
			cainjector.APIServiceName:                     *c.EnableInjectableConfig.APIServices,
		},
	}
}
