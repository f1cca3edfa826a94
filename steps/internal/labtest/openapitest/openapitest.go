package openapitest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// A Kind is one that the API server serves.
type Kind struct {
	schema.GroupVersionKind
	Namespaced bool

	schema  map[string]any
	schemas map[string]any
}

// harmful are kinds whose objects would change what the API server or the node
// does for others, that never go away, or that no manifest is about.
var harmful = []string{
	"APIService", "CertificateSigningRequest", "CustomResourceDefinition", "Event", "FlowSchema", "IPAddress", "LimitRange",
	"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration", "Namespace", "Node",
	"PriorityLevelConfiguration", "ResourceQuota", "ServiceCIDR", "StorageVersionMigration",
	"ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
}

// Kinds returns the kinds whose objects can be made without harm, in a stable
// order.
func Kinds(t testing.TB, cluster *kubekit.Cluster) []Kind {
	t.Helper()
	discovery := cluster.Client().Discovery()
	lists, err := discovery.ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	paths, err := discovery.OpenAPIV3().Paths()
	if err != nil {
		t.Fatal(err)
	}
	var kinds []Kind
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		path := "apis/" + list.GroupVersion
		if gv.Group == "" {
			path = "api/" + gv.Version
		}
		if paths[path] == nil {
			continue
		}
		text, err := paths[path].Schema("application/json")
		if err != nil {
			t.Fatal(err)
		}
		if len(text) == 0 {
			continue // the last CustomResourceDefinition of the group has just been removed
		}
		var doc struct {
			Components struct{ Schemas map[string]any }
		}
		if err := json.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			gvk := gv.WithKind(r.Kind)
			s := schemaOf(doc.Components.Schemas, gvk)
			if s == nil || strings.Contains(r.Name, "/") || slices.Contains(harmful, r.Kind) ||
				!slices.Contains(r.Verbs, "create") || !slices.Contains(r.Verbs, "patch") || !slices.Contains(r.Verbs, "delete") {
				continue
			}
			kinds = append(kinds, Kind{gvk, r.Namespaced, s, doc.Components.Schemas})
		}
	}
	slices.SortFunc(kinds, func(a, b Kind) int { return strings.Compare(a.String(), b.String()) })
	return kinds
}

func schemaOf(schemas map[string]any, gvk schema.GroupVersionKind) map[string]any {
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		s, _ := schemas[name].(map[string]any)
		list, _ := s["x-kubernetes-group-version-kind"].([]any)
		for _, item := range list {
			m, _ := item.(map[string]any)
			if m["group"] == gvk.Group && m["version"] == gvk.Version && m["kind"] == gvk.Kind {
				return s
			}
		}
	}
	return nil
}

// tries bounds how often an object is made smaller until it is accepted.
const tries = 60

// Object makes an object of the kind that the API server accepts for the
// namespace: what it misses is put in and what it refuses is taken out, field by
// field. It is nil if nothing
// acceptable is left. One seed gives one object.
func (k Kind) Object(t testing.TB, cluster *kubekit.Cluster, namespace string, seed uint64) map[string]any {
	t.Helper()
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), schemas: k.schemas}
	object := g.object(k.schema)
	version, kind := k.ToAPIVersionAndKind()
	object["apiVersion"], object["kind"] = version, kind
	meta := map[string]any{"name": fmt.Sprintf("generated-%s-%d", strings.ToLower(k.Kind), seed)}
	if k.Namespaced {
		meta["namespace"] = namespace
	}
	switch g.IntN(4) {
	case 0:
		meta["annotations"] = map[string]any{"example.com/a": "b"}
	case 1:
		meta["annotations"], meta["labels"] = nil, map[string]any{}
	case 2:
		meta["labels"] = map[string]any{"a": "b"}
	}
	object["metadata"] = meta
	still(object, k.Kind)
	resource, err := cluster.Resource(k.GroupVersionKind, namespaceOf(k, namespace))
	if err != nil {
		t.Fatal(err)
	}
	ctx := engine.AllowWrites(t.Context()) // for a dry run
	var refused error
	for range tries {
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		var sent unstructured.Unstructured
		if err := sent.UnmarshalJSON(text); err != nil {
			return nil
		}
		_, err = resource.Patch(ctx, sent.GetName(), types.ApplyPatchType, text, metav1.PatchOptions{
			FieldManager: "generated", DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
		})
		if err == nil {
			return object
		}
		refused = err
		smaller := false
		for _, c := range causesOf(err) {
			smaller = g.mend(object, k.schema, c) || smaller
		}
		if !smaller {
			break
		}
		still(object, k.Kind)
	}
	t.Logf("%s with seed %d is refused: %v", k.GroupVersionKind, seed, refused)
	return nil
}

func namespaceOf(k Kind, namespace string) string {
	if k.Namespaced {
		return namespace
	}
	return ""
}

func causesOf(err error) []metav1.StatusCause {
	status, ok := err.(apierrors.APIStatus)
	if !ok {
		return nil
	}
	if m := untyped.FindStringSubmatch(err.Error()); m != nil { // a defect of its type, or a key twice
		return []metav1.StatusCause{{Field: m[1]}}
	}
	if status.Status().Details == nil {
		return nil
	}
	return status.Status().Details.Causes
}

var untyped = regexp.MustCompile(`failed to create typed patch object \([^)]*\): \.([^:]+): `)

// still gives workloads what they need to be accepted, and takes care that none
// runs.
func still(object map[string]any, kind string) {
	var spec map[string]any
	pod := func(template map[string]any) {
		s := child(template, "spec")
		s["nodeSelector"] = map[string]any{"no": "where"}
		for _, name := range []string{"nodeName", "serviceAccountName", "serviceAccount", "priorityClassName", "runtimeClassName", "preemptionPolicy"} {
			delete(s, name) // must be there
		}
		containers, _ := s["containers"].([]any)
		if len(containers) == 0 {
			containers = []any{map[string]any{}}
		}
		for i, c := range containers {
			m, _ := c.(map[string]any)
			m["name"] = fmt.Sprintf("c%d", i)
			if m["image"] == nil || m["image"] == "" {
				m["image"] = "nginx"
			}
		}
		s["containers"] = containers
	}
	labels := map[string]any{"app": "generated"}
	switch kind {
	case "Deployment", "StatefulSet", "ReplicaSet", "DaemonSet":
		spec = child(object, "spec")
		template := child(spec, "template")
		child(template, "metadata")["labels"] = labels
		spec["selector"] = map[string]any{"matchLabels": labels}
		if kind != "DaemonSet" {
			spec["replicas"] = int64(0)
		}
		pod(template)
	case "ReplicationController":
		spec = child(object, "spec")
		template := child(spec, "template")
		child(template, "metadata")["labels"] = labels
		spec["selector"], spec["replicas"] = labels, int64(0)
		pod(template)
	case "Job":
		spec = child(object, "spec")
		spec["suspend"] = true
		delete(spec, "selector")
		delete(spec, "manualSelector")
		delete(spec, "ttlSecondsAfterFinished")
		template := child(spec, "template")
		child(template, "spec")["restartPolicy"] = "Never"
		pod(template)
	case "CronJob":
		spec = child(object, "spec")
		spec["suspend"] = true
		job := child(child(spec, "jobTemplate"), "spec")
		delete(job, "selector")
		delete(job, "manualSelector")
		template := child(job, "template")
		child(template, "spec")["restartPolicy"] = "Never"
		pod(template)
	case "Pod":
		pod(object)
		delete(child(object, "spec"), "restartPolicy")
	case "PodTemplate":
		pod(child(object, "template"))
	case "PersistentVolume":
		spec = child(object, "spec")
		spec["capacity"] = map[string]any{"storage": "1024Mi"}
		spec["hostPath"] = map[string]any{"path": "/p"}
		spec["accessModes"] = []any{"ReadWriteOnce"}
	case "PersistentVolumeClaim":
		spec = child(object, "spec")
		child(child(spec, "resources"), "requests")["storage"] = "1024Mi"
		spec["accessModes"] = []any{"ReadWriteOnce"}
		spec["storageClassName"] = "none"
	case "HorizontalPodAutoscaler":
		spec = child(object, "spec")
		spec["scaleTargetRef"] = map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"}
		spec["maxReplicas"] = int64(9)
		delete(spec, "metrics")
	case "Service":
		spec = child(object, "spec")
		if empty(spec["ports"]) {
			spec["ports"] = []any{
				map[string]any{"name": "dns", "port": int64(53), "protocol": "UDP"}, map[string]any{"name": "dns-tcp", "port": int64(53)},
			}
		}
	case "PriorityClass":
		delete(object, "globalDefault")
	}
}

func child(m map[string]any, key string) map[string]any {
	c, ok := m[key].(map[string]any)
	if !ok {
		c = map[string]any{}
		m[key] = c
	}
	return c
}
