package applymanifest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// recordName is the ConfigMap, beside the objects, that names those of them that have
// run to their end. It is in the cluster so that runs on every machine know, and
// it goes with the namespace, as the work does.
const recordName = "ztplan-completed"

// completion is the end of the path of the edit that records one.
const completion = "/completion"

// A finish is one entry of the record: the object that a manifest with this
// digest made has run to its end.
type finish struct {
	Digest string    `json:"digest"` // of the manifest
	UID    types.UID `json:"uid"`
	Time   time.Time `json:"time"` // of the record
}

// A vigil watches an object that the step has made, so that its end is seen even
// if the cluster removes it at once.
type vigil struct {
	cancel   context.CancelFunc
	watching engine.Group
	over     chan struct{} // closed when the object has ended or is gone
	last     *unstructured.Unstructured
}

// Close ends the watch.
func (v *vigil) Close() error {
	v.cancel()
	v.watching.Wait()
	return nil
}

// keepVigil watches the object that was just made until it has ended or is gone.
func (r *run) keepVigil(ctx context.Context, o *object, made *unstructured.Unstructured) error {
	resource, err := r.resource(o)
	if err != nil {
		return err
	}
	_, err = engine.Share(ctx, r.env.Session, r.vigilKey(o, made.GetUID()), func(ctx context.Context) (*vigil, error) {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		v := &vigil{cancel: cancel, over: make(chan struct{}), last: made}
		v.watching.Go(func() {
			defer close(v.over)
			for ctx.Err() == nil {
				events, err := resource.Watch(ctx, metav1.ListOptions{
					FieldSelector: "metadata.name=" + o.ref.Name, ResourceVersion: v.last.GetResourceVersion(),
				})
				if err != nil {
					return // the looks at the object have to do
				}
				if v.follow(events) {
					return
				}
			}
		})
		return v, nil
	})
	return err
}

// follow returns true when there is nothing more to see.
func (v *vigil) follow(events watch.Interface) bool {
	defer events.Stop()
	for e := range events.ResultChan() {
		obj, ok := e.Object.(*unstructured.Unstructured)
		if e.Type == watch.Error || !ok || obj.GetUID() != v.last.GetUID() {
			return true
		}
		v.last = obj
		if end := kubestatus.Ended(obj); end.Done || end.Failed || e.Type == watch.Deleted {
			return true
		}
	}
	return false
}

func (r *run) vigilKey(o *object, uid types.UID) string {
	return fmt.Sprintf("applyManifest vigil %s %s", o.ref, uid)
}

// finishes returns the session's memory of the objects that were made and that have ended,
// which also counts when the record cannot be written.
func (r *run) finishes(ctx context.Context) (*sync.Map, error) {
	return engine.Share(ctx, r.env.Session, "applyManifest finishes "+r.env.Step, func(context.Context) (*sync.Map, error) { return new(sync.Map), nil })
}

func (o *object) recordKey() string { return o.ref.Kind + "." + o.ref.Name }

// digest identifies the content of the manifest.
func (o *object) digest() string {
	text, err := json.Marshal(o.obj.Object)
	if err != nil { // it came from JSON
		return ""
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(text))
}

// lookAtEnd finds out whether the object of this manifest has run to its end
// before.
func (r *run) lookAtEnd(ctx context.Context, o *object) error {
	seen, err := r.finishes(ctx)
	if err != nil {
		return err
	}
	if f, ok := seen.Load(o.recordKey() + "/" + o.ref.Namespace); ok && f.(finish).Digest == o.digest() {
		o.finished = f.(finish).UID
		return nil
	}
	record, err := r.cluster.Client().CoreV1().ConfigMaps(o.ref.Namespace).Get(ctx, recordName, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return nil
	case err != nil:
		return err
	}
	var f finish
	if json.Unmarshal([]byte(record.Data[o.recordKey()]), &f) == nil && f.Digest == o.digest() {
		o.finished = f.UID
	}
	return nil
}

// endEdit returns the edit that is left for an object that vanishes: to record
// that it has run to its end, or to wait until that is known. It is false if
// there is none.
func (r *run) endEdit(ctx context.Context, o *object) (engine.Edit, bool, error) {
	if o.live != nil {
		if kubestatus.Ended(o.live).Done && o.live.GetDeletionTimestamp() == nil {
			return r.recordEdit(o, o.live.GetUID()), true, nil
		}
		return engine.Edit{}, false, nil
	}
	seen, err := r.finishes(ctx)
	if err != nil {
		return engine.Edit{}, false, err
	}
	stored, _ := seen.Load(o.ref.String())
	uid, _ := stored.(types.UID)
	v, ok := engine.Opened[*vigil](r.env.Session, r.vigilKey(o, uid))
	if !ok {
		return engine.Edit{}, false, nil
	}
	select {
	case <-v.over:
	default:
		return engine.Edit{
			Path: r.path(o) + "/ready",
			Have: "it is gone: how it ended is not known yet",
			Want: "ready",
			Await: func(ctx context.Context) error {
				select {
				case <-v.over:
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			},
		}, true, nil
	}
	switch end := kubestatus.Ended(v.last); {
	case end.Failed:
		return engine.Edit{}, false, r.hopeless(ctx, o, end)
	case end.Done:
		return r.recordEdit(o, v.last.GetUID()), true, nil
	}
	return engine.Edit{}, false, nil // it was deleted
}

func (r *run) recordEdit(o *object, uid types.UID) engine.Edit {
	return engine.Edit{
		Path:  r.path(o) + completion,
		Have:  "completed",
		Want:  "completed and recorded",
		Note:  "in ConfigMap " + recordName + ", so that it is not run again when it is gone",
		Apply: func(ctx context.Context) error { return r.recordEnd(ctx, o, uid) },
	}
}

// recordEnd records that the object has run to its end. Without the permission
// that is known until the end of the run only.
func (r *run) recordEnd(ctx context.Context, o *object, uid types.UID) error {
	seen, err := r.finishes(ctx)
	if err != nil {
		return err
	}
	f := finish{Digest: o.digest(), UID: uid, Time: r.env.Now().UTC().Truncate(time.Second)}
	entry, err := json.Marshal(f)
	if err != nil {
		return err
	}
	data := map[string]string{o.recordKey(): string(entry)}
	err = mergeData(ctx, r.cluster.Client().CoreV1().ConfigMaps(o.ref.Namespace), data, r.spec.FieldManager)
	if apierrors.IsForbidden(err) {
		r.env.Warnf("%s has completed, and that cannot be recorded: when it is gone, the next run makes it again: %v", o.ref, err)
		err = nil
	}
	if err != nil {
		return fmt.Errorf("%s: recording its completion: %w", o.ref, kubekit.Classify(err))
	}
	seen.Store(o.recordKey()+"/"+o.ref.Namespace, f)
	return nil
}

// mergeData adds data to the record, which is made if there is none.
func mergeData(ctx context.Context, maps typedcorev1.ConfigMapInterface, data map[string]string, manager string) error {
	patch, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		return err
	}
	merge := func() error {
		_, err := maps.Patch(ctx, recordName, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager})
		return err
	}
	if err = merge(); !apierrors.IsNotFound(err) {
		return err
	}
	_, err = maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: recordName}, Data: data}, metav1.CreateOptions{FieldManager: manager})
	if apierrors.IsAlreadyExists(err) {
		return merge()
	}
	return err
}
