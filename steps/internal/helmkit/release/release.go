// Package release reads the releases that Helm has stored, and compares the objects of
// a release with those of the cluster: the missing, changed, unready and outdated ones.
package release

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/chart"
	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/values"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// A Release is the newest revision of a release, as it is stored.
type Release struct {
	Name      string
	Namespace string
	Revision  int
	// Status is Helm's word: "deployed", "failed", "pending-install", ….
	Status      string
	Description string // Helm's note about the last operation

	Chart      string // the chart's name
	Version    string // the chart's version
	AppVersion string
	Values     values.Values // as the user gave them
	Manifest   string        // as it was rendered, without hooks and CRDs

	// EverDeployed means that some revision was deployed once: its install
	// hooks have run, and the next operation is an upgrade.
	EverDeployed bool

	stored *helmrelease.Release
	secret metav1.ObjectMeta
}

// ManifestDigest is the SHA-256 (hex) of the stored manifest.
func (r *Release) ManifestDigest() string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(r.Manifest)))
}

// Removed returns the objects of the release that an upgrade deletes: those that makes
// does not accept, but for those that are to be kept.
func (r *Release) Removed(makes func(manifest.Key) bool) ([]*unstructured.Unstructured, error) {
	objects, err := manifest.Objects(r.Manifest)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(objects, func(o *unstructured.Unstructured) bool { return makes(manifest.KeyOf(o)) || Kept(o) }), nil
}

// Kept reports whether Helm leaves an object alone that is not part of its release any
// more.
func Kept(o *unstructured.Unstructured) bool {
	return o.GetAnnotations()["helm.sh/resource-policy"] == "keep"
}

// Read returns the newest revision of a release, or nil if there is none. It
// lists the revisions' labels and reads the newest only: a history may weigh
// megabytes.
func Read(ctx context.Context, cluster *kubekit.Cluster, namespace, name string) (*Release, error) {
	wrap := func(err error) error {
		return fmt.Errorf("release %s/%s: %w", namespace, name, kubekit.Classify(err))
	}
	for {
		revisions, err := listRevisions(ctx, cluster, namespace, name)
		if err != nil {
			return nil, wrap(err)
		}
		if len(revisions) == 0 {
			return nil, nil
		}
		newest, ever := revisions[0], false
		for _, r := range revisions {
			if revisionOf(r) > revisionOf(newest) {
				newest = r
			}
			status := r.Labels["status"]
			ever = ever || status == "deployed" || status == "superseded"
		}
		rel, err := read(ctx, cluster, namespace, newest)
		if errors.Is(err, driver.ErrReleaseNotFound) && ctx.Err() == nil {
			continue // pruned in between
		}
		if err != nil {
			return nil, wrap(err)
		}
		rel.EverDeployed = ever
		return rel, nil
	}
}

func revisionOf(m metav1.ObjectMeta) int {
	n, _ := strconv.Atoi(m.Labels["version"])
	return n
}

// listRevisions asks for the metadata of the release's Secrets only.
func listRevisions(ctx context.Context, cluster *kubekit.Cluster, namespace, name string) ([]metav1.ObjectMeta, error) {
	answer := cluster.Client().CoreV1().RESTClient().Get().
		Namespace(namespace).Resource("secrets").
		Param("labelSelector", "owner=helm,name="+name).
		SetHeader("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json").
		Do(ctx)
	if err := answer.Error(); err != nil { // with the message, which Raw drops
		return nil, err
	}
	b, err := answer.Raw()
	if err != nil {
		return nil, err
	}
	var list metav1.PartialObjectMetadataList
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, err
	}
	revisions := make([]metav1.ObjectMeta, 0, len(list.Items))
	for _, item := range list.Items {
		revisions = append(revisions, item.ObjectMeta)
	}
	return revisions, nil
}

func read(ctx context.Context, cluster *kubekit.Cluster, namespace string, secret metav1.ObjectMeta) (*Release, error) {
	client, err := typedcorev1.NewForConfig(ConfigFor(ctx, cluster))
	if err != nil {
		return nil, err
	}
	stored, err := get(client.Secrets(namespace), secret.Name)
	if err != nil {
		return nil, err
	}
	secret.Namespace = namespace
	return New(stored, secret)
}

// get reads a stored release. Helm's driver panics when a Secret holds none.
func get(secrets typedcorev1.SecretInterface, name string) (r *helmrelease.Release, err error) {
	err = engine.Try(func() (err error) {
		r, err = driver.NewSecrets(secrets).Get(name)
		return err
	})
	if panicked := new(engine.PanicError); errors.As(err, &panicked) {
		return nil, engine.WithHint(
			engine.Permanent(fmt.Errorf("secret %s holds no release that can be read", name)),
			"restore it from a backup; if it is deleted, the revision before it counts")
	}
	return r, err
}

// New returns the release that a Secret holds, of whose name, namespace, version,
// time and labels the metadata is given.
func New(stored *helmrelease.Release, secret metav1.ObjectMeta) (*Release, error) {
	if stored.Info == nil || stored.Chart == nil || stored.Chart.Metadata == nil {
		return nil, engine.Permanent(fmt.Errorf("secret %s holds an incomplete release", secret.Name))
	}
	given, err := values.Normal(stored.Config)
	if err != nil {
		return nil, err
	}
	return &Release{
		Name:        stored.Name,
		Namespace:   secret.Namespace,
		Revision:    stored.Version,
		Status:      stored.Info.Status.String(),
		Description: stored.Info.Description,
		Chart:       stored.Chart.Name(),
		Version:     stored.Chart.Metadata.Version,
		AppVersion:  stored.Chart.AppVersion(),
		Values:      given,
		Manifest:    stored.Manifest,
		stored:      stored,
		secret:      secret,
	}, nil
}

// Watch returns the Watch of the stored release.
func (r *Release) Watch() kubekit.Watch {
	return kubekit.Watch{
		Ref:             kubekit.Ref{APIVersion: "v1", Kind: "Secret", Namespace: r.Namespace, Name: r.secret.Name},
		ResourceVersion: r.secret.ResourceVersion,
	}
}

// Labels that ztplan puts on the releases that it stores. Later revisions
// inherit labels, also those that others make, so each names its revision.
const (
	// chartLabel is "REVISION-DIGEST": the content of the chart, subcharts and
	// defaults included, which Helm does not store.
	chartLabel = "ztplan.dev/chart"
	// ownerLabel is "REVISION-CLAIM": who is at work on the revision.
	ownerLabel = "ztplan.dev/owner"
	// untilLabel is "REVISION-SECONDS": the Unix time by which the work on the
	// revision has ended in any case.
	untilLabel = "ztplan.dev/until"
)

const digestInLabel = 40 // a label holds 63 characters

// LabelsFor returns the labels of a revision that is about to be stored: the digest of
// its chart, the claim of the process, and the time by which it has ended.
func LabelsFor(revision int, chartDigest, claim string, until time.Time) map[string]string {
	mark := func(s string) string { return strconv.Itoa(revision) + "-" + s }
	return map[string]string{
		chartLabel: mark(chartDigest[:digestInLabel]),
		ownerLabel: mark(claim),
		untilLabel: mark(strconv.FormatInt(until.Unix(), 10)),
	}
}

// label returns the value of a label that ztplan put on this very revision.
func (r *Release) label(key string) (string, bool) {
	revision, value, ok := strings.Cut(r.secret.Labels[key], "-")
	return value, ok && revision == strconv.Itoa(r.Revision)
}

// Ours reports whether ztplan made this revision.
func (r *Release) Ours() bool {
	_, ok := r.label(chartLabel)
	return ok
}

// ChartChanged reports whether the chart's content differs from that of the
// release although name and version are the same. For a release that ztplan
// did not make it can only compare the parts that Helm stores: templates and files.
func (r *Release) ChartChanged(c *chart.Chart) bool {
	if digest, ok := r.label(chartLabel); ok {
		return digest != c.Digest[:digestInLabel]
	}
	return chart.TemplatesDigest(r.stored.Chart) != chart.TemplatesDigest(c.Parsed())
}

// busyForeign is how long an operation of another tool may be silent: longer
// than any default timeout of Helm, of Argo CD and of Flux.
const busyForeign = 10 * time.Minute

// Busy reports whether an operation on the release may still be under way, and until
// when at most. A pending release whose owner is gone is not busy: it was cut
// off.
func (r *Release) Busy(env *engine.Env) (until time.Time, busy bool) {
	if !r.Pending() {
		return time.Time{}, false
	}
	now := env.Now()
	if claim, ok := r.label(ownerLabel); ok {
		if claimsOf(env).gone(claim) {
			return time.Time{}, false
		}
		if s, ok := r.label(untilLabel); ok {
			if seconds, err := strconv.ParseInt(s, 10, 64); err == nil {
				until = time.Unix(seconds, 0).Add(clockSkew)
				return until, now.Before(until)
			}
		}
	}
	last := r.secret.CreationTimestamp.Time
	for _, key := range []string{"createdAt", "modifiedAt"} {
		if seconds, err := strconv.ParseInt(r.secret.Labels[key], 10, 64); err == nil && time.Unix(seconds, 0).After(last) {
			last = time.Unix(seconds, 0)
		}
	}
	until = last.Add(busyForeign)
	return until, now.Before(until)
}

// clockSkew is how far two machines' clocks may be apart.
const clockSkew = 30 * time.Second

// Pending reports whether an operation on the release has begun and not ended.
func (r *Release) Pending() bool {
	return helmrelease.Status(r.Status).IsPending() || r.Status == helmrelease.StatusUninstalling.String()
}

// Store is Helm's store of releases. Helm passes no contexts to secrets: their client
// has a configuration of ConfigFor.
func Store(secrets typedcorev1.SecretInterface) *storage.Storage {
	return storage.Init(&outcomes{Driver: driver.NewSecrets(secrets)})
}

// Unrecorded is the error with which the outcome of an operation was not stored, nil if
// it was: Helm calls an operation done all the same (action.Install, performInstall), and
// leaves the release pending.
func Unrecorded(s *storage.Storage) error {
	if o, ok := s.Driver.(*outcomes); ok && o.err != nil {
		return fmt.Errorf("the release is made, and that could not be recorded: %w", o.err)
	}
	return nil
}

// outcomes stores how operations begin and end. In between, Helm stores the
// whole release again before each hook, only to note the time: a quarter of a
// second each for a chart with large CRDs. The end has the times as well.
type outcomes struct {
	driver.Driver
	err error // of the last outcome
}

func (o *outcomes) Update(key string, r *helmrelease.Release) error {
	if r.Info.Status.IsPending() {
		return nil
	}
	o.err = o.Driver.Update(key, r)
	return o.err
}
