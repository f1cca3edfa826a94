package kubekit

import (
	"context"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
	"github.com/ztplan/ztplan/steps/internal/kubetypes"
)

// A Catalogue lists the kinds and namespaces that the steps of a run bring to the
// cluster. By it a step that looks before they exist knows that they are still to come.
// It knows nothing about the cluster: ask that first.
type Catalogue struct {
	mu         sync.Mutex
	kinds      map[schema.GroupKind]PendingCRD
	namespaces map[string]string   // name to step
	made       map[string]*Makings // by step, of those whose objects are all known
}

// A PendingCRD is a CustomResourceDefinition that a step brings.
type PendingCRD struct {
	CRD  *unstructured.Unstructured // not to be changed
	Step string                     // the id of the step that brings it
	From string                     // where the step has it from: "chart cert-manager v1.21.2"
}

// Check checks an object of the definition's kind, see [kubetypes.CheckCustom].
func (c PendingCRD) Check(obj *unstructured.Unstructured) ([]kubetypes.FieldProblem, error) {
	return kubetypes.CheckCustom(c.CRD, c.From, obj)
}

// CatalogueOf returns the catalogue of the run.
func CatalogueOf(ctx context.Context, env *engine.Env) (*Catalogue, error) {
	return engine.Share(ctx, env.Session, "kubekit catalogue", func(context.Context) (*Catalogue, error) {
		return &Catalogue{kinds: map[schema.GroupKind]PendingCRD{}, namespaces: map[string]string{}, made: map[string]*Makings{}}, nil
	})
}

// AddCRDs notes that the step brings the CustomResourceDefinitions among
// objects. Of two steps that bring one kind, the first by id counts, whichever
// of them looks first.
func (c *Catalogue) AddCRDs(step, from string, objects ...*unstructured.Unstructured) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range objects {
		if o.GroupVersionKind().GroupKind() != kubefields.CRDKind {
			continue
		}
		gk := kubefields.CRDKindOf(o)
		if old, ok := c.kinds[gk]; !ok || step <= old.Step {
			c.kinds[gk] = PendingCRD{CRD: o, Step: step, From: from}
		}
	}
}

// AddObjects notes that the step makes these objects, and no others. The references have
// the namespaces that they get.
func (c *Catalogue) AddObjects(step string, refs []Ref, objects []*unstructured.Unstructured) {
	made := new(Makings)
	for i, o := range objects {
		made.Add(refs[i], o)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made[step] = made
}

// MayMake is [engine.Maker] for a step whose objects are noted when they are known.
func (c *Catalogue) MayMake(step, thing string, done bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for gk, pending := range c.kinds {
		if !done && pending.Step == step && kindThing(gk) == thing {
			return true
		}
	}
	if made := c.made[step]; made != nil {
		return made.May(thing, done)
	}
	return !done
}

// AddNamespace notes that the step makes the namespace if it is absent.
func (c *Catalogue) AddNamespace(step, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.namespaces[name]; !ok || step < old {
		c.namespaces[name] = step
	}
}

// Kind returns the CustomResourceDefinition of a kind that is to come.
func (c *Catalogue) Kind(gk schema.GroupKind) (PendingCRD, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pending, ok := c.kinds[gk]
	return pending, ok
}

// Kinds lists, sorted, the kinds of an API group that are to come.
func (c *Catalogue) Kinds(group string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var kinds []string
	for gk := range c.kinds {
		if gk.Group == group {
			kinds = append(kinds, gk.Kind)
		}
	}
	slices.SortFunc(kinds, strings.Compare)
	return kinds
}

// Namespace returns the step that makes the namespace; "" if there is none.
func (c *Catalogue) Namespace(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.namespaces[name]
}

// Namespaced reports whether objects of the kind live in namespaces.
func (c PendingCRD) Namespaced() bool {
	scope, _, _ := unstructured.NestedString(c.CRD.Object, "spec", "scope")
	return scope != "Cluster"
}
