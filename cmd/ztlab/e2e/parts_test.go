package e2e_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
)

// nodePort creates a NodePort Service without endpoints, for this test.
func nodePort(t *testing.T, l *lab, number int32) {
	t.Helper()
	services := l.api.CoreV1().Services("default")
	svc, err := services.Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "open-"},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, Selector: map[string]string{"app": "nobody"},
			Ports: []corev1.ServicePort{{Port: 443, TargetPort: intstr.FromInt32(8443), NodePort: number}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := services.Delete(context.WithoutCancel(t.Context()), svc.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// accepts reports whether a port of the lab's node can be connected to.
func (l *lab) accepts(t *testing.T, port string) bool {
	t.Helper()
	conn, err := net.Dial("tcp", net.JoinHostPort(l.status(t).Address, port))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func TestNodePortThatIsTakenIsAProblem(t *testing.T) {
	l := shared(t)
	taken, err := net.Listen("tcp", net.JoinHostPort(l.status(t).Address, "31234"))
	if err != nil {
		t.Skipf("cannot get in the way: %v", err)
	}
	nodePort(t, l, 31234)
	waitFor(t, "status names the problem", func() bool { return len(l.status(t).Problems) > 0 })
	s := l.status(t)
	if s.Ready || !strings.Contains(s.Message, "node port 31234 of service default/open-") {
		t.Errorf("ready %t, message %q, want not ready and the node port named", s.Ready, s.Message)
	}
	if !strings.Contains(l.log("supervisor"), "node port 31234") {
		t.Error("the supervisor's log says nothing about it")
	}
	taken.Close()
	waitFor(t, "the port is opened once it is free", func() bool { return l.status(t).Ready })
}

func TestControlPlaneComesBack(t *testing.T) {
	l := up(t)
	for _, name := range []string{"etcd", "apiserver", "controller-manager", "scheduler"} {
		t.Run(name, func(t *testing.T) {
			full := name
			if name != "etcd" {
				full = "kube-" + name
			}
			for _, command := range []string{"kill", "restart"} {
				before := l.component(t, full).PID
				if _, err := ztlab(t, command, name, "--lab-dir", l.dir); err != nil {
					t.Fatal(err)
				}
				waitFor(t, full+" is back", func() bool {
					c := l.component(t, full)
					return c.State == labstate.StateReady && c.PID != before
				})
			}
		})
	}
	waitFor(t, "the lab is ready", func() bool { return l.status(t).Ready })
}

func TestKillForHoldsDown(t *testing.T) {
	l := shared(t)
	if _, err := ztlab(t, "kill", "scheduler", "--for", "1h", "--lab-dir", l.dir); err != nil {
		t.Fatal(err)
	}
	s := l.status(t)
	if c := l.component(t, "kube-scheduler"); s.Ready || c.State != labstate.StateStopped {
		t.Errorf("ready %t, scheduler %q, want it stopped", s.Ready, c.State)
	}
	if _, err := ztlab(t, "restart", "scheduler", "--lab-dir", l.dir); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "restart brings it back", func() bool { return l.status(t).Ready })
}

func TestUnknownPart(t *testing.T) {
	l := shared(t)
	_, err := ztlab(t, "restart", "nonsense", "--lab-dir", l.dir)
	if err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("restart nonsense: %v, want an error that names it", err)
	}
}

// The image of this StatefulSet is known to no lab.
func TestClaimSurvivesThePod(t *testing.T) {
	l := shared(t)
	labels := map[string]string{"app": "box"}
	_, err := l.api.AppsV1().StatefulSets("default").Create(t.Context(), &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "box"},
		Spec: appsv1.StatefulSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "box", Image: "example.org/box:1",
					VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
				}}},
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: "data"},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{
						corev1.ResourceStorage: resource.MustParse("1Gi"),
					}},
				},
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	uid := l.waitPod(t, "default", "box-0", "")
	if got := l.status(t).Simulated; !slices.Contains(got, "example.org/box:1") {
		t.Errorf("simulated = %q, want the unknown image in it", got)
	}
	volume := l.volume(t, "default", "data-box-0")
	if err := os.WriteFile(filepath.Join(volume, "kept"), []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.api.CoreV1().Pods("default").Delete(t.Context(), "box-0", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	l.waitPod(t, "default", "box-0", uid)
	if again := l.volume(t, "default", "data-box-0"); again != volume {
		t.Errorf("the claim moved from %s to %s", volume, again)
	}
	if _, err := os.Stat(filepath.Join(volume, "kept")); err != nil {
		t.Errorf("after the pod was replaced: %v", err)
	}

	if err := l.api.AppsV1().StatefulSets("default").Delete(t.Context(), "box", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := l.api.CoreV1().PersistentVolumeClaims("default").Delete(t.Context(), "data-box-0", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the directory goes with the claim", func() bool {
		_, err := os.Stat(volume)
		return os.IsNotExist(err)
	})
}

// A pod that is deleted serves while its preStop hook runs, as an endpoint
// that is terminating; its replacement does not wait for that.
func TestDeletedPodServesOn(t *testing.T) {
	l := shared(t)
	labels := map[string]string{"app": "drain"}
	selector := metav1.ListOptions{LabelSelector: "app=drain"}
	deployments, services, pods := l.api.AppsV1().Deployments("default"), l.api.CoreV1().Services("default"), l.api.CoreV1().Pods("default")
	_, err := deployments.Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "drain"},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{TerminationGracePeriodSeconds: ptr.To[int64](3600), Containers: []corev1.Container{{
					Name: "web", Image: "nginx:1", Ports: []corev1.ContainerPort{{ContainerPort: 80}},
					Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"sh", "-c", "sleep 3600"}}}},
				}}},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer deployments.Delete(context.WithoutCancel(t.Context()), "drain", metav1.DeleteOptions{}) // the lab ends
	if _, err := services.Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "drain"},
		Spec:       corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	defer services.Delete(context.WithoutCancel(t.Context()), "drain", metav1.DeleteOptions{}) // the lab ends

	// endpoint returns the state of a pod's endpoint.
	endpoint := func(pod string) (found discoveryv1.EndpointConditions) {
		list, err := l.api.DiscoveryV1().EndpointSlices("default").List(t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=drain"})
		if err != nil {
			t.Fatal(err)
		}
		for _, slice := range list.Items {
			for _, e := range slice.Endpoints {
				if e.TargetRef != nil && e.TargetRef.Name == pod {
					found = e.Conditions
				}
			}
		}
		return found
	}
	is := func(b *bool) bool { return b != nil && *b }
	var old string
	waitFor(t, "the pod serves", func() bool {
		list, err := pods.List(t.Context(), selector)
		if err != nil || len(list.Items) != 1 {
			return false
		}
		old = list.Items[0].Name
		return is(endpoint(old).Ready)
	})
	if err := pods.Delete(t.Context(), old, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "its endpoint is terminating and serving, not ready", func() bool {
		c := endpoint(old)
		return is(c.Terminating) && is(c.Serving) && !is(c.Ready)
	})
	waitFor(t, "the replacement is ready before the old pod is gone", func() bool {
		list, err := pods.List(t.Context(), selector)
		if err != nil {
			return false
		}
		for _, p := range list.Items {
			if p.Name != old && len(list.Items) == 2 && is(endpoint(p.Name).Ready) {
				return true
			}
		}
		return false
	})
	if c := endpoint(old); !is(c.Terminating) || !is(c.Serving) {
		t.Errorf("beside its replacement: %+v", c)
	}
	if err := pods.Delete(t.Context(), old, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](1)}); err != nil { // ends the hook
		t.Fatal(err)
	}
	waitFor(t, "the old pod is gone", func() bool {
		_, err := pods.Get(t.Context(), old, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

// waitPod returns the UID of a pod that is Ready and is not the one with UID
// other.
func (l *lab) waitPod(t *testing.T, namespace, name, other string) string {
	t.Helper()
	var uid string
	waitFor(t, "pod "+namespace+"/"+name+" is Ready", func() bool {
		pod, err := l.api.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || string(pod.UID) == other {
			return false
		}
		uid = string(pod.UID)
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				return true
			}
		}
		return false
	})
	return uid
}

// volume returns the directory behind a claim.
func (l *lab) volume(t *testing.T, namespace, name string) string {
	t.Helper()
	claim, err := l.api.CoreV1().PersistentVolumeClaims(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	volume, err := l.api.CoreV1().PersistentVolumes().Get(t.Context(), claim.Spec.VolumeName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return volume.Spec.HostPath.Path
}
