// Package hub reads and writes the objects of fleets on the cluster that runs their Jobs.
package hub

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/member"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/patience"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/registry"
	"github.com/ztplan/ztplan/engine"
)

// fieldManager owns the fields that are applied.
const fieldManager = "ztplan"

// A Hub is the namespace of a cluster that holds fleets.
type Hub struct {
	Namespace string
	Server    string // address of its API server
	Client    kubernetes.Interface
	Dynamic   dynamic.Interface
	metadata  metadata.Interface
}

// Connect prepares the connection; nothing is contacted yet. An empty kubeconfig and
// context mean those of kubectl. A hub that has answered once is waited for when its API
// server is restarted; say is called then.
func Connect(kubeconfig, context, namespace string, say func(string)) (*Hub, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context}).ClientConfig()
	if err != nil {
		return nil, engine.WithHint(fmt.Errorf("the hub: %w", err), "name its kubeconfig: hub: {kubeconfig: …}, or --kubeconfig")
	}
	if config.Insecure {
		return nil, errors.New("the hub: insecure-skip-tls-verify: TLS is always verified")
	}
	config.QPS, config.Burst, config.UserAgent = 50, 100, "ztplan-fleet"
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &patience.Transport{Next: next, Unknown: true, Say: say}
	})
	return New(config, namespace)
}

// New returns the namespace of a hub.
func New(config *rest.Config, namespace string) (*Hub, error) {
	h := &Hub{Namespace: namespace, Server: config.Host}
	var err error
	if h.Client, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	if h.Dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, err
	}
	h.metadata, err = metadata.NewForConfig(config)
	return h, err
}

// Make makes the objects of a round, in order, and then notes on its record that they are
// there. The objects of the round belong to its record, and are deleted with it.
func (h *Hub) Make(ctx context.Context, r *objects.Round) error {
	var owner *metav1.OwnerReference
	for _, o := range r.Objects {
		if _, ok := o.(*batchv1.Job); !ok && standing(o) {
			if err := h.apply(ctx, o); err != nil {
				return h.explain(err)
			}
			continue
		}
		m := o.(metav1.Object)
		if owner != nil {
			m.SetOwnerReferences([]metav1.OwnerReference{*owner})
		}
		uid, err := h.create(ctx, o)
		if err != nil {
			return h.explain(err)
		}
		if owner == nil {
			owner = &metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: m.GetName(), UID: uid}
		}
	}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"true"}}}`, record.AnnotationMade)
	_, err := h.Client.CoreV1().ConfigMaps(h.Namespace).Patch(ctx, objects.Name(r.Record), types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	return h.explain(err)
}

// Remove deletes a round that was not made to its end: nothing of it has begun.
func (h *Hub) Remove(ctx context.Context, r record.Run) error {
	background := metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}
	of := func(kinds ...string) metav1.ListOptions {
		return metav1.ListOptions{LabelSelector: fmt.Sprintf("%s=%s,%s=%s,%s=%d,%s in (%s)", record.LabelFleet, r.Fleet, record.LabelRun, r.ID,
			record.LabelRound, r.Round, record.LabelKind, strings.Join(kinds, ","))}
	}
	err := h.Client.BatchV1().Jobs(h.Namespace).DeleteCollection(ctx, background, of("job"))
	if err == nil {
		err = h.Client.CoreV1().Secrets(h.Namespace).DeleteCollection(ctx, background, of("access"))
	}
	if err == nil {
		err = h.Client.CoreV1().ConfigMaps(h.Namespace).DeleteCollection(ctx, background, of("clusters"))
	}
	if err == nil { // last: without the record the others would not be found
		err = h.Client.CoreV1().ConfigMaps(h.Namespace).DeleteCollection(ctx, background, of("record"))
	}
	return h.explain(err)
}

// standing reports whether an object outlives runs.
func standing(o runtime.Object) bool {
	switch o.(type) {
	case *corev1.ServiceAccount, *rbacv1.Role, *rbacv1.RoleBinding:
		return true
	}
	return false
}

func (h *Hub) create(ctx context.Context, o runtime.Object) (types.UID, error) {
	var made metav1.Object
	var err error
	switch o := o.(type) {
	case *corev1.ConfigMap:
		api := h.Client.CoreV1().ConfigMaps(h.Namespace)
		if made, err = api.Create(ctx, o, metav1.CreateOptions{}); apierrors.IsAlreadyExists(err) {
			made, err = api.Get(ctx, o.Name, metav1.GetOptions{})
		}
	case *corev1.Secret:
		api := h.Client.CoreV1().Secrets(h.Namespace)
		if made, err = api.Create(ctx, o, metav1.CreateOptions{}); apierrors.IsAlreadyExists(err) {
			made, err = api.Get(ctx, o.Name, metav1.GetOptions{})
		}
	case *batchv1.Job:
		api := h.Client.BatchV1().Jobs(h.Namespace)
		if made, err = api.Create(ctx, o, metav1.CreateOptions{}); apierrors.IsAlreadyExists(err) {
			made, err = api.Get(ctx, o.Name, metav1.GetOptions{})
		}
	default:
		return "", fmt.Errorf("%T: is no object of a fleet", o)
	}
	if err != nil {
		return "", err
	}
	want := o.(metav1.Object)
	for _, l := range []string{record.LabelRun, record.LabelRound} {
		if made.GetLabels()[l] != want.GetLabels()[l] {
			return "", fmt.Errorf("%s exists and does not belong to this run", want.GetName())
		}
	}
	return made.GetUID(), nil
}

var resources = map[string]schema.GroupVersionResource{
	"ServiceAccount": corev1.SchemeGroupVersion.WithResource("serviceaccounts"),
	"Role":           rbacv1.SchemeGroupVersion.WithResource("roles"),
	"RoleBinding":    rbacv1.SchemeGroupVersion.WithResource("rolebindings"),
}

func (h *Hub) apply(ctx context.Context, o runtime.Object) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: content}
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	_, err = h.Dynamic.Resource(resources[u.GetKind()]).Namespace(h.Namespace).Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	return err
}

func (h *Hub) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return engine.WithHint(fmt.Errorf("the hub: %w", err), "kubectl create namespace "+h.Namespace)
	case apierrors.IsForbidden(err):
		return engine.WithHint(fmt.Errorf("the hub: %w", err), "ztplan needs to create ConfigMaps, Secrets, Jobs, ServiceAccounts, Roles and RoleBindings in namespace "+h.Namespace)
	}
	return fmt.Errorf("the hub: %w", err)
}

// Rounds returns the rounds of the newest run of a fleet, in order; none if there is no
// run. Rounds that were not made to their end are apart: their driver was killed.
func (h *Hub) Rounds(ctx context.Context, fleet string) (rounds, unmade []record.Run, err error) {
	list, err := h.Client.CoreV1().ConfigMaps(h.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labels.Set{record.LabelFleet: fleet, record.LabelKind: "record"}.String(),
	})
	if err != nil {
		return nil, nil, h.explain(err)
	}
	for _, cm := range list.Items {
		r, err := record.Parse[record.Run]([]byte(cm.Data[objects.KeyRun]))
		if err != nil || r.Schema != record.RunSchema {
			return nil, nil, fmt.Errorf("ConfigMap %s: is no record of a run that this ztplan reads", cm.Name)
		}
		if cm.Annotations[record.AnnotationMade] == "" {
			unmade = append(unmade, *r)
			continue
		}
		rounds = append(rounds, *r)
	}
	slices.SortFunc(rounds, func(a, b record.Run) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Round, b.Round))
	})
	if len(rounds) == 0 {
		return nil, unmade, nil
	}
	newest := rounds[len(rounds)-1].ID
	return slices.DeleteFunc(rounds, func(r record.Run) bool { return r.ID != newest }), unmade, nil
}

// Bundle returns the bundle and the document of a run.
func (h *Hub) Bundle(ctx context.Context, r record.Run) (bundle, document []byte, err error) {
	cm, err := h.Client.CoreV1().ConfigMaps(h.Namespace).Get(ctx, objects.Name(r), metav1.GetOptions{})
	if err != nil {
		return nil, nil, h.explain(err)
	}
	return cm.BinaryData[objects.KeyBundle], []byte(cm.Data[objects.KeyFleet]), nil
}

// Names returns the names of the clusters of a round, by wave and index.
func (h *Hub) Names(ctx context.Context, r record.Run) (map[string][]string, error) {
	out := make(map[string][]string)
	for _, w := range r.Waves {
		out[w.Name] = make([]string, w.Clusters)
	}
	err := h.entries(ctx, r, func(cm *corev1.ConfigMap, index int, e *record.Entry) error {
		list := out[cm.Labels[record.LabelWave]]
		if index < 0 || index >= len(list) {
			return fmt.Errorf("ConfigMap %s: entry %d is not one of this run", cm.Name, index)
		}
		list[index] = e.Name
		return nil
	})
	return out, err
}

// Servers returns the address of each cluster of a round; "" where an access provider
// knows it.
func (h *Hub) Servers(ctx context.Context, r record.Run) (map[string]string, error) {
	out := make(map[string]string)
	err := h.entries(ctx, r, func(_ *corev1.ConfigMap, _ int, e *record.Entry) error {
		out[e.Name] = e.Server
		return nil
	})
	return out, err
}

// entries calls f with each cluster of a round.
func (h *Hub) entries(ctx context.Context, r record.Run, f func(cm *corev1.ConfigMap, index int, e *record.Entry) error) error {
	return h.eachConfigMap(ctx, labels.Set{
		record.LabelFleet: r.Fleet, record.LabelRun: r.ID, record.LabelRound: strconv.Itoa(r.Round), record.LabelKind: "clusters",
	}, func(cm *corev1.ConfigMap) error {
		for key, text := range cm.Data {
			i, err := strconv.Atoi(key)
			e, err2 := record.Parse[record.Entry]([]byte(text))
			if err = errors.Join(err, err2); err != nil {
				return fmt.Errorf("ConfigMap %s: entry %q is not one of this run: %w", cm.Name, key, err)
			}
			if err := f(cm, i, e); err != nil {
				return err
			}
		}
		return nil
	})
}

func (h *Hub) eachConfigMap(ctx context.Context, selector labels.Set, f func(*corev1.ConfigMap) error) error {
	opts := metav1.ListOptions{LabelSelector: selector.String(), Limit: 10}
	for {
		list, err := h.Client.CoreV1().ConfigMaps(h.Namespace).List(ctx, opts)
		if err != nil {
			return h.explain(err)
		}
		for i := range list.Items {
			if err := f(&list.Items[i]); err != nil {
				return err
			}
		}
		if opts.Continue = list.Continue; opts.Continue == "" {
			return nil
		}
	}
}

// A Try is the metadata of the evidence of one try of a cluster.
type Try struct {
	ConfigMap string // named as the pod
	Verdict   record.Verdict
}

// Tries returns the tries of a run that left evidence, of all rounds. It reads metadata
// only.
func (h *Hub) Tries(ctx context.Context, r record.Run) ([]Try, error) {
	var out []Try
	opts := metav1.ListOptions{LabelSelector: labels.Set{record.LabelFleet: r.Fleet, record.LabelRun: r.ID, record.LabelKind: "evidence"}.String(), Limit: 500}
	for {
		list, err := h.metadata.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(h.Namespace).List(ctx, opts)
		if err != nil {
			return nil, h.explain(err)
		}
		for _, m := range list.Items {
			v := record.ParseVerdict(m.Annotations[record.AnnotationVerdict])
			if v == nil {
				continue
			}
			out = append(out, Try{ConfigMap: m.Name, Verdict: *v})
		}
		if opts.Continue = list.Continue; opts.Continue == "" {
			return out, nil
		}
	}
}

// maxDocument bounds evidence when it is unpacked.
const maxDocument = 256 << 20

// A Keeper returns the evidence of the tries of a run.
type Keeper struct {
	hub      *Hub
	registry *registry.Repository // nil if the evidence is in ConfigMaps
}

// Keeper returns the store of a run's evidence. Credentials for a registry are read from
// the Secret that the pods have as well.
func (h *Hub) Keeper(ctx context.Context, r record.Run) (*Keeper, error) {
	k := &Keeper{hub: h}
	if r.Registry == nil {
		return k, nil
	}
	var config []byte
	if name := r.Registry.Secret; name != "" {
		s, err := h.Client.CoreV1().Secrets(h.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("the hub: credentials for the registry: %w", err)
		}
		config = s.Data[corev1.DockerConfigJsonKey]
	}
	var err error
	k.registry, err = registry.Open(*r.Registry, config)
	return k, err
}

// Evidence returns the evidence of a try. Its digest is not compared with the verdict.
func (k *Keeper) Evidence(ctx context.Context, t Try) ([]byte, error) {
	cm, err := k.hub.Client.CoreV1().ConfigMaps(k.hub.Namespace).Get(ctx, t.ConfigMap, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("the hub: %w", err)
	}
	packed := cm.BinaryData[member.KeyEvidence]
	if k.registry != nil {
		if packed, err = k.registry.Fetch(ctx, string(cm.BinaryData[member.KeyManifest])); err != nil {
			return nil, fmt.Errorf("ConfigMap %s: %w", t.ConfigMap, err)
		}
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("ConfigMap %s: %w", t.ConfigMap, err)
	}
	return io.ReadAll(io.LimitReader(z, maxDocument))
}

// LetGo lets the Job of a wave begin, unless it has.
func (h *Hub) LetGo(ctx context.Context, job string) error {
	return h.patchJob(ctx, job, map[string]any{"spec": map[string]any{"suspend": false}})
}

// Stop holds every cluster of a Job that has not begun; those that run finish.
func (h *Hub) Stop(ctx context.Context, job, reason string) error {
	return h.patchJob(ctx, job, map[string]any{"metadata": map[string]any{"annotations": map[string]any{record.AnnotationStop: reason}}})
}

// Suspend ends the pods of a Job: each finishes its edit, within its grace period.
func (h *Hub) Suspend(ctx context.Context, job string) error {
	return h.patchJob(ctx, job, map[string]any{"spec": map[string]any{"suspend": true}})
}

func (h *Hub) patchJob(ctx context.Context, job string, patch any) error {
	data, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	if _, err = h.Client.BatchV1().Jobs(h.Namespace).Patch(ctx, job, types.MergePatchType, data, metav1.PatchOptions{FieldManager: fieldManager}); err != nil {
		return h.explain(err)
	}
	return nil
}

// DriverEnded reports whether the program in the pod of a driver is known to have ended.
func (h *Hub) DriverEnded(ctx context.Context, pod string) bool {
	list, err := h.Client.CoreV1().Pods(h.Namespace).List(ctx, metav1.ListOptions{LabelSelector: record.LabelKind + "=driver"})
	return err == nil && slices.ContainsFunc(list.Items, func(p corev1.Pod) bool { return p.Name == pod && PodOf(&p).Exit >= 0 })
}

// DropAccess deletes the Secrets with the kubeconfigs of a run. It finds their names in
// the Jobs: who lists Secrets, or deletes them all at once, reads them.
func (h *Hub) DropAccess(ctx context.Context, r record.Run) error {
	jobs, err := h.Client.BatchV1().Jobs(h.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labels.Set{record.LabelFleet: r.Fleet, record.LabelRun: r.ID, record.LabelKind: "job"}.String(),
	})
	if err != nil {
		return h.explain(err)
	}
	for _, job := range jobs.Items {
		for _, v := range job.Spec.Template.Spec.Volumes {
			if v.Name != objects.VolumeAccess || v.Projected == nil {
				continue
			}
			for _, source := range v.Projected.Sources {
				if source.Secret == nil {
					continue
				}
				if err := h.Client.CoreV1().Secrets(h.Namespace).Delete(ctx, source.Secret.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
					return h.explain(err)
				}
			}
		}
	}
	return nil
}
