package helmkit

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/release"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// getter gives Helm and kubectl's builders the cluster of an edit. It reads no
// kubeconfig: kubekit did.
type getter struct {
	config    *rest.Config
	discovery discovery.CachedDiscoveryInterface
	mapper    meta.ResettableRESTMapper
	namespace string
}

func newGetter(ctx context.Context, env *engine.Env, cluster *kubekit.Cluster, namespace string) (*getter, error) {
	config := release.ConfigFor(ctx, cluster)
	config.WarningHandlerWithContext = &warnings{env: env}
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	return &getter{
		config:    config,
		discovery: memory.NewMemCacheClient(d),
		mapper:    cluster.Mapper(),
		namespace: namespace,
	}, nil
}

func (g *getter) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(g.config), nil }

func (g *getter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.discovery, nil
}

func (g *getter) ToRESTMapper() (meta.RESTMapper, error) { return g.mapper, nil }

// ToRawKubeConfigLoader serves for the namespace only.
func (g *getter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	return clientcmd.NewDefaultClientConfig(clientcmdapi.Config{}, &clientcmd.ConfigOverrides{
		Context: clientcmdapi.Context{Namespace: g.namespace},
	})
}

// warnings shows each warning of the API server about a chart's objects once.
type warnings struct {
	env  *engine.Env
	seen sync.Map
}

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, code int, _ string, text string) {
	if code != 299 || text == "" {
		return
	}
	if _, again := w.seen.LoadOrStore(text, true); !again {
		w.env.Warnf("the API server says: %s", text)
	}
}
