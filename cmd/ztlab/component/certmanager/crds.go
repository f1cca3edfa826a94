package certmanager

import (
	"context"
	"fmt"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// The chart creates the CRDs and the Deployments at once. A container image
// takes seconds to arrive and finds the resources served; a component is there
// first. A watch that starts too early is refused, with 404 or, while the API
// server's cache for a new resource fills, with 429 and the advice to come back
// in a second: time that nothing else needs.
const (
	servedRetry = 10 * time.Millisecond
	servedWait  = 5 * time.Second
)

// awaitResources waits until some of cert-manager's own resources can be
// watched. It gives up after five seconds, and then the component behaves as
// upstream's without CRDs.
func awaitResources(ctx context.Context, config *rest.Config, resources ...string) error {
	// A client of its own, without client-side limits and without retries.
	config = rest.CopyConfig(config)
	config.QPS, config.Burst, config.RateLimiter = -1, -1, nil
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("cert-manager's resources: %w", err)
	}
	waiting, cancel := context.WithTimeout(ctx, servedWait)
	defer cancel()
	group, waiting := errgroup.WithContext(waiting)
	for _, resource := range resources {
		group.Go(func() error { return awaitResource(waiting, client.RESTClient(), resource) })
	}
	if err := group.Wait(); err != nil {
		logf.FromContext(ctx).Error(err, "cert-manager's resources cannot be watched; going on without them")
	}
	return nil
}

// awaitResource tries to watch a resource until that works or ctx ends.
func awaitResource(ctx context.Context, client rest.Interface, resource string) error {
	for {
		stream, err := client.Get().AbsPath("/apis", cmapi.SchemeGroupVersion.String(), resource).
			Param("watch", "true").Param("resourceVersion", "0").Param("timeoutSeconds", "1").
			MaxRetries(0).Stream(ctx)
		if err == nil {
			return stream.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", resource, err)
		case <-time.After(servedRetry):
		}
	}
}
