package supervisor

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	toolswatch "k8s.io/client-go/tools/watch"

	"k8s.io/client-go/tools/cache"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/ztplan/ztplan/cmd/ztlab/netproxy"
	"github.com/ztplan/ztplan/cmd/ztlab/storage"
)

// rootCA is the ConfigMap that every namespace gets from the controller
// manager; pods verify the API server with it.
const rootCA = "kube-root-ca.crt"

// waitReady returns when a user may start: every part of the control plane
// answers, the node is Ready, and a pod could be created in the namespace
// "default".
func (l *Lab) waitReady(ctx context.Context, d *netproxy.Directory) error {
	if err := storage.EnsureClass(ctx, l.api); err != nil {
		return err
	}
	if err := l.plane.WaitReady(ctx); err != nil {
		return err
	}
	if !cache.WaitForCacheSync(ctx.Done(), d.Synced) {
		return fmt.Errorf("lab network: services and endpoints cannot be listed: %w", ctx.Err())
	}
	if l.node != nil {
		if err := l.waitNode(ctx); err != nil {
			return err
		}
	}
	return l.waitDefaults(ctx)
}

// waitNode returns when the node reports that it is Ready.
func (l *Lab) waitNode(ctx context.Context) error {
	nodes := l.api.CoreV1().Nodes()
	one := fields.OneTermEqualSelector("metadata.name", NodeName).String()
	_, err := toolswatch.UntilWithSync(ctx, cache.NewListWatchFromClient(
		l.api.CoreV1().RESTClient(), "nodes", "", fields.ParseSelectorOrDie(one)), &corev1.Node{}, nil,
		func(e watch.Event) (bool, error) {
			node, ok := e.Object.(*corev1.Node)
			return ok && nodeReady(node), nil
		})
	if err != nil {
		_, getErr := nodes.Get(ctx, NodeName, metav1.GetOptions{})
		return fmt.Errorf("node %s is not Ready (%w, %v); see the supervisor's log", NodeName, err, getErr)
	}
	return nil
}

func nodeReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// waitDefaults returns when the controller manager has made the objects that a pod in the
// namespace "default" needs.
func (l *Lab) waitDefaults(ctx context.Context) error {
	var missing error
	err := wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		_, err := l.api.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		if err == nil {
			_, err = l.api.CoreV1().ConfigMaps(metav1.NamespaceDefault).Get(ctx, rootCA, metav1.GetOptions{})
		}
		if apierrors.IsNotFound(err) {
			missing = err
			return false, nil
		}
		return err == nil, err
	})
	switch {
	case err == nil:
		return nil
	case missing != nil && ctx.Err() != nil:
		return fmt.Errorf("namespace default: %w: %w; see the controller manager's log %s",
			missing, ctx.Err(), l.dir.Log("kube-controller-manager"))
	}
	return fmt.Errorf("namespace default: %w", err)
}
