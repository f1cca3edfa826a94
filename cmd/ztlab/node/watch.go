package node

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	listersv1 "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"github.com/ztplan/ztplan/cmd/ztlab/node/syncperiod"
)

// watch handles this node's pods, and the objects that they refer to, until ctx ends.
// It returns when the first pods have been seen.
func (a *Agent) watch(ctx context.Context) error {
	all := informers.NewSharedInformerFactory(a.client, 0)
	services := all.Core().V1().Services()
	a.services = serviceLister{services.Lister()}
	sources := map[sourceKind]cache.SharedIndexInformer{
		configMapSource: all.Core().V1().ConfigMaps().Informer(),
		secretSource:    all.Core().V1().Secrets().Informer(),
		claimSource:     all.Core().V1().PersistentVolumeClaims().Informer(),
	}
	for kind, informer := range sources {
		changed := func(o any) { a.sourceChanged(kind, o) }
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    changed,
			UpdateFunc: func(_, o any) { changed(o) },
			DeleteFunc: changed,
		}); err != nil {
			return fmt.Errorf("node: watch: %w", err)
		}
	}
	mine := informers.NewSharedInformerFactoryWithOptions(a.client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", a.conf.NodeName).String()
	}))
	pods := mine.Core().V1().Pods().Informer()
	if _, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { a.podChanged(ctx, o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { a.podChanged(ctx, o.(*corev1.Pod)) },
		DeleteFunc: func(o any) { a.podGone(o) },
	}); err != nil {
		return fmt.Errorf("node: watch: %w", err)
	}
	all.Start(ctx.Done())
	all.WaitForCacheSync(ctx.Done())
	mine.Start(ctx.Done())
	mine.WaitForCacheSync(ctx.Done())
	return nil
}

// podChanged starts or updates the pod's worker. Pods that have ended and are
// not being deleted need none.
func (a *Agent) podChanged(ctx context.Context, pod *corev1.Pod) {
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	if ended && pod.DeletionTimestamp == nil && a.worker(pod.UID) == nil {
		return
	}
	a.ensure(ctx, pod)
}

// podGone stops the containers of a pod whose API object has vanished.
func (a *Agent) podGone(o any) {
	if unknown, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = unknown.Obj
	}
	if pod, ok := o.(*corev1.Pod); ok {
		a.mu.Lock()
		w := a.workers[pod.UID]
		delete(a.deleted, pod.UID)
		a.mu.Unlock()
		if w != nil {
			w.vanish()
		}
	}
}

// A sourceKind is a kind of object that pods take files or variables from.
type sourceKind int

const (
	configMapSource sourceKind = iota
	secretSource
	claimSource
)

// sourceChanged refreshes the pods that refer to the object.
func (a *Agent) sourceChanged(kind sourceKind, o any) {
	if unknown, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = unknown.Obj
	}
	object, ok := o.(metav1.Object)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.workers {
		if w.namespace == object.GetNamespace() && w.sources[source{kind, object.GetName()}] {
			w.mu.Lock()
			late := syncperiod.Of(w.latest)
			w.mu.Unlock()
			time.AfterFunc(late, w.refresh)
		}
	}
}

// A serviceLister lists the services that a pod's environment names.
type serviceLister struct{ listersv1.ServiceLister }

// forPod returns the services of a namespace and the API server's, as the
// kubelet does (pkg/kubelet: getServiceEnvVarMap); links is
// spec.enableServiceLinks.
func (l serviceLister) forPod(namespace string, links bool) ([]*corev1.Service, error) {
	if l.ServiceLister == nil {
		return nil, nil
	}
	byName := map[string]*corev1.Service{}
	if api, err := l.Services(metav1.NamespaceDefault).Get("kubernetes"); err == nil {
		byName[api.Name] = api
	}
	if links {
		own, err := l.Services(namespace).List(labels.Everything())
		if err != nil {
			return nil, err
		}
		for _, s := range own {
			byName[s.Name] = s
		}
	}
	var list []*corev1.Service
	for _, s := range byName {
		list = append(list, s)
	}
	return list, nil
}

// startEvents begins to send events to the API server.
func (a *Agent) startEvents() (stop func()) {
	b := record.NewBroadcaster()
	b.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: a.client.CoreV1().Events("")})
	a.events = b.NewRecorder(scheme.Scheme, corev1.EventSource{Component: runtimeName + "-node", Host: a.conf.NodeName})
	return b.Shutdown
}
