package kubekit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc" // kubeconfigs that name the oidc provider
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/portforward"
	"github.com/ztplan/ztplan/steps/internal/nearest"
	"github.com/ztplan/ztplan/steps/session"
)

// contactTimeout bounds the first contact with the API server.
const contactTimeout = 15 * time.Second

// Connect returns the cluster that the settings of env name. Steps of one run share
// it through env.Session, which also closes it.
//
// The first caller contacts the API server. An error of that carries a hint, and is permanent
// unless it may pass by itself: no kubeconfig, one that does not verify the server, a context
// that it does not have, credentials that are refused, nothing that listens, no answer in
// time. A busy server (429, 5xx) and a connection that broke may pass: the next caller tries
// again.
func Connect(ctx context.Context, env *engine.Env) (*Cluster, error) {
	return engine.Share(ctx, env.Session, key(env), func(ctx context.Context) (*Cluster, error) {
		config, name, err := load(session.Of(env).Cluster)
		if err != nil {
			return nil, engine.Permanent(err)
		}
		c, err := newCluster(config, name)
		if err != nil {
			return nil, engine.Permanent(err)
		}
		if err := c.contact(ctx); err != nil {
			c.Close()
			return nil, err
		}
		return c, nil
	})
}

// Connected returns the cluster that the settings of env name if a step of the run has
// connected to it. It contacts nothing.
func Connected(env *engine.Env) (*Cluster, bool) {
	return engine.Opened[*Cluster](env.Session, key(env))
}

func key(env *engine.Env) string {
	c := session.Of(env).Cluster
	return "kubekit " + c.Kubeconfig + " " + c.Context
}

// Server returns the address of the API server of a cluster, or "" if there is
// no such cluster. It contacts nothing.
func Server(cl session.Cluster) string {
	config, _, err := load(cl)
	if err != nil {
		return ""
	}
	return config.Host
}

// Contexts returns the names of the contexts of a kubeconfig, sorted, and the one that is
// used; none if it cannot be read.
func Contexts(cl session.Cluster) (names []string, used string) {
	raw, err := rulesOf(cl).Load()
	if err != nil {
		return nil, ""
	}
	return slices.Sorted(maps.Keys(raw.Contexts)), cmp.Or(cl.Context, raw.CurrentContext)
}

// rulesOf returns where the kubeconfig of a cluster is.
func rulesOf(cl session.Cluster) *clientcmd.ClientConfigLoadingRules {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.WarnIfAllMissing = false
	rules.ExplicitPath = cl.Kubeconfig
	return rules
}

func newCluster(config *rest.Config, name string) (*Cluster, error) {
	config.UserAgent = "ztplan"
	config.QPS = -1 // the API server's own fairness is enough
	config.WarningHandlerWithContext = warnings{}
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper { return &guard{next: &restarted{next: &cut{next: rt}}} })

	hc, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", name, err)
	}
	client, err := kubernetes.NewForConfigAndClient(config, hc)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", name, err)
	}
	dyn, err := dynamic.NewForConfigAndClient(config, hc)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", name, err)
	}
	disc, err := discovery.NewDiscoveryClientForConfigAndClient(config, hc)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", name, err)
	}
	return &Cluster{
		name:    name,
		config:  config,
		http:    hc,
		client:  client,
		dynamic: dyn,
		mapper:  &mapper{discovery: disc},
		tunnels: portforward.New(config, client.CoreV1().RESTClient()),
	}, nil
}

// contact asks the API server for its version: small, and allowed to everybody
// who may log in.
func (c *Cluster) contact(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, contactTimeout,
		fmt.Errorf("no answer within %v", contactTimeout))
	defer cancel()
	_, err := c.client.Discovery().RESTClient().Get().AbsPath("/version").DoRaw(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(context.Cause(ctx), context.Canceled):
		return context.Cause(ctx)
	}
	explained := explainContact(ctx, c.name, c.Host(), err)
	if passing(ctx, err) {
		return explained
	}
	return engine.Permanent(explained)
}

// load reads the kubeconfig in kubectl's order: the file that is named, then
// KUBECONFIG, then ~/.kube/config, then the ServiceAccount of the pod that
// ztplan runs in. It returns the client's configuration and a name for it. A
// configuration that does not verify the server is an error.
func load(cl session.Cluster) (*rest.Config, string, error) {
	from := ""
	if cl.Position != "" {
		from = " (" + cl.Position + ")"
	}
	rules := rulesOf(cl)
	if cl.Kubeconfig != "" {
		if _, err := os.Stat(cl.Kubeconfig); errors.Is(err, fs.ErrNotExist) {
			return nil, "", engine.WithHint(
				fmt.Errorf("kubeconfig %s%s: no such file", cl.Kubeconfig, from),
				"write the path of an existing kubeconfig, leave it out to use kubectl's, or use the embedded lab with --lab")
		}
	}
	paths := slices.DeleteFunc(rules.GetLoadingPrecedence(), func(p string) bool { return p == "" })
	name := strings.Join(paths, string(filepath.ListSeparator))

	raw, err := rules.Load()
	if err != nil {
		return nil, "", engine.WithHint(fmt.Errorf("kubeconfig %s%s: %w", name, from, err),
			"check the file with kubectl config view")
	}
	if len(raw.Contexts) == 0 && len(raw.Clusters) == 0 {
		if config, err := rest.InClusterConfig(); err == nil && cl.Kubeconfig == "" && cl.Context == "" {
			return config, "of this pod's ServiceAccount", nil
		}
		return nil, "", engine.WithHint(
			fmt.Errorf("kubeconfig %s%s: no cluster is configured there", name, from),
			"name a kubeconfig with --kubeconfig or KUBECONFIG, or use the embedded lab with --lab")
	}
	if err := checkContext(raw, cl.Context, name, from); err != nil {
		return nil, "", err
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: cl.Context}
	config, err := clientcmd.NewNonInteractiveClientConfig(*raw, cl.Context, overrides, rules).ClientConfig()
	if err != nil {
		return nil, "", engine.WithHint(fmt.Errorf("kubeconfig %s%s: %w", name, from, err),
			"check the file with kubectl config view")
	}
	if err := verified(config); err != nil {
		return nil, "", fmt.Errorf("kubeconfig %s%s: %w", name, from, err)
	}
	return config, name, nil
}

func checkContext(raw *clientcmdapi.Config, context, name, from string) error {
	names := make([]string, 0, len(raw.Contexts))
	for n := range raw.Contexts {
		names = append(names, n)
	}
	slices.Sort(names)
	known := "the kubeconfig has no contexts"
	if len(names) > 0 {
		known = "the kubeconfig has: " + strings.Join(names, ", ")
	}
	wanted := context
	if wanted == "" {
		wanted = raw.CurrentContext
	}
	if _, ok := raw.Contexts[wanted]; ok {
		return nil
	}
	if wanted == "" {
		return engine.WithHint(fmt.Errorf("kubeconfig %s%s: no current context is set", name, from),
			"choose one with --context; "+known)
	}
	if near := nearest.Name(wanted, names); near != "" {
		known = fmt.Sprintf("did you mean %q? %s", near, known)
	}
	return engine.WithHint(fmt.Errorf("kubeconfig %s%s: context %q does not exist", name, from, wanted), known)
}
