package storage_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/ztplan/ztplan/cmd/ztlab/storage"
)

// start runs a provisioner; its log goes to the channel.
func start(t *testing.T, client kubernetes.Interface, root string) <-chan string {
	t.Helper()
	logged := make(chan string, 100)
	f := informers.NewSharedInformerFactory(client, 0)
	p, err := storage.New(client, f, root, func(format string, args ...any) { logged <- fmt.Sprintf(format, args...) })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.Start(ctx.Done())
	f.WaitForCacheSync(ctx.Done())
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return logged
}

// next returns the next volume that a watch reports.
func next(t *testing.T, w watch.Interface) watch.Event {
	t.Helper()
	select {
	case e := <-w.ResultChan():
		return e
	case <-time.After(time.Minute):
		t.Fatal("no event for a volume")
		return watch.Event{}
	}
}

func claim(name string, annotations map[string]string) *corev1.PersistentVolumeClaim {
	class := storage.ClassName
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "vault", Name: name, UID: types.UID("uid-" + name), Annotations: annotations},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &class,
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceStorage: resource.MustParse("1Gi"),
			}},
		},
	}
}

var selected = map[string]string{"volume.kubernetes.io/selected-node": "ztlab-control-plane"}

func client(t *testing.T, objects ...runtime.Object) (*fake.Clientset, watch.Interface) {
	t.Helper()
	c := fake.NewClientset(objects...)
	if err := storage.EnsureClass(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := storage.EnsureClass(t.Context(), c); err != nil {
		t.Fatalf("a second time: %v", err)
	}
	w, err := c.CoreV1().PersistentVolumes().Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return c, w
}

func TestDefaultClass(t *testing.T) {
	c, _ := client(t)
	class, err := c.StorageV1().StorageClasses().Get(t.Context(), storage.ClassName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if class.Annotations["storageclass.kubernetes.io/is-default-class"] != "true" {
		t.Error("the class is not the default")
	}
	if *class.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer {
		t.Errorf("binding mode = %s, want that of kind's class", *class.VolumeBindingMode)
	}
}

func TestClaimGetsADirectory(t *testing.T) {
	root := t.TempDir()
	c, volumes := client(t, claim("data-vault-0", selected))
	start(t, c, root)
	volume := next(t, volumes).Object.(*corev1.PersistentVolume)
	if ref := volume.Spec.ClaimRef; ref == nil || ref.UID != "uid-data-vault-0" || ref.Namespace != "vault" {
		t.Errorf("claimRef = %+v, want the claim", ref)
	}
	path := volume.Spec.HostPath.Path
	if filepath.Dir(path) != root {
		t.Errorf("directory = %s, want one below %s", path, root)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory %s: %v, %v, want mode 700", path, info, err)
	}
	if got := volume.Spec.PersistentVolumeReclaimPolicy; got != corev1.PersistentVolumeReclaimDelete {
		t.Errorf("reclaim policy = %s, want the class's", got)
	}
}

// A claim of another class, or one that no pod uses yet, gets nothing; the one
// that is created last shows that the others were passed over.
func TestClaimsThatAreNotOurs(t *testing.T) {
	other := claim("other", selected)
	name := "fast"
	other.Spec.StorageClassName = &name
	bound := claim("bound", selected)
	bound.Spec.VolumeName = "there"
	c, volumes := client(t, other, bound, claim("unused", nil))
	start(t, c, t.TempDir())
	_, err := c.CoreV1().PersistentVolumeClaims("vault").Create(t.Context(), claim("ours", selected), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := next(t, volumes).Object.(*corev1.PersistentVolume).Spec.ClaimRef.Name; got != "ours" {
		t.Errorf("a volume was made for %s", got)
	}
}

func released(root, path string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name: "pvc-1", Annotations: map[string]string{"pv.kubernetes.io/provisioned-by": "ztlab.ztplan.dev/directory"},
		},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeReleased},
	}
}

func TestReleasedVolumeIsRemoved(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "pvc-1_vault_data")
	if err := os.MkdirAll(filepath.Join(path, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, volumes := client(t, released(root, path))
	start(t, c, root)
	for next(t, volumes).Type != watch.Deleted { // a watch may begin with existing objects
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("directory of a deleted volume: %v, want that it is gone", err)
	}
}

func TestForeignPathIsNeverRemoved(t *testing.T) {
	root, precious := t.TempDir(), t.TempDir()
	c, _ := client(t, released(root, precious))
	logged := start(t, c, root)
	select {
	case <-logged:
	case <-time.After(time.Minute):
		t.Error("nothing was logged about a volume outside the lab")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("a directory outside the lab: %v", err)
	}
}
