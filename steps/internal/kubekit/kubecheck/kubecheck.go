// Package kubecheck checks, before objects are made, that their dependencies are in the
// cluster.
package kubecheck

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
)

// DefaultClass checks that there is a default StorageClass if one of the objects claims
// a volume without naming a class.
func DefaultClass(ctx context.Context, env *engine.Env, objects []kubeaccess.Subject) engine.Verdict {
	var claims []string
	for _, o := range objects {
		claims = append(claims, claimsWithoutClass(o)...)
	}
	if len(claims) == 0 {
		return engine.Verdict{}
	}
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return engine.NotChecked(err)
	}
	list, err := cluster.Client().StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return engine.NotChecked(kubekit.Classify(err))
	}
	for _, c := range list.Items {
		if isDefault(c) {
			return engine.Verdict{Level: engine.LevelOK, Detail: c.Name + " is the default"}
		}
	}
	return engine.Verdict{
		Level:  engine.LevelFail,
		Detail: fmt.Sprintf("no StorageClass is the default, and %s names none: its volume is never bound", strings.Join(claims, ", ")),
		Next:   `kubectl annotate storageclass NAME storageclass.kubernetes.io/is-default-class=true, or name a class in the values`,
	}
}

func isDefault(c storagev1.StorageClass) bool {
	return c.Annotations["storageclass.kubernetes.io/is-default-class"] == "true" || c.Annotations["storageclass.beta.kubernetes.io/is-default-class"] == "true"
}

// claimsWithoutClass names the volume claims that an object makes for the default class.
func claimsWithoutClass(o kubeaccess.Subject) []string {
	claims := []map[string]any{o.Object.Object}
	switch o.Ref.Kind {
	case "PersistentVolumeClaim":
	case "StatefulSet":
		claims = nil
		list, _, _ := unstructured.NestedSlice(o.Object.Object, "spec", "volumeClaimTemplates")
		for _, item := range list {
			if m, ok := item.(map[string]any); ok {
				claims = append(claims, m)
			}
		}
	default:
		return nil
	}
	var names []string
	for _, c := range claims {
		class, named, _ := unstructured.NestedString(c, "spec", "storageClassName")
		if !named && class == "" {
			name, _, _ := unstructured.NestedString(c, "metadata", "name")
			names = append(names, "claim "+name+" of "+o.Ref.String())
		}
	}
	return names
}

// NodePorts checks that the node ports that the objects name are free, or theirs.
func NodePorts(ctx context.Context, env *engine.Env, objects []kubeaccess.Subject) engine.Verdict {
	wanted := make(map[int64]string) // port to Service
	for _, o := range objects {
		if o.Ref.Kind != "Service" || o.Ref.GVK().Group != "" {
			continue
		}
		ports, _, _ := unstructured.NestedSlice(o.Object.Object, "spec", "ports")
		for _, p := range ports {
			m, _ := p.(map[string]any)
			if port, ok := number(m["nodePort"]); ok && port > 0 {
				wanted[port] = o.Ref.Namespace + "/" + o.Ref.Name
			}
		}
	}
	if len(wanted) == 0 {
		return engine.Verdict{}
	}
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return engine.NotChecked(err)
	}
	list, err := cluster.Client().CoreV1().Services("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return engine.NotChecked(kubekit.Classify(err))
	}
	var taken []string
	for _, s := range list.Items {
		taken = append(taken, takenBy(s, wanted)...)
	}
	slices.Sort(taken)
	if len(taken) > 0 {
		return engine.Verdict{Level: engine.LevelFail, Detail: strings.Join(taken, "; "), Next: "choose other node ports in the plan, or change the other Service"}
	}
	return engine.Verdict{Level: engine.LevelOK, Detail: "free, or ours: " + portsOf(wanted)}
}

func takenBy(s corev1.Service, wanted map[int64]string) []string {
	var taken []string
	for _, p := range s.Spec.Ports {
		by := s.Namespace + "/" + s.Name
		if service, is := wanted[int64(p.NodePort)]; is && service != by {
			taken = append(taken, fmt.Sprintf("port %d, which Service %s wants, is that of Service %s", p.NodePort, service, by))
		}
	}
	return taken
}

func portsOf(wanted map[int64]string) string {
	var ports []string
	for p := range wanted {
		ports = append(ports, fmt.Sprint(p))
	}
	slices.Sort(ports)
	return strings.Join(ports, ", ")
}

func number(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case float64:
		return int64(n), true
	}
	return 0, false
}
