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

// harmful are kinds whose objects would change the work of the API server or the node
// for others, that never go away, or that no manifest is about.
var harmful = []string{
	"APIService", "CertificateSigningRequest", "CustomResourceDefinition", "Event", "FlowSchema", "IPAddress", "LimitRange",
	"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration", "Namespace", "Node",
	"PriorityLevelConfiguration", "ResourceQuota", "ServiceCIDR", "StorageVersionMigration",
	"ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
}

// Kinds returns the kinds whose objects can be made without harm, in a stable
// order. Those of other tests, whose groups begin with "test", may go at any time.
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
		if strings.HasPrefix(gv.Group, "test") {
			continue
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
// namespace: missing fields are put in and refused ones taken out, one by one. It is
// nil if nothing acceptable is left. One seed gives one object.
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

// templates are the places of the pod templates, by kind. A Pod is its own template.
var templates = map[string][]string{
	"Deployment": {"spec", "template"}, "StatefulSet": {"spec", "template"}, "ReplicaSet": {"spec", "template"}, "DaemonSet": {"spec", "template"},
	"ReplicationController": {"spec", "template"}, "Job": {"spec", "template"}, "CronJob": {"spec", "jobTemplate", "spec", "template"},
	"Pod": {}, "PodTemplate": {"template"},
}

// still gives workloads the fields that they need to be accepted, and takes care that no
// pod runs.
func still(object map[string]any, kind string) {
	if path, ok := templates[kind]; ok {
		nowhere(child(child(object, path...), "spec"))
	}
	spec := func() map[string]any { return child(object, "spec") }
	labels := map[string]any{"app": "generated"}
	switch kind {
	case "Deployment", "StatefulSet", "ReplicaSet", "DaemonSet", "ReplicationController":
		child(spec(), "template", "metadata")["labels"] = labels
		spec()["selector"] = map[string]any{"matchLabels": labels}
		if kind == "ReplicationController" {
			spec()["selector"] = labels
		}
		if kind != "DaemonSet" {
			spec()["replicas"] = int64(0)
		}
	case "Job":
		once(spec())
		spec()["suspend"] = true
		delete(spec(), "ttlSecondsAfterFinished")
	case "CronJob":
		once(child(spec(), "jobTemplate", "spec"))
		spec()["suspend"] = true
	case "Pod":
		delete(spec(), "restartPolicy")
	case "PersistentVolume":
		spec()["capacity"] = map[string]any{"storage": "1024Mi"}
		spec()["hostPath"] = map[string]any{"path": "/p"}
		spec()["accessModes"] = []any{"ReadWriteOnce"}
	case "PersistentVolumeClaim":
		child(spec(), "resources", "requests")["storage"] = "1024Mi"
		spec()["accessModes"] = []any{"ReadWriteOnce"}
		spec()["storageClassName"] = "none"
	case "HorizontalPodAutoscaler":
		spec()["scaleTargetRef"] = map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"}
		spec()["maxReplicas"] = int64(9)
		delete(spec(), "metrics")
	case "Service":
		if empty(spec()["ports"]) {
			spec()["ports"] = []any{
				map[string]any{"name": "dns", "port": int64(53), "protocol": "UDP"}, map[string]any{"name": "dns-tcp", "port": int64(53)},
			}
		}
	case "PriorityClass":
		delete(object, "globalDefault")
	}
}

// nowhere gives a pod containers that are accepted, and no node.
func nowhere(pod map[string]any) {
	pod["nodeSelector"] = map[string]any{"no": "where"}
	for _, name := range []string{"nodeName", "serviceAccountName", "serviceAccount", "priorityClassName", "runtimeClassName", "preemptionPolicy"} {
		delete(pod, name) // must be there
	}
	containers, _ := pod["containers"].([]any)
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
	pod["containers"] = containers
}

// once gives a Job the fields that it needs to be accepted.
func once(job map[string]any) {
	delete(job, "selector")
	delete(job, "manualSelector")
	child(job, "template", "spec")["restartPolicy"] = "Never"
}

// child returns the object at a path, and makes those that are missing.
func child(m map[string]any, path ...string) map[string]any {
	for _, key := range path {
		c, ok := m[key].(map[string]any)
		if !ok {
			c = map[string]any{}
			m[key] = c
		}
		m = c
	}
	return m
}
