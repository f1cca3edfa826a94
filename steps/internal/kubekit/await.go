package kubekit

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/ztplan/ztplan/engine"
)

// blindDelay is how long AwaitChange waits for an object that it cannot watch, and for a
// watch that ends without a change: it must not become a busy loop of its caller.
const blindDelay = time.Second

// A Watch selects the objects whose change is awaited: one object, or with a Selector
// all objects of the kind that it matches.
type Watch struct {
	Ref      Ref    // Name is ignored when Selector is set; "" means all
	Selector string // label selector

	// ResourceVersion is that of the object or list that was looked at: any
	// later change counts. Empty means that nothing was there: any object counts.
	ResourceVersion string
}

// AwaitChange returns when one of the watched objects has changed since it was
// looked at, when that is no longer known (nil, look again), or when ctx
// ends (its cause). Without anything to watch it returns at once. A watch
// that cannot be opened returns its error.
func (c *Cluster) AwaitChange(ctx context.Context, watches ...Watch) error {
	if len(watches) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := make(chan error, len(watches))
	for _, w := range watches {
		go func() { changed <- engine.Try(func() error { return c.awaitOne(ctx, w) }) }()
	}
	select {
	case err := <-changed:
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Until returns when done reports true or an error for the state of an object. It asks
// at once and at every change. It goes on where the object may not be watched; when ctx
// ends, its error holds the object's message.
func (c *Cluster) Until(ctx context.Context, ref Ref, done func(Status) (bool, error)) error {
	last := "not read yet"
	for {
		have, err := c.Status(ctx, ref)
		if err == nil {
			if ok, err := done(have[0]); ok || err != nil {
				return err
			}
			last = have[0].Message
			err = c.AwaitChange(ctx, have[0].Watch...)
		} else if ctx.Err() == nil {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %s: %w", ref, last, err)
		}
	}
}

func (c *Cluster) awaitOne(ctx context.Context, w Watch) error {
	resource, err := c.Resource(w.Ref.GVK(), w.Ref.Namespace)
	if IsNoKind(err) {
		return engine.Pause(ctx, blindDelay)
	}
	if err != nil {
		return err
	}
	options := metav1.ListOptions{ResourceVersion: w.ResourceVersion, LabelSelector: w.Selector}
	one := w.Selector == "" && w.Ref.Name != ""
	if one {
		options.FieldSelector = "metadata.name=" + w.Ref.Name
	}
	err = awaitEvent(ctx, resource, options, "")
	if one && w.ResourceVersion != "" && isExpired(err) {
		options.ResourceVersion = ""
		err = awaitEvent(ctx, resource, options, w.ResourceVersion)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	pause := engine.Pause(ctx, blindDelay)
	if errors.Is(err, errEnded) || isExpired(err) {
		return pause
	}
	return Classify(err)
}

// errEnded is the end of a watch without a change.
var errEnded = errors.New("the watch ended")

// isExpired reports whether the API server no longer knows the changes since a resource
// version. It forgets them after some minutes and when it is restarted, so that an object
// that has not changed for long has such a version
// (kubernetes.io/docs/reference/using-api/api-concepts, "Efficient detection of changes").
func isExpired(err error) bool { return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) }

// awaitEvent returns nil when a watch has a change. A watch without a resource version
// begins with the object as it is, which is no change if it has the version known, and is
// one if there is no object any more.
func awaitEvent(ctx context.Context, resource dynamic.ResourceInterface, options metav1.ListOptions, known string) error {
	events, err := resource.Watch(ctx, options)
	if err != nil {
		return err
	}
	defer events.Stop()
	var gone <-chan time.Time
	if known != "" {
		timer := time.NewTimer(blindDelay)
		defer timer.Stop()
		gone = timer.C
	}
	for {
		select {
		case e, ok := <-events.ResultChan():
			switch {
			case !ok:
				return errEnded
			case e.Type == watch.Error:
				return errors.Join(errEnded, apierrors.FromObject(e.Object))
			case e.Type == watch.Bookmark:
			case known != "" && versionOf(e.Object) == known:
				gone = nil
			default:
				return nil
			}
		case <-gone:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func versionOf(o runtime.Object) string {
	m, err := meta.Accessor(o)
	if err != nil {
		return ""
	}
	return m.GetResourceVersion()
}
