package kubekit

import (
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/portforward"
)

// A Cluster is a connection to one Kubernetes cluster. It is safe for
// concurrent use.
type Cluster struct {
	name    string
	config  *rest.Config
	http    *http.Client
	client  kubernetes.Interface
	dynamic dynamic.Interface
	mapper  *mapper
	tunnels *portforward.Dialer
}

// Config returns a copy of the client configuration, guarded: a request that
// could change the cluster fails with ErrReadOnly unless its own context
// allows writes.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Client returns the typed client.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// Dynamic returns the client for objects of any kind.
func (c *Cluster) Dynamic() dynamic.Interface { return c.dynamic }

// Mapper translates kinds to resources. It asks the API server once, and again
// when a kind is missing that may have been added since.
func (c *Cluster) Mapper() meta.ResettableRESTMapper { return c.mapper }

// Host returns the address of the API server, as the kubeconfig writes it.
func (c *Cluster) Host() string { return c.config.Host }

// Resource returns the client for objects of a kind in a namespace, which is
// ignored for kinds without namespaces. The error satisfies IsNoKind if the
// API server does not serve the kind (yet).
func (c *Cluster) Resource(gvk schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	m, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		return nil, engine.WithHint(fmt.Errorf("kind %s of %s is not served by the cluster: %w", gvk.Kind, gvk.GroupVersion(), err),
			"the CustomResourceDefinition is missing or not Established yet: install it in an earlier step")
	}
	if err != nil {
		return nil, err
	}
	r := c.dynamic.Resource(m.Resource)
	if m.Scope.Name() == meta.RESTScopeNameNamespace {
		return r.Namespace(namespace), nil
	}
	return r, nil
}

// Close closes the tunnels and idle connections. Connect's session calls it.
func (c *Cluster) Close() error {
	c.tunnels.Close()
	c.http.CloseIdleConnections()
	return nil
}
