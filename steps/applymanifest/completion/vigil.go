package completion

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// A Vigil watches an object that a step has made, so that its end is seen even
// if the cluster removes it at once.
type Vigil struct {
	cancel   context.CancelFunc
	watching engine.Group
	over     chan struct{} // closed when the object has ended or is gone
	last     *unstructured.Unstructured
}

// Watch watches an object that was just made until it has ended or is gone, or the vigil
// is closed. The end of ctx does not end it.
func Watch(ctx context.Context, resource dynamic.ResourceInterface, made *unstructured.Unstructured) *Vigil {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	v := &Vigil{cancel: cancel, over: make(chan struct{}), last: made}
	v.watching.Go(func() {
		defer close(v.over)
		for ctx.Err() == nil {
			events, err := resource.Watch(ctx, metav1.ListOptions{
				FieldSelector: "metadata.name=" + made.GetName(), ResourceVersion: v.last.GetResourceVersion(),
			})
			if err != nil {
				return // the looks at the object have to do
			}
			if v.follow(events) || engine.Pause(ctx, time.Second) != nil {
				return
			}
		}
	})
	return v
}

// Over is closed when the object has ended or is gone.
func (v *Vigil) Over() <-chan struct{} { return v.over }

// Last returns the object as it was seen last. It may be called once the vigil is over.
func (v *Vigil) Last() *unstructured.Unstructured { return v.last }

// Close ends the watch.
func (v *Vigil) Close() error {
	v.cancel()
	v.watching.Wait()
	return nil
}

// follow returns true when there is nothing more to see.
func (v *Vigil) follow(events watch.Interface) bool {
	defer events.Stop()
	for e := range events.ResultChan() {
		obj, ok := e.Object.(*unstructured.Unstructured)
		if e.Type == watch.Error || !ok || obj.GetUID() != v.last.GetUID() {
			return true
		}
		v.last = obj
		if end := kubestatus.Ended(obj); end.Done || end.Failed || e.Type == watch.Deleted {
			return true
		}
	}
	return false
}
