// Package completion knows how work ended that the cluster may remove at once, such as a
// Job with a time to live: by a watch during the run, and afterwards by a record in the
// cluster.
package completion

import (
	"context"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// Record is the ConfigMap, beside the objects, that names those of them that have
// run to their end. It is in the cluster so that runs on every machine know, and
// it goes with the namespace, as the work does.
const Record = "ztplan-completed"

// A Finish is one entry of the record: the object that a manifest with this
// digest made has run to its end.
type Finish struct {
	Digest string    `json:"digest"` // of the manifest
	UID    types.UID `json:"uid"`
	Time   time.Time `json:"time"` // of the record
}

// Load reads an entry of the record. It is zero if there is none, or if the record may not
// be read.
func Load(ctx context.Context, maps typedcorev1.ConfigMapInterface, key string) (f Finish, err error) {
	record, err := maps.Get(ctx, Record, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return f, nil
	case err != nil:
		return f, err
	}
	if json.Unmarshal([]byte(record.Data[key]), &f) != nil {
		f = Finish{}
	}
	return f, nil
}

// Save writes an entry of the record as a field manager.
func Save(ctx context.Context, maps typedcorev1.ConfigMapInterface, key string, f Finish, manager string) error {
	entry, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return mergeData(ctx, maps, map[string]string{key: string(entry)}, manager)
}

// mergeData adds data to the record, which is made if there is none.
func mergeData(ctx context.Context, maps typedcorev1.ConfigMapInterface, data map[string]string, manager string) error {
	patch, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		return err
	}
	merge := func() error {
		_, err := maps.Patch(ctx, Record, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager})
		return err
	}
	if err = merge(); !apierrors.IsNotFound(err) {
		return err
	}
	_, err = maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: Record}, Data: data}, metav1.CreateOptions{FieldManager: manager})
	if apierrors.IsAlreadyExists(err) {
		return merge()
	}
	return err
}
