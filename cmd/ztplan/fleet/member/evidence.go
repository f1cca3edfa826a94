package member

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/registry"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

// KeyEvidence is the key of the ConfigMap of a try.
const KeyEvidence = "evidence.json.gz"

// maxEvidence is how many bytes of compressed evidence a ConfigMap takes.
const maxEvidence = 1000 << 10

// KeyManifest is the key of the ConfigMap of a try whose evidence is in a registry: the
// digest of the manifest.
const KeyManifest = "manifest"

// Keep stores the evidence of the try and its verdict in a ConfigMap named as the pod. It
// is never changed: each try has its own. With a registry, the evidence is there, and the
// ConfigMap has its digest.
func (m *Member) Keep(ctx context.Context, v record.Verdict, document []byte) error {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(document)
	}
	if err = errors.Join(err, z.Close()); err != nil {
		return err
	}
	stored := map[string][]byte{KeyEvidence: packed.Bytes()}
	if m.Run.Registry != nil {
		manifest, err := m.push(ctx, v, packed.Bytes())
		if err != nil {
			return err
		}
		stored = map[string][]byte{KeyManifest: []byte(manifest)}
	} else if packed.Len() > maxEvidence {
		return engine.WithHint(fmt.Errorf("the evidence has %d bytes when compressed, and a ConfigMap takes at most %d", packed.Len(), maxEvidence), "send it to a registry: evidence: {to: oci, repository: …}")
	}
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: m.pod.Name, Namespace: m.pod.Namespace, Labels: map[string]string{
			record.LabelFleet: m.Run.Fleet, record.LabelRun: m.Run.ID, record.LabelRound: strconv.Itoa(m.Run.Round),
			record.LabelWave: m.Wave.Name, record.LabelKind: "evidence", "app.kubernetes.io/managed-by": "ztplan",
		}, Annotations: map[string]string{record.AnnotationVerdict: string(v.Encode())}},
		Immutable:  ptr.To(true),
		BinaryData: stored,
	}
	_, err = m.hub.CoreV1().ConfigMaps(m.pod.Namespace).Create(ctx, cm, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) { // an answer may have been lost
		return fmt.Errorf("the hub: %w", err)
	}
	return nil
}

// push stores compressed evidence in the registry, with the tag RUN-POD, and returns the
// digest of its manifest.
func (m *Member) push(ctx context.Context, v record.Verdict, packed []byte) (manifest string, err error) {
	var config []byte
	if m.paths.Registry != "" {
		if config, err = engine.ReadFile(m.paths.Registry, maxFile); err != nil {
			return "", err
		}
	}
	repository, err := registry.Open(*m.Run.Registry, config)
	if err != nil {
		return "", err
	}
	err = repeat(ctx, func(ctx context.Context) error {
		manifest, err = repository.Push(ctx, m.Run.ID+"-"+m.pod.Name, v, packed)
		return err
	}, func(err error) bool { return errors.Is(err, engine.ErrPermanent) })
	return manifest, err
}

// Describe adds the facts in the evidence of the run to a verdict.
func Describe(v *record.Verdict, d *evidence.Document, document []byte) {
	v.Evidence = evidence.Digest(document)
	v.Result, v.Began, v.Ended = d.Result(), d.Run.Began, d.Run.Ended
	v.Steps, v.Version = len(d.Steps), d.Run.Version
	if d.Subject != nil && d.Subject.Cluster != nil {
		v.Server, v.UID = d.Subject.Cluster.Version, d.Subject.Cluster.UID
	}
	for _, s := range d.Steps {
		switch s.State {
		case "changed":
			v.Changed++
		case "proved":
			v.Proved++
		}
		switch {
		case s.Error != "" && v.Step == "":
			v.Step, v.Place, v.Cause, v.Hint = s.ID, s.Position, s.Error, s.Hint
		case s.State == "awaiting" && v.Result == engine.ResultAwaiting && v.Step == "":
			v.Step, v.Place, v.Cause = s.ID, s.Position, s.Reason
		}
	}
	for _, r := range d.Rotations {
		sum := rotation(r)
		if v.Rotation == nil || sum.Failures > v.Rotation.Failures || sum.Failures == v.Rotation.Failures && sum.Switch > v.Rotation.Switch {
			v.Rotation = &sum
		}
	}
}

func rotation(r evidence.RotationRecord) record.Rotation {
	sum := record.Rotation{Step: r.Step}
	if observed, _, ok := evidence.Switch(r.Hops); ok {
		sum.Switch = observed.Seconds()
	}
	for _, e := range r.Endpoints {
		sum.Handshakes += e.Attempts
		for n := range maps.Values(e.Failures) {
			sum.Failures += n
		}
	}
	for _, g := range r.Coverage {
		sum.Doubt = max(sum.Doubt, g.Doubt)
	}
	return sum
}
