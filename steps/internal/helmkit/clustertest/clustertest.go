// Package clustertest gives tests a cluster in memory: an API server that keeps objects,
// merges patches and refuses what a test wants it to. It fills in no defaults, runs no
// controllers and checks no fields: what depends on these is tested against the lab.
package clustertest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	builtin "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/session"
)

// A Cluster is an API server on a loopback port.
type Cluster struct {
	*httptest.Server

	// Refuse, if it is set, returns why a request gets no other answer, or nil. It is
	// called with "GET", "PATCH", … and the path.
	Refuse func(verb, path string) error

	// Admit, if it is set, changes what is written, as the API server writes some values
	// in another way. It takes part in dry runs.
	Admit func(o *unstructured.Unstructured)

	mu       sync.Mutex
	objects  map[string]map[string]any // by path
	revision int
	changed  chan struct{} // closed at the next write
	writes   []string
}

// kinds are those that the cluster serves: "group/version/Kind/resource", with a "*"
// before those without namespaces.
var kinds = []string{
	"/v1/ConfigMap/configmaps", "/v1/Secret/secrets", "/v1/Service/services", "/v1/Pod/pods", "*/v1/Namespace/namespaces",
	"/v1/ServiceAccount/serviceaccounts", "/v1/Event/events",
	"apps/v1/Deployment/deployments", "apps/v1/StatefulSet/statefulsets", "apps/v1/DaemonSet/daemonsets", "apps/v1/ReplicaSet/replicasets",
	"batch/v1/Job/jobs", "autoscaling/v2/HorizontalPodAutoscaler/horizontalpodautoscalers", "discovery.k8s.io/v1/EndpointSlice/endpointslices",
	"*admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration/validatingwebhookconfigurations",
	"*apiextensions.k8s.io/v1/CustomResourceDefinition/customresourcedefinitions",
}

// Serve starts a cluster with objects, each a YAML text; it ends with the test.
func Serve(t testing.TB, objects ...string) *Cluster {
	t.Helper()
	c := &Cluster{objects: map[string]map[string]any{}, changed: make(chan struct{})}
	c.Put(t, objects...)
	c.writes = nil
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

// Env returns an environment of a step whose target is the cluster, with a session of its
// own.
func (c *Cluster) Env(t testing.TB) *engine.Env {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: c.URL}
	config.Contexts["c"] = &clientcmdapi.Context{Cluster: "c"}
	config.CurrentContext = "c"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	shared := &engine.Session{}
	t.Cleanup(func() {
		if err := shared.Close(); err != nil {
			t.Error(err)
		}
	})
	quiet := func(string, ...any) {}
	return &engine.Env{
		Plan: "test", Step: "test", Dir: t.TempDir(), CacheDir: filepath.Join(t.TempDir(), "cache"),
		Settings: session.Settings{Cluster: session.Cluster{Kubeconfig: path}}, Session: shared, Now: time.Now,
		Logf: quiet, Statusf: quiet, Warnf: quiet, Conceal: func(...engine.Secret) {},
	}
}

// Put writes objects as if somebody else did.
func (c *Cluster) Put(t testing.TB, objects ...string) {
	t.Helper()
	for _, text := range objects {
		b, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		o := &unstructured.Unstructured{}
		if err := o.UnmarshalJSON(b); err != nil {
			t.Fatal(err)
		}
		path := pathOf(o)
		if path == "" {
			t.Fatalf("the cluster serves no %s", o.GetKind())
		}
		c.mu.Lock()
		c.store(path, o.Object)
		c.mu.Unlock()
	}
}

// Object returns an object at a path such as "/api/v1/namespaces/a/configmaps/b", nil
// if there is none.
func (c *Cluster) Object(path string) *unstructured.Unstructured {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.objects[path]; o != nil {
		return (&unstructured.Unstructured{Object: o}).DeepCopy()
	}
	return nil
}

// Writes returns the requests that changed something, "VERB path", and forgets them.
func (c *Cluster) Writes() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	writes := c.writes
	c.writes = nil
	return writes
}

func pathOf(o *unstructured.Unstructured) string {
	gvk := o.GroupVersionKind()
	for _, k := range kinds {
		part := strings.Split(strings.TrimPrefix(k, "*"), "/")
		if part[0] != gvk.Group || part[2] != gvk.Kind {
			continue
		}
		path := "/apis/" + part[0] + "/" + part[1]
		if part[0] == "" {
			path = "/api/" + part[1]
		}
		if !strings.HasPrefix(k, "*") {
			path += "/namespaces/" + o.GetNamespace()
		}
		return path + "/" + part[3] + "/" + o.GetName()
	}
	return ""
}

// store keeps an object with a new resource version; c.mu is held.
func (c *Cluster) store(path string, o map[string]any) {
	c.revision++
	u := &unstructured.Unstructured{Object: o}
	u.SetResourceVersion(strconv.Itoa(c.revision))
	if u.GetUID() == "" {
		u.SetUID(types.UID("uid-" + u.GetName()))
	}
	c.objects[path] = o
	c.wake()
}

func (c *Cluster) wake() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Query().Get("watch") != "" {
		c.watch(w, r)
		return
	}
	answer, err := c.answer(r)
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		status, ok := err.(apierrors.APIStatus)
		if !ok {
			status = apierrors.NewInternalError(err)
		}
		s := status.Status()
		s.Kind, s.APIVersion = "Status", "v1"
		w.WriteHeader(int(s.Code))
		_ = json.NewEncoder(w).Encode(s)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// watch ends at the next write, which for a client is a change.
func (c *Cluster) watch(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	changed, now := c.changed, c.revision
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	if seen, err := strconv.Atoi(r.URL.Query().Get("resourceVersion")); err == nil && seen < now {
		return
	}
	select {
	case <-changed:
	case <-r.Context().Done():
	}
}

func (c *Cluster) answer(r *http.Request) (any, error) {
	path := strings.TrimSuffix(r.URL.Path, "/")
	if c.Refuse != nil {
		if err := c.Refuse(r.Method, path); err != nil {
			return nil, err
		}
	}
	if found := discovery(path); found != nil {
		return found, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	have, there := c.objects[path]
	missing := apierrors.NewNotFound(schema.GroupResource{Resource: "objects"}, path)
	switch r.Method {
	case http.MethodGet:
		if there {
			return have, nil
		}
		if _, isObject := kindAt(path[:max(strings.LastIndexByte(path, '/'), 0)]); isObject {
			return nil, missing
		}
		return c.list(path, r.URL.Query().Get("labelSelector"))
	case http.MethodDelete:
		if !there {
			return nil, missing
		}
		delete(c.objects, path)
		c.revision++
		c.wake()
		c.writes = append(c.writes, "DELETE "+path)
		return metav1.Status{Status: metav1.StatusSuccess}, nil
	case http.MethodPatch:
		if !there {
			return nil, missing
		}
	}
	return c.write(r, path, have)
}

// write answers a request that has a body, about an object as it is; c.mu is held.
func (c *Cluster) write(r *http.Request, path string, have map[string]any) (any, error) {
	var sent map[string]any
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if r.Header.Get("Content-Type") == runtime.ContentTypeProtobuf {
		if body, err = plain(body); err != nil {
			return nil, err
		}
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	result := sent
	switch r.Method {
	case http.MethodPost:
		name := (&unstructured.Unstructured{Object: sent}).GetName()
		path += "/" + name
		if _, there := c.objects[path]; there {
			return nil, apierrors.NewAlreadyExists(schema.GroupResource{Resource: "objects"}, name)
		}
	case http.MethodPatch:
		version, _, _ := unstructured.NestedString(sent, "metadata", "resourceVersion")
		if is := (&unstructured.Unstructured{Object: have}).GetResourceVersion(); version != "" && version != is {
			return nil, apierrors.NewConflict(schema.GroupResource{Resource: "objects"}, path, fmt.Errorf("it is %s", is))
		}
		if result, err = merged(have, body, r.Header.Get("Content-Type")); err != nil {
			return nil, err
		}
	}
	_, after, _ := strings.Cut(path, "/namespaces/")
	if namespace, _, ok := strings.Cut(after, "/"); ok {
		(&unstructured.Unstructured{Object: result}).SetNamespace(namespace)
	}
	if c.Admit != nil {
		c.Admit(&unstructured.Unstructured{Object: result})
	}
	if r.URL.Query().Get("dryRun") != "" {
		return result, nil
	}
	c.store(path, result)
	c.writes = append(c.writes, r.Method+" "+path)
	return result, nil
}

// plain turns the form in which clients of built-in kinds send objects into JSON.
func plain(body []byte) ([]byte, error) {
	o, gvk, err := builtin.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return nil, err
	}
	o.GetObjectKind().SetGroupVersionKind(*gvk)
	return json.Marshal(o)
}

func merged(have map[string]any, patch []byte, kind string) (map[string]any, error) {
	if kind != string(types.StrategicMergePatchType) {
		var fields map[string]any
		if err := json.Unmarshal(patch, &fields); err != nil {
			return nil, err
		}
		return mergePatch(runtime.DeepCopyJSON(have), fields), nil
	}
	before, err := json.Marshal(have)
	if err != nil {
		return nil, err
	}
	typed, err := builtin.Scheme.New((&unstructured.Unstructured{Object: have}).GroupVersionKind())
	if err != nil {
		return nil, err
	}
	after, err := strategicpatch.StrategicMergePatch(before, patch, typed)
	if err != nil {
		return nil, err
	}
	var result unstructured.Unstructured
	err = result.UnmarshalJSON(after)
	return result.Object, err
}

// mergePatch is RFC 7396.
func mergePatch(into, patch map[string]any) map[string]any {
	if into == nil {
		into = map[string]any{}
	}
	for key, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(into, key)
		case map[string]any:
			below, _ := into[key].(map[string]any)
			into[key] = mergePatch(below, v)
		default:
			into[key] = v
		}
	}
	return into
}

// kindAt returns the kind of the resource that a path of a collection ends with.
func kindAt(path string) (string, bool) {
	resource := path[strings.LastIndexByte(path, '/')+1:]
	for _, k := range kinds {
		if part := strings.Split(k, "/"); part[3] == resource {
			return part[2], true
		}
	}
	return "", false
}

func (c *Cluster) list(path, selector string) (any, error) {
	kind, ok := kindAt(path)
	if !ok {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "paths"}, path)
	}
	matches, err := labels.Parse(selector)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	items := []any{}
	for _, p := range slices.Sorted(maps.Keys(c.objects)) {
		o := &unstructured.Unstructured{Object: c.objects[p]}
		if strings.HasPrefix(p, path+"/") && matches.Matches(labels.Set(o.GetLabels())) {
			items = append(items, o.Object)
		}
	}
	gv := strings.TrimPrefix(strings.TrimPrefix(path, "/apis/"), "/api/")
	if i := strings.Index(gv, "/namespaces/"); i >= 0 {
		gv = gv[:i]
	} else {
		gv = gv[:strings.LastIndexByte(gv, '/')]
	}
	return map[string]any{"apiVersion": gv, "kind": kind + "List", "metadata": map[string]any{"resourceVersion": strconv.Itoa(c.revision)}, "items": items}, nil
}

// discovery answers what the cluster is and serves.
func discovery(path string) any {
	groups := map[string]bool{}
	resources := map[string][]metav1.APIResource{}
	for _, k := range kinds {
		part := strings.Split(strings.TrimPrefix(k, "*"), "/")
		at := "/apis/" + part[0] + "/" + part[1]
		if part[0] == "" {
			at = "/api/" + part[1]
		} else {
			groups[part[0]+"/"+part[1]] = true
		}
		resources[at] = append(resources[at], metav1.APIResource{Name: part[3], Kind: part[2], Namespaced: !strings.HasPrefix(k, "*"), Verbs: metav1.Verbs{"get", "list"}})
	}
	switch path {
	case "/version":
		return map[string]string{"gitVersion": "v1.36.3", "major": "1", "minor": "36"}
	case "/api":
		return metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}}
	case "/apis":
		list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		for _, gv := range slices.Sorted(maps.Keys(groups)) {
			group, version, _ := strings.Cut(gv, "/")
			v := metav1.GroupVersionForDiscovery{GroupVersion: gv, Version: version}
			list.Groups = append(list.Groups, metav1.APIGroup{Name: group, Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v})
		}
		return list
	}
	if found, ok := resources[path]; ok {
		gv := strings.TrimPrefix(strings.TrimPrefix(path, "/apis/"), "/api/")
		return metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gv, APIResources: found}
	}
	return nil
}
