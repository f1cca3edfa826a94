package certmanager

import (
	"context"
	"errors"
	"fmt"

	shared "github.com/cert-manager/cert-manager/pkg/apis/config/shared/v1alpha1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// A lock is a Lease that one instance holds at a time.
type lock struct {
	election shared.LeaderElectionConfig
	name     string
	identity string
	client   kubernetes.Interface
	recorder resourcelock.EventRecorder
}

// resource is the Lease as client-go's leader election sees it.
func (l lock) resource() (resourcelock.Interface, error) {
	return resourcelock.New(resourcelock.LeasesResourceLock, l.election.Namespace, l.name,
		l.client.CoreV1(), l.client.CoordinationV1(),
		resourcelock.ResourceLockConfig{Identity: l.identity, EventRecorder: l.recorder})
}

// lead runs do while the lease is held, and returns when it has ended. Losing
// the lease is an error: the container is restarted, as upstream's.
func (l lock) lead(ctx context.Context, do func(context.Context) error) error {
	if !*l.election.Enabled {
		return do(ctx)
	}
	resource, err := l.resource()
	if err != nil {
		return fmt.Errorf("lease %s/%s: %w", l.election.Namespace, l.name, err)
	}
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	result := make(chan error, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            resource,
		Name:            l.name,
		LeaseDuration:   l.election.LeaseDuration.Duration.Duration,
		RenewDeadline:   l.election.RenewDeadline.Duration.Duration,
		RetryPeriod:     l.election.RetryPeriod.Duration.Duration,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) {
				result <- do(ctx)
				cancel()
			},
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return fmt.Errorf("leader election: %w", err)
	}
	elector.Run(ctx)
	if outer.Err() != nil {
		return nil
	}
	select {
	case err := <-result:
		if err != nil {
			return err
		}
	default:
	}
	return errors.New("the lease was lost")
}
