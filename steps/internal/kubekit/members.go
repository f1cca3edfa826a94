package kubekit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
	"github.com/ztplan/ztplan/steps/internal/kubekit/portforward"
)

// Members are the pods of a server that runs in several pods, each with a state of
// its own.
type Members struct {
	Pods []Member // vault-2 comes before vault-10
	Want int      // replicas of their StatefulSet; without one, the number of pods

	// Ordered pods are made one after the other: the next one when all before it are ready.
	Ordered bool
	// Claims are the names of the volume claims of the pods of the StatefulSet that do not
	// exist, whether or not the claims do.
	Claims []string
	// Subdomain is the headless Service that gives each pod a name (POD.SUBDOMAIN), ""
	// without one.
	Subdomain string
}

// activeLabels mark the active one of several servers: those of Vault and OpenBao
// (service_registration "kubernetes").
var activeLabels = []string{"vault-active", "openbao-active"}

// Active reports whether the labels of a pod mark its server as the active one.
func Active(labels map[string]string) bool {
	return slices.ContainsFunc(activeLabels, func(l string) bool { return labels[l] == "true" })
}

// A Member is one pod. Dial opens a connection to it through the API server, ready or
// not; see [Cluster.DialService].
type Member struct {
	Name, UID string
	IP        string
	Port      int // of the pod
	Why       string
	Active    bool // the server says so
	Outdated  bool // see [Cluster.Outdated]
	Dial      func(context.Context) (net.Conn, error)
}

// Runs reports whether every container of the pod has started; Why is the reason if
// not.
func (m Member) Runs() bool { return m.Why == "" }

// Members lists the pods that a Service selects, ready or not, and how many there
// should be. A Service that selects the active one only leads to all of them. A Service
// without a selector has none.
func (c *Cluster) Members(ctx context.Context, namespace, service string, port int) (Members, error) {
	svc, sp, err := c.servicePort(ctx, namespace, service, port, func() error { return nil })
	if err != nil {
		return Members{}, fmt.Errorf("service %s/%s port %d: %w", namespace, service, port, err)
	}
	selector := maps.Clone(svc.Spec.Selector)
	maps.DeleteFunc(selector, func(key, _ string) bool { return slices.Contains(activeLabels, key) })
	if len(selector) == 0 {
		return Members{}, nil
	}
	list, err := c.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(selector).String()})
	if err != nil {
		return Members{}, Classify(err)
	}
	out := Members{Want: len(list.Items)}
	for i := range list.Items {
		out.Pods = append(out.Pods, c.member(&list.Items[i], sp))
	}
	slices.SortFunc(out.Pods, func(a, b Member) int {
		return cmp.Or(cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	err = c.ofStatefulSet(ctx, list.Items, &out)
	return out, err
}

func (c *Cluster) member(p *corev1.Pod, sp corev1.ServicePort) Member {
	m := Member{Name: p.Name, UID: string(p.UID), IP: p.Status.PodIP, Port: targetPort(p, sp), Active: Active(p.Labels)}
	if runs, why := kubestatus.PodRuns(p); !runs {
		m.Why = kubestatus.OneLine(why)
	} else if m.Port == 0 {
		m.Why = "has no port named " + sp.TargetPort.StrVal
	}
	b := backend{pod: portforward.Pod{Namespace: p.Namespace, Name: p.Name, UID: string(p.UID)}, node: p.Spec.NodeName, port: m.Port}
	m.Dial = func(ctx context.Context) (net.Conn, error) { return c.dial(ctx, b) }
	return m
}

// ofStatefulSet completes m with the StatefulSet of the pods.
func (c *Cluster) ofStatefulSet(ctx context.Context, pods []corev1.Pod, m *Members) error {
	for _, p := range pods {
		owner := metav1.GetControllerOf(&p)
		if owner == nil || owner.Kind != "StatefulSet" {
			continue
		}
		set, err := c.client.AppsV1().StatefulSets(p.Namespace).Get(ctx, owner.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil // its pods go next
		}
		if err != nil {
			return Classify(err)
		}
		m.Want = int(ptr.Deref(set.Spec.Replicas, 1))
		m.mark(pods, set)
		m.Ordered = set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement
		m.Subdomain = set.Spec.ServiceName
		m.Claims = claimsOfMissing(pods, set)
		return nil
	}
	return nil
}

// claimsOfMissing names the claims as the StatefulSet controller does: TEMPLATE-POD.
func claimsOfMissing(pods []corev1.Pod, set *appsv1.StatefulSet) []string {
	first := 0
	if set.Spec.Ordinals != nil {
		first = int(set.Spec.Ordinals.Start)
	}
	var names []string
	for i := range int(ptr.Deref(set.Spec.Replicas, 1)) {
		pod := fmt.Sprintf("%s-%d", set.Name, first+i)
		if slices.ContainsFunc(pods, func(p corev1.Pod) bool { return p.Name == pod }) {
			continue
		}
		for _, t := range set.Spec.VolumeClaimTemplates {
			names = append(names, t.Name+"-"+pod)
		}
	}
	return names
}

// VolumeClaims returns those of the PersistentVolumeClaims that exist.
func (c *Cluster) VolumeClaims(ctx context.Context, namespace string, names []string) ([]string, error) {
	var found []string
	for _, name := range names {
		_, err := c.client.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case err == nil:
			found = append(found, name)
		case !apierrors.IsNotFound(err):
			return nil, fmt.Errorf("PersistentVolumeClaim %s/%s: %w", namespace, name, Classify(err))
		}
	}
	return found, nil
}

// mark notes the pods that an upgrade of the StatefulSet has not reached.
func (m *Members) mark(pods []corev1.Pod, set *appsv1.StatefulSet) {
	if set.Spec.UpdateStrategy.Type != appsv1.OnDeleteStatefulSetStrategyType || set.Status.ObservedGeneration != set.Generation {
		return
	}
	for i := range m.Pods {
		at := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.Name == m.Pods[i].Name })
		have := pods[at].Labels[kubestatus.RevisionLabel]
		m.Pods[i].Outdated = have != "" && set.Status.UpdateRevision != "" && have != set.Status.UpdateRevision
	}
}
