package helmkit

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"

	helmrelease "helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"

	"github.com/ztplan/ztplan/steps/internal/helmkit/release"
)

// storable returns why the release cannot be stored, if it is larger than a Secret
// may be. Helm stores chart, values and manifest together, compressed and in
// base64. Source: https://helm.sh/docs/topics/advanced/#storage-backends
func (o *Operation) storable(r *Rendering) error {
	text, err := json.Marshal(helmrelease.Release{Name: o.Name, Chart: o.Chart.Parsed(), Config: o.Values, Manifest: r.manifest})
	if err != nil || len(text) < corev1.MaxSecretSize/2 {
		return err
	}
	var stored bytes.Buffer
	z, err := gzip.NewWriterLevel(&stored, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(text); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	if n := base64.StdEncoding.EncodedLen(stored.Len()); n > corev1.MaxSecretSize {
		return release.Explain(fmt.Errorf("release %s/%s takes %d bytes. Too long: may not be more than %d bytes in a Secret", o.Namespace, o.Name, n, corev1.MaxSecretSize))
	}
	return nil
}
