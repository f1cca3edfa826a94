package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/ztplan/ztplan/cmd/ztlab/controlplane"
)

// restartTimeout bounds how long a restarted container may take until it
// listens again.
const restartTimeout = 30 * time.Second

// restart stops a part in order, starts it again, and returns when it listens
// where it listened before.
func (l *Lab) restart(ctx context.Context, name string) error {
	node, err := l.running()
	if err != nil {
		return err
	}
	err = l.plane.Restart(ctx, name)
	if !errors.Is(err, controlplane.ErrUnknownPart) || node == nil {
		return err
	}
	before := selected(node.Containers(), name)
	if err := node.Restart(ctx, name); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, restartTimeout)
	defer cancel()
	var waiting string
	err = wait.PollUntilContextCancel(ctx, 10*time.Millisecond, true, func(context.Context) (bool, error) {
		waiting = notBack(before, selected(node.Containers(), name))
		return waiting == "", nil
	})
	if err != nil {
		return fmt.Errorf("%s was restarted and does not listen again; see: kubectl logs", waiting)
	}
	return nil
}

// selected are the containers that a name selects, as the node does, by
// "namespace/pod/container".
func selected(containers []Container, name string) map[string]Container {
	found := make(map[string]Container)
	for _, c := range containers {
		pod := c.Namespace + "/" + c.Pod
		key := pod + "/" + c.Name
		if !c.Completed && (name == c.Component || name == c.Pod || name == pod || name == key) {
			found[key] = c
		}
	}
	return found
}

// notBack names a container whose process is still the old one, or which does
// not listen although it did. A container that is gone or ends with its pod is not
// waited for.
func notBack(before, now map[string]Container) string {
	for key, old := range before {
		c, ok := now[key]
		if !ok || c.Ending || old.PID == 0 {
			continue
		}
		if c.PID == 0 || c.PID == old.PID || len(c.Addresses) < len(old.Addresses) {
			return key
		}
	}
	return ""
}
