package certwatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// A Change is the new state of one of the watched objects, or an error.
type Change struct {
	Certificate *Certificate
	Request     *Request
	Secret      *Bundle
	ReadAt      time.Time // when the read began that delivered the Secret; zero if a watch did
	Err         error     // the watch cannot go on

	// trouble is why the watch of a resource broke; it is opened again. A change
	// with the resource alone is the end of the trouble.
	trouble  error
	resource string
}

// Troubles are those of the watches that have not delivered since.
type Troubles map[string]error

// Handle applies a change and reports whether it has nothing else.
func (t Troubles) Handle(c Change) bool {
	if c.trouble != nil {
		t[c.resource] = c.trouble
		return true
	}
	delete(t, c.resource)
	return c == Change{resource: c.resource}
}

// String joins the troubles, "" if there are none.
func (t Troubles) String() string {
	var parts []string
	for _, resource := range slices.Sorted(maps.Keys(t)) {
		parts = append(parts, t[resource].Error())
	}
	return strings.Join(parts, "; ")
}

// A Client renews and watches Certificates.
type Client struct {
	Kube dynamic.Interface
	Env  *engine.Env
}

// A Watch delivers the states of a Certificate, its CertificateRequests and its
// Secret.
type Watch struct {
	changes  chan Change
	reader   *reader                   // nil without Read
	resource dynamic.ResourceInterface // the Secrets
	secret   string
	now      func() time.Time
	wg       *engine.Group
}

// Changes delivers the present states at first.
func (w *Watch) Changes() <-chan Change { return w.changes }

// Watch watches a Certificate until ctx ends. Lost connections are opened again; a
// resource that may not be read is an error in a Change. The goroutines count in wg.
func (c *Client) Watch(ctx context.Context, wg *engine.Group, ref Ref, secretName string) *Watch {
	w := &Watch{
		changes: make(chan Change), wg: wg, now: c.Env.Now,
		resource: c.Kube.Resource(secrets).Namespace(ref.Namespace), secret: secretName,
	}
	c.inform(ctx, w, certificates, ref.Namespace, ref.Name, func(u *unstructured.Unstructured) (Change, bool) {
		c, err := decode[Certificate](u)
		return Change{Certificate: c, Err: engine.Permanent(err)}, true
	})
	c.inform(ctx, w, secrets, ref.Namespace, secretName, func(u *unstructured.Unstructured) (Change, bool) {
		b, err := decodeBundle(u)
		return Change{Secret: b}, err == nil // else it is not filled yet
	})
	c.inform(ctx, w, requests, ref.Namespace, "", func(u *unstructured.Unstructured) (Change, bool) {
		r, err := decode[Request](u)
		return Change{Request: r, Err: engine.Permanent(err)}, u.GetAnnotations()[annotationCertificate] == ref.Name
	})
	return w
}

func (w *Watch) send(ctx context.Context, c Change) {
	select {
	case w.changes <- c:
	case <-ctx.Done():
	}
}

// inform delivers the states of the objects of one resource, as handle decodes
// them: of the one with a name, or of all if that is "".
func (c *Client) inform(ctx context.Context, w *Watch, resource schema.GroupVersionResource, namespace, name string, handle func(*unstructured.Unstructured) (Change, bool)) {
	report := func(err error) {
		change := Change{resource: resource.Resource}
		if err != nil {
			err = fmt.Errorf("watching %s in namespace %s: %w", resource.Resource, namespace, kubekit.Classify(err))
			change.trouble = err
			if errors.Is(err, engine.ErrPermanent) {
				change = Change{Err: err}
			}
		}
		w.send(ctx, change)
	}
	informer := newInformer(c.Kube, c.Kube.Resource(resource).Namespace(namespace), name, report)
	deliver := func(obj any) {
		u, ok := obj.(*unstructured.Unstructured)
		if !ok || name != "" && u.GetName() != name {
			return
		}
		var change Change
		err := engine.Try(func() error { change, ok = handle(u); return nil })
		if err != nil {
			change = Change{Err: err} // the goroutine is the informer's
		}
		if ok {
			change.resource = resource.Resource
			w.send(ctx, change)
		}
	}
	// Neither call fails before the informer runs.
	_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    deliver,
		UpdateFunc: func(_, obj any) { deliver(obj) },
	})
	_ = informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { report(err) })
	w.wg.Go(func() { informer.RunWithContext(ctx) })
}
