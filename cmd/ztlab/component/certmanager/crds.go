package certmanager

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	logf "github.com/cert-manager/cert-manager/pkg/logs"
)

// The chart creates the CRDs and the Deployments at once. A container image
// takes seconds to arrive and finds the resources served; a component is there
// before them, and a watch that starts too early is repeated a second later.
const (
	servedRetry = 10 * time.Millisecond
	servedWait  = 5 * time.Second
)

// awaitResources waits until cert-manager's own resources are served. It gives
// up after five seconds, and then what upstream does without CRDs happens.
func awaitResources(ctx context.Context, config *rest.Config) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, servedWait)
	defer cancel()
	for !served(client) {
		select {
		case <-ctx.Done():
			logf.FromContext(ctx).Info("cert-manager's resources are not served; going on without them")
			return nil
		case <-time.After(servedRetry):
		}
	}
	return nil
}

// served reports whether the resources that controllers watch exist.
func served(client discovery.DiscoveryInterface) bool {
	list, err := client.ServerResourcesForGroupVersion(cmapi.SchemeGroupVersion.String())
	if err != nil {
		return false
	}
	names := sets.New[string]()
	for _, r := range list.APIResources {
		names.Insert(r.Name)
	}
	return names.HasAll("certificates", "certificaterequests", "issuers", "clusterissuers")
}
