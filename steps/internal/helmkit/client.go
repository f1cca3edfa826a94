package helmkit

import (
	"context"
	"fmt"
	"io"
	"time"

	"helm.sh/helm/v3/pkg/kube"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/release"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// client is Helm's client of the cluster. Its waits end with the edit, watch instead of
// polling, and are shown in the status.
type client struct {
	*kube.Client
	ctx     context.Context
	env     *engine.Env
	cluster *kubekit.Cluster
}

// Build validates nothing. Helm's reads the OpenAPI document of every group in the manifest
// only to find that the API server validates fields itself (Kubernetes 1.25 and later), and
// then leaves it to a request that does not ask for it.
func (c *client) Build(manifest io.Reader, _ bool) (kube.ResourceList, error) {
	return c.Client.Build(manifest, false)
}

// WatchUntilReady waits for a hook: a Job until it has completed, a Pod until
// it has succeeded, anything else not at all. The time limit is the edit's.
func (c *client) WatchUntilReady(resources kube.ResourceList, _ time.Duration) error {
	for _, info := range resources {
		kind := info.Mapping.GroupVersionKind.Kind
		if kind != "Job" && kind != "Pod" {
			continue
		}
		c.env.Statusf("waiting for hook %s %s/%s", kind, info.Namespace, info.Name)
		if err := c.completed(info); err != nil {
			return fmt.Errorf("%w%s", err, c.logTail(kind, info))
		}
	}
	return nil
}

// completed waits until the Job or Pod has run to its end. An object that is gone by then
// was deleted after its completion.
func (c *client) completed(info *resource.Info) error {
	return c.cluster.Until(c.ctx, refOf(info), func(st kubekit.Status) (bool, error) {
		if st.Object == nil {
			return true, nil
		}
		end := kubestatus.Ended(st.Object)
		if end.Failed {
			return true, fmt.Errorf("%s: %s", st.Ref, end.Message)
		}
		return end.Done, nil
	})
}

func refOf(info *resource.Info) kubekit.Ref {
	version, kind := info.Mapping.GroupVersionKind.ToAPIVersionAndKind()
	return kubekit.Ref{APIVersion: version, Kind: kind, Namespace: info.Namespace, Name: info.Name}
}

// logTail returns the last lines that the failed hook's newest pod wrote, ready to be
// appended to an error, or "".
func (c *client) logTail(kind string, info *resource.Info) string {
	if c.ctx.Err() != nil {
		return ""
	}
	selector := metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=" + info.Name}
	if kind == "Pod" {
		selector = metav1.ListOptions{FieldSelector: "metadata.name=" + info.Name}
	}
	pods, err := c.cluster.Client().CoreV1().Pods(info.Namespace).List(c.ctx, selector)
	if err != nil || len(pods.Items) == 0 {
		return ""
	}
	newest := pods.Items[0]
	for _, p := range pods.Items[1:] {
		if p.CreationTimestamp.After(newest.CreationTimestamp.Time) {
			newest = p
		}
	}
	lines := int64(5)
	text := c.cluster.LogTail(c.ctx, &newest, &corev1.PodLogOptions{TailLines: &lines})
	if text == "" {
		return ""
	}
	return fmt.Sprintf(" (the last words of pod %s: %s)", newest.Name, text)
}

// WaitForDelete waits until the objects are gone, for instance a hook's old Job
// before the new one is made.
func (c *client) WaitForDelete(resources kube.ResourceList, _ time.Duration) error {
	for _, info := range resources {
		err := c.cluster.Until(c.ctx, refOf(info), func(st kubekit.Status) (bool, error) {
			if st.Object != nil {
				c.env.Statusf("waiting for the deletion of %s", st.Ref)
			}
			return st.Object == nil, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Update is Helm's, with three differences: a field that a manifest leaves empty
// removes nothing (see [manifest.WithoutEmpty]), lists with merge keys that occur twice
// become those of the manifest (see [manifest.RepeatsKeys]), and the fields that
// controllers keep stay (see [release.KeptFields]).
func (c *client) Update(original, target kube.ResourceList, force bool) (*kube.Result, error) {
	if force {
		return c.Client.Update(original, target, force)
	}
	refs := make([]kubekit.Ref, len(target))
	for i, info := range target {
		refs[i] = refOf(info)
	}
	live, err := c.cluster.Read(c.ctx, refs...)
	if err != nil {
		return &kube.Result{}, err
	}
	var repeating kube.ResourceList
	for i, info := range target {
		before := original.Get(info)
		if live[i] == nil || before == nil {
			continue
		}
		was, isObject := before.Object.(*unstructured.Unstructured)
		want, isObjectToo := info.Object.(*unstructured.Unstructured)
		if !isObject || !isObjectToo {
			continue
		}
		ignored, err := release.KeptFields(c.ctx, c.cluster, was, want, live[i])
		if err != nil {
			return &kube.Result{}, err
		}
		was, want = manifest.WithIgnored(was, live[i], ignored), manifest.WithIgnored(want, live[i], ignored)
		repeats, err := manifest.RepeatsKeys(want, was, live[i])
		if err != nil {
			return &kube.Result{}, err
		}
		if !repeats {
			before.Object, info.Object = manifest.WithoutEmpty(was, want, live[i])
			continue
		}
		ch := &release.Change{Ref: refs[i], Live: live[i]}
		ch.Aim = func(context.Context, *unstructured.Unstructured) (original, target *unstructured.Unstructured, err error) {
			return was, want, nil
		}
		if err := ch.Plan(c.ctx); err != nil {
			return &kube.Result{}, err
		}
		if err := ch.Apply(c.ctx, c.cluster); err != nil {
			return &kube.Result{}, err
		}
		repeating = append(repeating, info)
	}
	res, err := c.Client.Update(original.Difference(repeating), target.Difference(repeating), force)
	res.Updated = append(res.Updated, repeating...)
	return res, err
}
