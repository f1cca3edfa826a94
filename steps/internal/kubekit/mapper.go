package kubekit

import (
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/restmapper"
)

// mapper holds the kinds that the API server serves. A lookup that fails loads it again
// once, unless another step did since the lookup began: a run that installs
// CustomResourceDefinitions finds their kinds, and many steps that look for a
// missing kind at once cost one discovery.
type mapper struct {
	discovery discovery.DiscoveryInterface

	mu         sync.Mutex
	generation int
	current    meta.RESTMapper
}

// newerThan returns the mapper, loaded at least once after generation.
func (m *mapper) newerThan(generation int) (meta.RESTMapper, int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current != nil && m.generation > generation {
		return m.current, m.generation, nil
	}
	groups, err := restmapper.GetAPIGroupResources(m.discovery)
	if err != nil {
		return nil, 0, err
	}
	m.current = restmapper.NewDiscoveryRESTMapper(groups)
	m.generation++
	return m.current, m.generation, nil
}

func lookup[T any](m *mapper, find func(meta.RESTMapper) (T, error)) (T, error) {
	var zero T
	current, generation, err := m.newerThan(0)
	if err != nil {
		return zero, err
	}
	v, err := find(current)
	if !meta.IsNoMatchError(err) {
		return v, err
	}
	if current, _, err = m.newerThan(generation); err != nil {
		return zero, err
	}
	return find(current)
}

// Reset makes the next lookup ask the API server again.
func (m *mapper) Reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current = nil
}

func (m *mapper) KindFor(r schema.GroupVersionResource) (schema.GroupVersionKind, error) {
	return lookup(m, func(d meta.RESTMapper) (schema.GroupVersionKind, error) { return d.KindFor(r) })
}

func (m *mapper) KindsFor(r schema.GroupVersionResource) ([]schema.GroupVersionKind, error) {
	return lookup(m, func(d meta.RESTMapper) ([]schema.GroupVersionKind, error) { return d.KindsFor(r) })
}

func (m *mapper) ResourceFor(r schema.GroupVersionResource) (schema.GroupVersionResource, error) {
	return lookup(m, func(d meta.RESTMapper) (schema.GroupVersionResource, error) { return d.ResourceFor(r) })
}

func (m *mapper) ResourcesFor(r schema.GroupVersionResource) ([]schema.GroupVersionResource, error) {
	return lookup(m, func(d meta.RESTMapper) ([]schema.GroupVersionResource, error) { return d.ResourcesFor(r) })
}

func (m *mapper) RESTMapping(gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	return lookup(m, func(d meta.RESTMapper) (*meta.RESTMapping, error) { return d.RESTMapping(gk, versions...) })
}

func (m *mapper) RESTMappings(gk schema.GroupKind, versions ...string) ([]*meta.RESTMapping, error) {
	return lookup(m, func(d meta.RESTMapper) ([]*meta.RESTMapping, error) { return d.RESTMappings(gk, versions...) })
}

func (m *mapper) ResourceSingularizer(r string) (string, error) {
	return lookup(m, func(d meta.RESTMapper) (string, error) { return d.ResourceSingularizer(r) })
}
