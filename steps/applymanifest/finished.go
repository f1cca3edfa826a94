package applymanifest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/applymanifest/completion"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// completionPath is the end of the path of the edit that records a completion.
const completionPath = "/completion"

// keepVigil watches the object that was just made until it has ended or is gone.
func (r *run) keepVigil(ctx context.Context, o *object, made *unstructured.Unstructured) error {
	resource, err := r.resource(o)
	if err != nil {
		return err
	}
	_, err = engine.Share(ctx, r.env.Session, r.vigilKey(o, made.GetUID()), func(ctx context.Context) (*completion.Vigil, error) {
		return completion.Watch(ctx, resource, made), nil
	})
	return err
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
	if f, ok := seen.Load(o.recordKey() + "/" + o.ref.Namespace); ok && f.(completion.Finish).Digest == o.digest() {
		o.finished = f.(completion.Finish).UID
		return nil
	}
	f, err := completion.Load(ctx, r.cluster.Client().CoreV1().ConfigMaps(o.ref.Namespace), o.recordKey())
	if err == nil && f.Digest == o.digest() {
		o.finished = f.UID
	}
	return err
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
	v, ok := engine.Opened[*completion.Vigil](r.env.Session, r.vigilKey(o, uid))
	if !ok {
		return engine.Edit{}, false, nil
	}
	select {
	case <-v.Over():
	default:
		return engine.Edit{
			Path: r.path(o) + "/ready",
			Have: "it is gone: how it ended is not known yet",
			Want: "ready",
			Await: func(ctx context.Context) error {
				select {
				case <-v.Over():
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			},
		}, true, nil
	}
	switch end := kubestatus.Ended(v.Last()); {
	case end.Failed:
		return engine.Edit{}, false, r.hopeless(ctx, o, end)
	case end.Done:
		return r.recordEdit(o, v.Last().GetUID()), true, nil
	}
	return engine.Edit{}, false, nil // it was deleted
}

func (r *run) recordEdit(o *object, uid types.UID) engine.Edit {
	return engine.Edit{
		Path:  r.path(o) + completionPath,
		Have:  "completed",
		Want:  "completed and recorded",
		Note:  "in ConfigMap " + completion.Record + ", so that it is not run again when it is gone",
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
	f := completion.Finish{Digest: o.digest(), UID: uid, Time: r.env.Now().UTC().Truncate(time.Second)}
	err = completion.Save(ctx, r.cluster.Client().CoreV1().ConfigMaps(o.ref.Namespace), o.recordKey(), f, r.spec.FieldManager)
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
