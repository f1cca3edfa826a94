package kubekit

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/ztplan/ztplan/engine"
)

// blindDelay is how long AwaitChange waits for an object that it cannot watch.
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
	if w.Selector == "" && w.Ref.Name != "" {
		options.FieldSelector = "metadata.name=" + w.Ref.Name
	}
	events, err := resource.Watch(ctx, options)
	if err != nil {
		_ = engine.Pause(ctx, blindDelay) // a watch that is refused must not become a busy loop
		return Classify(err)
	}
	defer events.Stop()
	for {
		select {
		case e, ok := <-events.ResultChan():
			if ok && e.Type == watch.Bookmark {
				continue
			}
			return nil // changed, ended, or too old
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
