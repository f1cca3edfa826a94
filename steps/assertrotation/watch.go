package assertrotation

import (
	"context"
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

// A change is the new state of one of the watched objects, or an error.
type change struct {
	certificate *certificate
	request     *request
	secret      *bundle
	readAt      time.Time // when the read began that brought the Secret; zero if a watch did
	err         error     // the watch cannot go on

	// trouble is why the watch of a resource broke; it is taken up again. A
	// change with the resource alone says that it is.
	trouble  error
	resource string
}

// troubles are those of the watches that have not been heard of since.
type troubles map[string]error

// take takes a change in and reports whether that is all there is to it.
func (t troubles) take(c change) bool {
	if c.trouble != nil {
		t[c.resource] = c.trouble
		return true
	}
	delete(t, c.resource)
	return c == change{resource: c.resource}
}

// String names the troubles, "" if there are none.
func (t troubles) String() string {
	var parts []string
	for _, resource := range slices.Sorted(maps.Keys(t)) {
		parts = append(parts, t[resource].Error())
	}
	return strings.Join(parts, "; ")
}

// watch follows a Certificate, its CertificateRequests and its Secret until ctx
// ends. The first changes are the present states. Lost connections are taken
// up again; what may not be read at all is reported as an error. The goroutines
// count in wg.
func watch(ctx context.Context, wg *engine.Group, client dynamic.Interface, ref Ref, secretName string) chan change {
	changes := make(chan change)
	send := func(c change) {
		select {
		case changes <- c:
		case <-ctx.Done():
		}
	}
	follow := func(resource schema.GroupVersionResource, name string, handle func(*unstructured.Unstructured) (change, bool)) {
		tell := func(err error) {
			c := change{resource: resource.Resource}
			if err != nil {
				err = fmt.Errorf("watching %s in namespace %s: %w", resource.Resource, ref.Namespace, kubekit.Classify(err))
				c.trouble = err
				if isPermanent(err) {
					c = change{err: err}
				}
			}
			send(c)
		}
		informer := newInformer(client, client.Resource(resource).Namespace(ref.Namespace), name, tell)
		seen := func(obj any) {
			u, ok := obj.(*unstructured.Unstructured)
			if !ok || name != "" && u.GetName() != name {
				return
			}
			var c change
			err := engine.Try(func() error { c, ok = handle(u); return nil })
			if err != nil {
				c = change{err: err} // the goroutine is the informer's
			}
			if ok {
				c.resource = resource.Resource
				send(c)
			}
		}
		// Neither call fails before the informer runs.
		_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    seen,
			UpdateFunc: func(_, obj any) { seen(obj) },
		})
		_ = informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { tell(err) })
		wg.Go(func() { informer.RunWithContext(ctx) })
	}
	follow(certificates, ref.Name, func(u *unstructured.Unstructured) (change, bool) {
		c, err := decode[certificate](u)
		return change{certificate: c, err: engine.Permanent(err)}, true
	})
	follow(secrets, secretName, func(u *unstructured.Unstructured) (change, bool) {
		b, err := decodeBundle(u)
		return change{secret: b}, err == nil // else it is not filled yet
	})
	follow(requests, "", func(u *unstructured.Unstructured) (change, bool) {
		r, err := decode[request](u)
		return change{request: r, err: engine.Permanent(err)}, u.GetAnnotations()[annotationCertificate] == ref.Name
	})
	return changes
}
