package node

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	resourcehelper "k8s.io/kubernetes/pkg/api/v1/resource"
	"k8s.io/kubernetes/pkg/fieldpath"
	"k8s.io/kubernetes/pkg/kubelet/envvars"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// objects reads the ConfigMaps and Secrets of one namespace. The API server is
// asked every time: a chart creates a ConfigMap milliseconds before the pod that
// needs it, and a cache could still hold yesterday's.
type objects interface {
	ConfigMap(ctx context.Context, name string) (*corev1.ConfigMap, error)
	Secret(ctx context.Context, name string) (*corev1.Secret, error)
}

// namespaced is the objects of a namespace of the API server.
type namespaced struct {
	a         *Agent
	namespace string
}

func (n namespaced) ConfigMap(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	return n.a.client.CoreV1().ConfigMaps(n.namespace).Get(ctx, name, metav1.GetOptions{})
}

func (n namespaced) Secret(ctx context.Context, name string) (*corev1.Secret, error) {
	return n.a.client.CoreV1().Secrets(n.namespace).Get(ctx, name, metav1.GetOptions{})
}

// environment returns the variables of a container in the kubelet's order of
// precedence: services, then envFrom, then env, each of which may refer to the
// ones before it.
func environment(ctx context.Context, pod *corev1.Pod, c *corev1.Container, services []*corev1.Service, from objects) (map[string]string, error) {
	env := map[string]string{}
	for _, source := range c.EnvFrom {
		if err := addAll(ctx, env, source, from); err != nil {
			return nil, err
		}
	}
	serviceEnv := map[string]string{}
	for _, v := range envvars.FromServices(services) {
		serviceEnv[v.Name] = v.Value
	}
	mapping := expansion.MappingFuncFor(env, serviceEnv)
	for _, v := range c.Env {
		value, set, err := variable(ctx, pod, c, v, mapping, from)
		if err != nil {
			return nil, fmt.Errorf("env %s: %w", v.Name, err)
		}
		if set {
			env[v.Name] = value
		}
	}
	for name, value := range serviceEnv {
		if _, own := env[name]; !own {
			env[name] = value
		}
	}
	return env, nil
}

// addAll adds every entry of a ConfigMap or Secret. Names that cannot be
// variables are left out, as the kubelet does.
func addAll(ctx context.Context, env map[string]string, source corev1.EnvFromSource, from objects) error {
	add := func(key, value string) {
		if name := source.Prefix + key; len(utilvalidation.IsEnvVarName(name)) == 0 {
			env[name] = value
		}
	}
	switch {
	case source.ConfigMapRef != nil:
		ref := source.ConfigMapRef
		m, err := from.ConfigMap(ctx, ref.Name)
		if absent(err, ref.Optional) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("envFrom: %w", err)
		}
		for k, v := range m.Data {
			add(k, v)
		}
	case source.SecretRef != nil:
		ref := source.SecretRef
		s, err := from.Secret(ctx, ref.Name)
		if absent(err, ref.Optional) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("envFrom: %w", err)
		}
		for k, v := range s.Data {
			add(k, string(v))
		}
	}
	return nil
}

// absent reports whether err is that of an optional object that does not exist.
func absent(err error, optional *bool) bool {
	return apierrors.IsNotFound(err) && optional != nil && *optional
}

// variable returns the value of one variable; set is false when it comes from
// something optional that does not exist.
func variable(ctx context.Context, pod *corev1.Pod, c *corev1.Container, v corev1.EnvVar, mapping func(string) string, from objects) (value string, set bool, err error) {
	switch src := v.ValueFrom; {
	case src == nil:
		return expansion.Expand(v.Value, mapping), true, nil
	case src.FieldRef != nil:
		value, err = podField(pod, src.FieldRef.FieldPath)
		return value, true, err
	case src.ResourceFieldRef != nil:
		ref := src.ResourceFieldRef
		name := ref.ContainerName
		if name == "" {
			name = c.Name
		}
		value, err = resourcehelper.ExtractResourceValueByContainerNameAndNodeAllocatable(ref, pod, name, allocatable)
		return value, true, err
	case src.ConfigMapKeyRef != nil:
		ref := src.ConfigMapKeyRef
		m, err := from.ConfigMap(ctx, ref.Name)
		if absent(err, ref.Optional) {
			return "", false, nil
		}
		if err != nil {
			return "", false, err
		}
		value, ok := m.Data[ref.Key]
		return value, ok, missingKey(ok, ref.Optional, "configmap", ref.Name, ref.Key)
	case src.SecretKeyRef != nil:
		ref := src.SecretKeyRef
		s, err := from.Secret(ctx, ref.Name)
		if absent(err, ref.Optional) {
			return "", false, nil
		}
		if err != nil {
			return "", false, err
		}
		value, ok := s.Data[ref.Key]
		return string(value), ok, missingKey(ok, ref.Optional, "secret", ref.Name, ref.Key)
	default:
		return "", false, fmt.Errorf("the node agent does not know this valueFrom")
	}
}

// missingKey is the error for a key that had to exist.
func missingKey(found bool, optional *bool, kind, name, key string) error {
	if found || optional != nil && *optional {
		return nil
	}
	return fmt.Errorf("%s %q has no key %q", kind, name, key)
}

// podField resolves a field of the downward API. The first ones are not fields
// of the object in the form that a path could reach.
func podField(pod *corev1.Pod, path string) (string, error) {
	switch path {
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP":
		return pod.Status.HostIP, nil
	case "status.podIP":
		return pod.Status.PodIP, nil
	case "status.hostIPs", "status.podIPs":
		var all []string
		for _, ip := range pod.Status.PodIPs {
			all = append(all, ip.IP)
		}
		if path == "status.hostIPs" {
			all = []string{pod.Status.HostIP}
		}
		return strings.Join(all, ","), nil
	}
	return fieldpath.ExtractFieldPathAsString(pod, path)
}

// expandAll expands $(VAR) references in a container's command or args.
func expandAll(list []string, env map[string]string) []string {
	mapping := expansion.MappingFuncFor(env)
	list = slices.Clone(list)
	for i := range list {
		list[i] = expansion.Expand(list[i], mapping)
	}
	return list
}
