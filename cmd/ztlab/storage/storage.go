// Package storage is a lab's default StorageClass: a claim is bound to a fresh
// directory below the lab's state directory, which lives until the claim is
// deleted. The data of a StatefulSet's pod is there again after a restart of
// the pod and of the lab.
package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

const (
	// ClassName is the name of the default StorageClass; kind's.
	ClassName = "standard"
	// provisionerName is the provisioner of StorageClasses whose claims are directories.
	provisionerName = "ztlab.ztplan.dev/directory"

	annDefaultClass  = "storageclass.kubernetes.io/is-default-class"
	annSelectedNode  = "volume.kubernetes.io/selected-node"
	annProvisionedBy = "pv.kubernetes.io/provisioned-by"
)

// A Provisioner makes and removes volumes. Create it with [New].
type Provisioner struct {
	client  kubernetes.Interface
	root    string
	logf    func(string, ...any)
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	classes storagelisters.StorageClassLister
	synced  []cache.InformerSynced
	queue   workqueue.TypedRateLimitingInterface[item]
}

// An item names a claim, or a volume when namespace is empty.
type item struct{ namespace, name string }

// New watches claims and volumes of a factory that has not been started yet.
// Volumes are directories below root.
func New(client kubernetes.Interface, f informers.SharedInformerFactory, root string, logf func(string, ...any)) (*Provisioner, error) {
	claims, volumes := f.Core().V1().PersistentVolumeClaims(), f.Core().V1().PersistentVolumes()
	classes := f.Storage().V1().StorageClasses()
	p := &Provisioner{
		client: client, root: root, logf: logf,
		claims: claims.Lister(), volumes: volumes.Lister(), classes: classes.Lister(),
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[item]()),
	}
	for _, informer := range []cache.SharedIndexInformer{claims.Informer(), volumes.Informer(), classes.Informer()} {
		p.synced = append(p.synced, informer.HasSynced)
	}
	for _, informer := range []cache.SharedIndexInformer{claims.Informer(), volumes.Informer()} {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    p.enqueue,
			UpdateFunc: func(_, obj any) { p.enqueue(obj) },
		})
		if err != nil {
			return nil, fmt.Errorf("storage: %w", err)
		}
	}
	return p, nil
}

func (p *Provisioner) enqueue(obj any) {
	if m, ok := obj.(metav1.Object); ok {
		p.queue.Add(item{m.GetNamespace(), m.GetName()})
	}
}

// EnsureClass creates the default StorageClass unless there is one of its
// name. Like kind's it waits for the first pod that uses a claim.
func EnsureClass(ctx context.Context, client kubernetes.Interface) error {
	reclaim, binding := corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingWaitForFirstConsumer
	_, err := client.StorageV1().StorageClasses().Create(ctx, &storagev1.StorageClass{
		ObjectMeta:        metav1.ObjectMeta{Name: ClassName, Annotations: map[string]string{annDefaultClass: "true"}},
		Provisioner:       provisionerName,
		ReclaimPolicy:     &reclaim,
		VolumeBindingMode: &binding,
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("storage class %s: %w", ClassName, err)
	}
	return nil
}

// Run provisions until ctx ends.
func (p *Provisioner) Run(ctx context.Context) {
	context.AfterFunc(ctx, p.queue.ShutDown)
	if !cache.WaitForCacheSync(ctx.Done(), p.synced...) {
		return
	}
	for {
		it, down := p.queue.Get()
		if down {
			return
		}
		if err := p.handle(ctx, it); err != nil && ctx.Err() == nil {
			p.logf("storage: %s/%s: %v", it.namespace, it.name, err)
			p.queue.AddRateLimited(it)
		} else {
			p.queue.Forget(it)
		}
		p.queue.Done(it)
	}
}

func (p *Provisioner) handle(ctx context.Context, it item) error {
	if it.namespace == "" {
		return p.handleVolume(ctx, it.name)
	}
	return p.handleClaim(ctx, it)
}

// handleClaim makes the volume of a claim that is ours and has none.
func (p *Provisioner) handleClaim(ctx context.Context, it item) error {
	claim, err := p.claims.PersistentVolumeClaims(it.namespace).Get(it.name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil || claim.Spec.StorageClassName == nil {
		return nil
	}
	class, err := p.classes.Get(*claim.Spec.StorageClassName)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	waits := class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
	if class.Provisioner != provisionerName || waits && claim.Annotations[annSelectedNode] == "" {
		return nil
	}
	if claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == corev1.PersistentVolumeBlock {
		return errors.New("a directory cannot be a block device; use volumeMode Filesystem")
	}
	volume := p.volume(claim, class)
	// The container may run as any user; the lab's directory above keeps other
	// users out.
	if err := os.MkdirAll(volume.Spec.HostPath.Path, 0o700); err != nil {
		return err
	}
	_, err = p.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// volume names the directory after the claim, so that a user finds it.
func (p *Provisioner) volume(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) *corev1.PersistentVolume {
	name := "pvc-" + string(claim.UID)
	v := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{annProvisionedBy: provisionerName}},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:      claim.Spec.AccessModes,
			Capacity:         corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			StorageClassName: class.Name,
			VolumeMode:       claim.Spec.VolumeMode,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
		},
	}
	v.Spec.HostPath = &corev1.HostPathVolumeSource{
		Path: filepath.Join(p.root, fmt.Sprintf("%s_%s_%s", name, claim.Namespace, claim.Name)),
	}
	if class.ReclaimPolicy != nil {
		v.Spec.PersistentVolumeReclaimPolicy = *class.ReclaimPolicy
	}
	return v
}

// handleVolume removes a volume whose claim is gone.
func (p *Provisioner) handleVolume(ctx context.Context, name string) error {
	v, err := p.volumes.Get(name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if v.Annotations[annProvisionedBy] != provisionerName || v.Status.Phase != corev1.VolumeReleased ||
		v.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete || v.Spec.HostPath == nil {
		return nil
	}
	// Never follow a path that another program wrote into the object.
	if filepath.Dir(filepath.Clean(v.Spec.HostPath.Path)) != filepath.Clean(p.root) {
		return fmt.Errorf("its directory %s is not below %s; remove both by hand", v.Spec.HostPath.Path, p.root)
	}
	if err := os.RemoveAll(v.Spec.HostPath.Path); err != nil {
		return err
	}
	err = p.client.CoreV1().PersistentVolumes().Delete(ctx, name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
