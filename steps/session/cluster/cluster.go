// Package cluster names the cluster that a plan is about and reads the facts
// about it that evidence and attestations record.
package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/session"
)

// Server returns the address of the API server, as the kubeconfig has it, and ""
// if the kubeconfig names none. It contacts nothing.
func Server(c session.Cluster) string { return kubekit.Server(c) }

// Contexts returns the names of the contexts of a kubeconfig, sorted, and the one that is
// used; none if it cannot be read. It contacts nothing.
func Contexts(c session.Cluster) (names []string, used string) { return kubekit.Contexts(c) }

// mostPods bounds the pods of a namespace that are read.
const mostPods = 500

// Facts describe a cluster.
type Facts struct {
	Cluster evidence.Cluster
	User    string           // who asks, as the API server knows them
	Images  []evidence.Image // of the pods in the namespaces, sorted
	Missing []string         // the facts that could not be read, and why
}

// Read reads the facts of the cluster that a run has reached, with three small
// requests and one for each namespace. It changes nothing, and contacts nothing
// that the run did not. A fact that cannot be read is in Missing and never an error.
func Read(ctx context.Context, env *engine.Env, namespaces []string) Facts {
	var f Facts
	c, ok := kubekit.Connected(env)
	if !ok {
		f.Missing = append(f.Missing, "cluster: the run did not reach one")
		return f
	}
	f.Cluster.Server = withoutUser(c.Host())
	var mu sync.Mutex
	var wg engine.Group
	read := func(what string, get func() error) {
		wg.Go(func() {
			err := get()
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				f.Missing = append(f.Missing, what+": "+firstLine(err))
			}
		})
	}
	read("version of the API server", func() error {
		data, err := c.Client().Discovery().RESTClient().Get().AbsPath("/version").DoRaw(ctx)
		var v struct {
			GitVersion string `json:"gitVersion"`
		}
		if err == nil {
			err = json.Unmarshal(data, &v)
		}
		f.Cluster.Version = v.GitVersion
		return err
	})
	read("UID of the cluster", func() error {
		ns, err := c.Client().CoreV1().Namespaces().Get(ctx, "kube-system", metav1.GetOptions{})
		if err == nil {
			f.Cluster.UID = string(ns.UID)
		}
		return err
	})
	read("user", func() error {
		me, err := c.Client().AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if err == nil {
			f.User = me.Status.UserInfo.Username
		}
		return err
	})
	for _, ns := range namespaces {
		read("images in "+ns, func() error {
			pods, err := c.Client().CoreV1().Pods(ns).List(ctx, metav1.ListOptions{Limit: mostPods})
			if err != nil {
				return err
			}
			images := imagesOf(ns, pods.Items)
			mu.Lock()
			defer mu.Unlock()
			f.Images = append(f.Images, images...)
			if pods.Continue != "" {
				return fmt.Errorf("only the first %d pods were read", mostPods)
			}
			return nil
		})
	}
	wg.Wait()
	slices.SortFunc(f.Images, func(a, b evidence.Image) int {
		return strings.Compare(a.Namespace+" "+a.Image+" "+a.ID, b.Namespace+" "+b.Image+" "+b.ID)
	})
	slices.Sort(f.Missing)
	return f
}

// imagesOf returns the images of the containers of pods, each once.
func imagesOf(namespace string, pods []corev1.Pod) []evidence.Image {
	var out []evidence.Image
	for _, p := range pods {
		for _, s := range p.Status.ContainerStatuses {
			if s.State.Running == nil {
				continue
			}
			is := func(i evidence.Image) bool { return i.Image == s.Image && i.ID == s.ImageID }
			if at := slices.IndexFunc(out, is); at >= 0 {
				out[at].Containers++
				continue
			}
			out = append(out, evidence.Image{Namespace: namespace, Image: s.Image, ID: s.ImageID, Containers: 1})
		}
	}
	return out
}

// withoutUser takes a name and a password out of an address.
func withoutUser(address string) string {
	if u, err := url.Parse(address); err == nil && u.User != nil {
		u.User = nil
		return u.String()
	}
	return address
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// Permissions are needed by Read for a complete record.
func Permissions(namespaces []string) []engine.Permission {
	const reason = "names the cluster and the images in the evidence"
	list := []engine.Permission{{Verbs: []string{"get"}, Resource: "namespaces", Name: "kube-system", Reason: reason, Write: true}}
	for _, ns := range namespaces {
		list = append(list, engine.Permission{Verbs: []string{"list"}, Resource: "pods", Namespace: ns, Reason: reason, Write: true})
	}
	return list
}
