package kubekit_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
)

func connect(t *testing.T) (*kubekit.Cluster, *engine.Env) {
	t.Helper()
	env := labtest.Env(t)
	c, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	return c, env
}

// deploy starts one web server behind a NodePort Service and waits until it is
// ready.
func deploy(t *testing.T, c *kubekit.Cluster, namespace string) {
	t.Helper()
	ctx := engine.AllowWrites(t.Context())
	labels := map[string]string{"app": "web"}
	_, err := c.Client().AppsV1().Deployments(namespace).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "nginx", Image: "nginx:stable", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 80}},
				}}},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Client().CoreV1().Services(namespace).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{
			Type:     corev1.ServiceTypeNodePort,
			Selector: labels,
			Ports: []corev1.ServicePort{
				{Name: "http", Port: 8080, TargetPort: intstr.FromString("http")},
				{Name: "nobody", Port: 8081, TargetPort: intstr.FromInt32(81)},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	await(t, c, kubekit.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: namespace, Name: "web"})
}

// await waits until the object is done, the way a step does.
func await(t *testing.T, c *kubekit.Cluster, ref kubekit.Ref) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		statuses, err := c.Status(ctx, ref)
		if err != nil {
			t.Fatal(err)
		}
		st := statuses[0]
		if st.Done {
			return
		}
		if err := c.AwaitChange(ctx, st.Watch...); err != nil {
			t.Fatalf("%s: %s: %v", ref, st.Message, err)
		}
	}
}

func get(conn net.Conn) (string, error) {
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestTunnel(t *testing.T) {
	c, env := connect(t)
	ns := labtest.Namespace(t, env)
	deploy(t, c, ns)

	t.Run("service", func(t *testing.T) {
		conn, err := c.DialService(t.Context(), ns, "web", 8080)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if body, err := get(conn); err != nil || !strings.Contains(body, "nginx") {
			t.Errorf("got %q, %v", body, err)
		}
	})

	t.Run("many at once share a connection", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				conn, err := c.DialService(t.Context(), ns, "web", 8080)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				if body, err := get(conn); err != nil || !strings.Contains(body, "nginx") {
					t.Errorf("got %q, %v", body, err)
				}
			})
		}
		wg.Wait()
		if n := kubekit.CountTunnels(c); n != 1 {
			t.Errorf("got %d connections to one pod", n)
		}
	})

	t.Run("deadline and close", func(t *testing.T) {
		conn, err := c.DialService(t.Context(), ns, "web", 8080)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, err = conn.Read(make([]byte, 1))
		var timeout net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("reading past the deadline: got %v", err)
		}
		conn.SetReadDeadline(time.Time{})
		read := make(chan error, 1)
		go func() {
			_, err := conn.Read(make([]byte, 1))
			read <- err
		}()
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		if err := <-read; !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading while closing: got %v", err)
		}
		if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("writing after closing: got %v", err)
		}
	})

	t.Run("nobody listens", func(t *testing.T) {
		conn, err := c.DialService(t.Context(), ns, "web", 8081)
		if err == nil {
			conn.SetDeadline(time.Now().Add(time.Minute))
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil || !strings.Contains(err.Error(), ":81") || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		// And the pod is still reached.
		conn, err = c.DialService(t.Context(), ns, "web", 8080)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := get(conn); err != nil {
			t.Error(err)
		}
	})

	t.Run("wrong names", func(t *testing.T) {
		_, err := c.DialService(t.Context(), ns, "wbe", 8080)
		if err == nil || errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "no such Service") {
			t.Errorf("missing Service: got %v", err)
		}
		_, err = c.DialService(t.Context(), ns, "web", 443)
		if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(engine.HintOf(err), "8080, 8081") {
			t.Errorf("missing port: got %v, hint %q", err, engine.HintOf(err))
		}
		_, err = kubekit.DialPod(t.Context(), c, ns, "web-0", 80)
		if err == nil || !strings.Contains(err.Error(), "not found") {
			t.Errorf("missing pod: got %v", err)
		}
	})

	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.DialService(ctx, ns, "web", 8080); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})

	t.Run("node port", func(t *testing.T) {
		addresses, err := c.NodePort(t.Context(), ns, "web", 8080)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", addresses[0])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if body, err := get(conn); err != nil || !strings.Contains(body, "nginx") {
			t.Errorf("got %q, %v", body, err)
		}
	})

	t.Run("pod made anew", func(t *testing.T) {
		old, err := c.DialService(t.Context(), ns, "web", 8080)
		if err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		ctx := engine.AllowWrites(t.Context())
		zero := int64(0)
		err = c.Client().CoreV1().Pods(ns).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &zero}, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		old.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := old.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the old connection: got %v", err)
		}
		deadline, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for {
			body, err := dialAndGet(deadline, c, ns)
			if err == nil && strings.Contains(body, "nginx") {
				return
			}
			if deadline.Err() != nil {
				t.Fatalf("the new pod is not reached: %v", err)
			}
			await(t, c, kubekit.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: ns, Name: "web"})
		}
	})
}

func dialAndGet(ctx context.Context, c *kubekit.Cluster, ns string) (string, error) {
	conn, err := c.DialService(ctx, ns, "web", 8080)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	return get(conn)
}

func TestReadOnly(t *testing.T) {
	c, env := connect(t)
	ns := labtest.Namespace(t, env)
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}
	configMaps := c.Client().CoreV1().ConfigMaps(ns)

	_, err := configMaps.Create(t.Context(), cm, metav1.CreateOptions{})
	if !errors.Is(err, kubekit.ErrReadOnly) || !errors.Is(err, engine.ErrPermanent) {
		t.Errorf("create while looking: got %v", err)
	}
	if err := configMaps.Delete(t.Context(), "x", metav1.DeleteOptions{}); !errors.Is(err, kubekit.ErrReadOnly) {
		t.Errorf("delete while looking: got %v", err)
	}
	if _, err := configMaps.Create(t.Context(), cm, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
		t.Errorf("dry run while looking: %v", err)
	}
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: ns, Verb: "create", Resource: "configmaps"},
	}}
	if _, err := c.Client().AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{}); err != nil {
		t.Errorf("access review while looking: %v", err)
	}
	if _, err := configMaps.Create(engine.AllowWrites(t.Context()), cm, metav1.CreateOptions{}); err != nil {
		t.Errorf("create in an edit: %v", err)
	}
}

func TestAwaitChangeSeesWhatHappenedSinceTheLook(t *testing.T) {
	c, env := connect(t)
	ns := labtest.Namespace(t, env)
	writes := engine.AllowWrites(t.Context())
	configMaps := c.Client().CoreV1().ConfigMaps(ns)
	ref := kubekit.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: ns, Name: "x"}

	absent, err := c.Status(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if absent[0].Done || absent[0].Object != nil {
		t.Fatalf("got %+v of an object that does not exist", absent[0])
	}
	cm, err := configMaps.Create(writes, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitChange(t.Context(), absent[0].Watch...); err != nil {
		t.Errorf("awaiting what is there by now: %v", err)
	}
	present, err := c.Status(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	quiet, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("quiet"))
	defer cancel()
	if err := c.AwaitChange(quiet, present[0].Watch...); err == nil || err.Error() != "quiet" {
		t.Errorf("awaiting a change of what does not change: got %v", err)
	}
	cm.Data = map[string]string{"a": "b"}
	if _, err := configMaps.Update(writes, cm, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitChange(t.Context(), present[0].Watch...); err != nil {
		t.Errorf("awaiting a change made since the look: %v", err)
	}
}

// TestAwaitChangeOfAnOldVersion: a wait for an object goes on where the API server no longer
// knows the changes since its resource version, and notices what happens then. The server
// forgets those of a custom resource when its definition changes.
func TestAwaitChangeOfAnOldVersion(t *testing.T) {
	c, env := connect(t)
	ns, writes := labtest.Namespace(t, env), engine.AllowWrites(t.Context())
	group := ns + ".example.com"
	definitions, err := c.Resource(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}, "")
	if err != nil {
		t.Fatal(err)
	}
	crd, err := definitions.Create(writes, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": "things." + group},
		"spec": map[string]any{"group": group, "scope": "Namespaced", "names": map[string]any{"plural": "things", "kind": "Thing"}, "versions": []any{map[string]any{
			"name": "v1", "served": true, "storage": true,
			"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
		}}},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = definitions.Delete(engine.AllowWrites(context.Background()), crd.GetName(), metav1.DeleteOptions{})
	})
	await(t, c, kubekit.RefOf(crd))
	ref := kubekit.Ref{APIVersion: group + "/v1", Kind: "Thing", Namespace: ns, Name: "x"}
	things, err := c.Resource(ref.GVK(), ns)
	if err != nil {
		t.Fatal(err)
	}
	thing, err := things.Create(writes, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": ref.APIVersion, "kind": "Thing", "metadata": map[string]any{"name": "x"}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := definitions.Patch(writes, crd.GetName(), types.MergePatchType, []byte(`{"spec":{"names":{"shortNames":["th"]}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	first := kubekit.Watch{Ref: ref, ResourceVersion: thing.GetResourceVersion()}
	for expired := false; !expired; { // until the server has the new definition
		events, err := things.Watch(t.Context(), metav1.ListOptions{ResourceVersion: first.ResourceVersion})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case e := <-events.ResultChan():
			expired = e.Type == watch.Error
		case <-time.After(50 * time.Millisecond):
		}
		events.Stop()
	}
	quiet, cancel := context.WithTimeoutCause(t.Context(), 1500*time.Millisecond, errors.New("quiet"))
	defer cancel()
	if err := c.AwaitChange(quiet, first); err == nil || err.Error() != "quiet" {
		t.Errorf("awaiting a change of what does not change: got %v", err)
	}
	changed := make(chan error)
	go func() { changed <- c.AwaitChange(t.Context(), first) }()
	thing.SetLabels(map[string]string{"a": "b"})
	if _, err := things.Update(writes, thing, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := <-changed; err != nil {
		t.Errorf("awaiting a change: %v", err)
	}
	if err := things.Delete(writes, "x", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitChange(t.Context(), first); err != nil {
		t.Errorf("awaiting what is gone: %v", err)
	}
}

func TestStatusSaysWhyPodsDoNotRun(t *testing.T) {
	c, env := connect(t)
	ns := labtest.Namespace(t, env)
	labels := map[string]string{"app": "big"}
	_, err := c.Client().AppsV1().StatefulSets(ns).Create(engine.AllowWrites(t.Context()), &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "big"},
		Spec: appsv1.StatefulSetSpec{
			UpdateStrategy: appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType},
			Selector:       &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					NodeSelector: map[string]string{"no": "such-node"},
					Containers:   []corev1.Container{{Name: "c", Image: "nginx:stable"}},
				},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ref := kubekit.Ref{APIVersion: "apps/v1", Kind: "StatefulSet", Namespace: ns, Name: "big"}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		statuses, err := c.Status(ctx, ref)
		if err != nil {
			t.Fatal(err)
		}
		st := statuses[0]
		if st.Done {
			t.Fatalf("done without a pod that runs: %s", st.Message)
		}
		if strings.HasPrefix(st.Message, "0 of 1 pods run: pod big-0 is not scheduled: ") {
			return
		}
		if err := c.AwaitChange(ctx, st.Watch...); err != nil {
			t.Fatalf("%v; the last message is %q", err, st.Message)
		}
	}
}

func ExampleRef() {
	fmt.Println(kubekit.Ref{APIVersion: "v1", Kind: "Namespace", Name: "default"})
	fmt.Println(kubekit.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "default", Name: "web"})
	// Output:
	// Namespace/default
	// Deployment/default/web
}
