package certwatch

import (
	"context"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kubewatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"

	"github.com/ztplan/ztplan/engine"
)

// errWatchClosed is the trouble of a watch that ends. API servers end one after
// some minutes, and informers open the next and report nothing; a connection that
// is cut ends a watch in the same way.
var errWatchClosed = errors.New("the connection was closed")

// newInformer returns an informer for the objects of one resource in a namespace
// whose name is name, or for all of them if that is "". Unlike an informer of
// client-go it reports each trouble of its watch: one that could not be opened or
// was closed, and nil when it delivers again.
func newInformer(client dynamic.Interface, resource dynamic.ResourceInterface, name string, report func(error)) cache.SharedIndexInformer {
	only := func(o *metav1.ListOptions) {
		if name != "" {
			o.FieldSelector = metav1.ObjectNameField + "=" + name
		}
	}
	return cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			only(&o)
			return resource.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (kubewatch.Interface, error) {
			only(&o)
			w, err := resource.Watch(ctx, o)
			if err != nil {
				report(err)
				return nil, err
			}
			return reporting(ctx, w, report), nil
		},
	}, client), &unstructured.Unstructured{}, 0, nil)
}

// reporting passes a watch's events on and reports when it is closed, unless ctx is
// over or the informer closes it itself.
func reporting(ctx context.Context, w kubewatch.Interface, report func(error)) kubewatch.Interface {
	events := make(chan kubewatch.Event)
	out := kubewatch.NewProxyWatcher(events)
	pass := func() {
		silent := true
		for {
			select {
			case e, open := <-w.ResultChan():
				if !open {
					if ctx.Err() == nil && !out.Stopping() {
						report(errWatchClosed)
					}
					return
				}
				if silent {
					silent = false
					report(nil)
				}
				select {
				case events <- e:
				case <-out.StopChan():
					return
				}
			case <-out.StopChan():
				return
			}
		}
	}
	go func() {
		defer close(events)
		defer w.Stop()
		if err := engine.Try(func() error { pass(); return nil }); err != nil {
			report(err)
		}
	}()
	return out
}
