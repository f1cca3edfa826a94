package node

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Heartbeat, as the kubelet's defaults: a lease of 40 s renewed every 10 s.
const (
	leaseDuration = 40 * time.Second
	leaseRenewal  = leaseDuration / 4
)

// allocatable are the resources that the node offers to pods. Components are small and nothing is
// enforced, so it is enough for any chart's requests rather than the machine's
// own size: a laptop with two cores still schedules etcd three times.
var allocatable = corev1.ResourceList{
	corev1.ResourceCPU:              resource.MustParse("64"),
	corev1.ResourceMemory:           resource.MustParse("256Gi"),
	corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
	corev1.ResourcePods:             resource.MustParse("500"),
}

// capacity are the node's resources: as allocatable, but with the machine's own
// processors, by whose number servers decide how many workers they start.
func capacity() corev1.ResourceList {
	list := allocatable.DeepCopy()
	list[corev1.ResourceCPU] = *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI)
	return list
}

// register creates the Node, or takes over one that an earlier run left, and
// makes it Ready. It tries again until ctx ends.
func (a *Agent) register(ctx context.Context) error {
	return a.persist(ctx, "register node", func() error {
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{
				Name: a.conf.NodeName,
				Labels: map[string]string{
					corev1.LabelHostname:   a.conf.NodeName,
					corev1.LabelOSStable:   "linux", // the images are built for it
					corev1.LabelArchStable: runtime.GOARCH,
					"ztplan.dev/virtual":   "true",
				},
			},
			Spec: corev1.NodeSpec{PodCIDR: podNetwork.String(), PodCIDRs: []string{podNetwork.String()}},
		}
		_, err := a.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		status, err := json.Marshal(map[string]any{"status": a.nodeStatus()})
		if err != nil {
			return err
		}
		if _, err := a.client.CoreV1().Nodes().Patch(ctx, a.conf.NodeName, types.MergePatchType, status, metav1.PatchOptions{}, "status"); err != nil {
			return err
		}
		if err := a.renewLease(ctx); err != nil {
			return err
		}
		// Admission taints every new node as not ready, and a controller lifts
		// the taint some time after the status changes.
		_, err = a.client.CoreV1().Nodes().Patch(ctx, a.conf.NodeName, types.MergePatchType,
			[]byte(`{"spec":{"taints":null,"unschedulable":null}}`), metav1.PatchOptions{})
		return err
	})
}

// nodeStatus is the Node's status: healthy, always.
func (a *Agent) nodeStatus() corev1.NodeStatus {
	now := metav1.Now()
	condition := func(t corev1.NodeConditionType, s corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: t, Status: s, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	return corev1.NodeStatus{
		Capacity:    capacity(),
		Allocatable: allocatable,
		Conditions: []corev1.NodeCondition{
			condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "NotMeasured", "the node is virtual: nothing is measured"),
			condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "NotMeasured", "the node is virtual: nothing is measured"),
			condition(corev1.NodePIDPressure, corev1.ConditionFalse, "NotMeasured", "the node is virtual: nothing is measured"),
			condition(corev1.NodeReady, corev1.ConditionTrue, "AgentReady", "ztlab's node agent is ready"),
		},
		Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: a.conf.NodeAddress},
			{Type: corev1.NodeHostName, Address: a.conf.NodeName},
		},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: a.kubeletPort()}},
		NodeInfo: corev1.NodeSystemInfo{
			Architecture:            runtime.GOARCH,
			OperatingSystem:         "linux",
			OSImage:                 "ztlab virtual node on " + runtime.GOOS,
			ContainerRuntimeVersion: runtimeName + "://1",
			KubeletVersion:          kubeletVersion(),
			MachineID:               a.conf.NodeName,
			SystemUUID:              a.conf.NodeName,
		},
	}
}

// kubeletVersion is the version of the Kubernetes code that is linked in: the
// module's, as upstream's own version variable is set by upstream's build only.
func kubeletVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "k8s.io/kubernetes" {
				return m.Version
			}
		}
	}
	return "v0.0.0"
}

// heartbeat renews the lease until ctx ends. A renewal that fails is repeated
// with the next one; the lease outlives three of them.
func (a *Agent) heartbeat(ctx context.Context) {
	tick := time.NewTicker(leaseRenewal)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := a.renewLease(ctx); err != nil && ctx.Err() == nil {
				a.conf.Logf("node: heartbeat: %v", err)
			}
		}
	}
}

// renewLease writes the node's lease.
func (a *Agent) renewLease(ctx context.Context) error {
	leases := a.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	now := metav1.NowMicro()
	spec := map[string]any{"spec": map[string]any{
		"holderIdentity": a.conf.NodeName, "leaseDurationSeconds": int32(leaseDuration.Seconds()), "renewTime": now,
	}}
	patch, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	_, err = leases.Patch(ctx, a.conf.NodeName, types.MergePatchType, patch, metav1.PatchOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	seconds := int32(leaseDuration.Seconds())
	_, err = leases.Create(ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: a.conf.NodeName},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &a.conf.NodeName, LeaseDurationSeconds: &seconds, RenewTime: &now},
	}, metav1.CreateOptions{})
	return err
}

// Retries against the API server: it is on the same machine, and it may be the
// part that a fault test has just killed.
const (
	firstRetry = 20 * time.Millisecond
	lastRetry  = time.Second
)

// persist calls do until it succeeds or ctx ends. The last failure is part of
// the error.
func (a *Agent) persist(ctx context.Context, what string, do func() error) error {
	for delay := firstRetry; ; delay = min(2*delay, lastRetry) {
		err := do()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			a.conf.Logf("%s: %v", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, err)
		case <-time.After(delay):
		}
	}
}
