package objects

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// Keys of the record's ConfigMap.
const (
	KeyRun    = "run.json"
	KeyFleet  = "fleet.yaml"
	KeyBundle = "bundle.tar.gz"
)

// shardClusters and shardBytes bound the clusters of one ConfigMap or Secret.
const (
	shardClusters = 200
	shardBytes    = 700 << 10
)

// A Round is the objects of a run, or of a resumption of it.
type Round struct {
	Record record.Run
	// Objects in the order in which they are made. The Jobs, which are suspended, come
	// last.
	Objects []runtime.Object

	namespace string
}

// New returns the first round of a run of a fleet that begins at a time.
func New(f *fleet.Fleet, image string, now time.Time) (*Round, error) {
	run, bundle, text, err := newRun(f, image, now)
	if err != nil {
		return nil, err
	}
	r := &Round{Record: run, namespace: f.Hub.Namespace}
	return r, r.render(f, bundle, text, f.Clusters)
}

// newRun returns the record of a run that begins at a time, its bundle, and the document.
func newRun(f *fleet.Fleet, image string, now time.Time) (run record.Run, bundle, text []byte, err error) {
	planName := filepath.Base(f.Document.Plan.Path)
	files := make(map[string][]byte, len(f.Files)+1)
	for name, file := range f.Files {
		if files[name], err = file.Read(); err != nil {
			return run, nil, nil, err
		}
	}
	if files[planName], err = f.Document.Plan.Read(); err != nil {
		return run, nil, nil, err
	}
	if bundle, err = Pack(files); err != nil {
		return run, nil, nil, err
	}
	if text, err = f.Text(); err != nil {
		return run, nil, nil, err
	}
	digest := digestOf(bundle, text, []byte(image))
	id := digestOf([]byte(digest), []byte(now.UTC().Format(time.RFC3339Nano)))[:8]
	run = record.Run{
		Schema: record.RunSchema, Fleet: f.Metadata.Name, ID: id, Digest: digest, Created: now.UTC(),
		Mode: f.Mode, Plan: planName, Image: image, Retries: f.Retries, Timeout: f.Timeout, Registry: registry(f), Pull: f.Pull != nil,
	}
	for i, w := range f.Waves {
		n := len(f.Wave(i))
		run.Waves = append(run.Waves, record.Wave{
			Name: w.Name, Clusters: n, Parallel: w.Parallel, Limit: w.Stop.Failures.String(), Failures: w.Stop.Failures.Of(n), Soak: w.Soak,
		})
	}
	return run, bundle, text, nil
}

// Resume returns the next round of a run: over the clusters that are owed, in their
// waves.
func Resume(f *fleet.Fleet, last record.Run, owed []*fleet.Cluster, bundle, text []byte) (*Round, error) {
	r := &Round{Record: last, namespace: f.Hub.Namespace}
	r.Record.Round++
	counts := make([]int, len(r.Record.Waves))
	for _, c := range owed {
		counts[c.Wave]++
	}
	r.Record.Waves = nil
	for i, w := range last.Waves {
		w.Clusters = counts[i]
		r.Record.Waves = append(r.Record.Waves, w)
	}
	return r, r.render(f, bundle, text, owed)
}

func registry(f *fleet.Fleet) *record.Registry {
	e := f.Document.Evidence
	if e.To != fleet.ToOCI {
		return nil
	}
	return &record.Registry{Repository: e.Repository, Secret: e.Secret, PlainHTTP: e.PlainHTTP}
}

// MarkMade notes on the record that all objects are there, for those who apply them as a
// whole.
func (r *Round) MarkMade() {
	metav1.SetMetaDataAnnotation(&r.Objects[0].(*corev1.ConfigMap).ObjectMeta, record.AnnotationMade, "true")
}

// Name is the name of the record's ConfigMap, which the names of the run's objects
// begin with.
func Name(r record.Run) string {
	if r.Round == 0 {
		return r.Fleet + "-" + r.ID
	}
	return fmt.Sprintf("%s-%s-r%d", r.Fleet, r.ID, r.Round)
}

// JobName is the name of the Job of a wave.
func JobName(r record.Run, wave string) string { return Name(r) + "-" + wave }

// ServiceAccount is the name of the ServiceAccount of a wave. It is the same in every
// run: member clusters grant rights to it.
func ServiceAccount(fleet, wave string) string { return fleet + "-" + wave }

func (r *Round) render(f *fleet.Fleet, bundle, text []byte, clusters []*fleet.Cluster) error {
	head, err := r.head(bundle, text)
	if err != nil {
		return err
	}
	r.Objects = append(r.Objects, head)
	var jobs []runtime.Object
	for i, w := range r.Record.Waves {
		if w.Clusters == 0 {
			continue
		}
		var members []*fleet.Cluster
		for _, c := range clusters {
			if c.Wave == i {
				members = append(members, c)
			}
		}
		r.Objects = append(r.Objects, rights(r.Record, r.namespace, w.Name)...)
		entries, access, err := r.shards(f, w.Name, members)
		if err != nil {
			return err
		}
		r.Objects = append(r.Objects, entries...)
		r.Objects = append(r.Objects, access...)
		jobs = append(jobs, r.job(f, w, names(entries), names(access)))
	}
	r.Objects = append(r.Objects, jobs...)
	return nil
}

// head returns the ConfigMap of the record.
func (r *Round) head(bundle, text []byte) (*corev1.ConfigMap, error) {
	run, err := json.MarshalIndent(r.Record, "", "  ")
	if err != nil {
		return nil, err
	}
	head := r.configMap(Name(r.Record), "record", "")
	head.Data = map[string]string{KeyRun: string(run), KeyFleet: string(text)}
	head.BinaryData = map[string][]byte{KeyBundle: bundle}
	return head, nil
}

func names(list []runtime.Object) []string {
	var out []string
	for _, o := range list {
		out = append(out, o.(metav1.Object).GetName())
	}
	return out
}

// shards returns the ConfigMaps that map an index to a cluster, and the Secrets that map
// it to its kubeconfig.
func (r *Round) shards(f *fleet.Fleet, wave string, members []*fleet.Cluster) (entries, access []runtime.Object, _ error) {
	var cm *corev1.ConfigMap
	var secret *corev1.Secret
	cmSize, secretSize := 0, 0
	for i, c := range members {
		key := strconv.Itoa(i)
		data, err := json.Marshal(entryOf(c))
		if err != nil {
			return nil, nil, err
		}
		if len(data) > shardBytes || len(c.Kubeconfig) > shardBytes {
			return nil, nil, fmt.Errorf("cluster %s: its variables and its kubeconfig are too large for an object of Kubernetes", c.Name)
		}
		if cm == nil || len(cm.Data) == shardClusters || cmSize+len(data) > shardBytes {
			cm = r.configMap(fmt.Sprintf("%s-%d", JobName(r.Record, wave), len(entries)), "clusters", wave)
			cm.Data, cmSize = make(map[string]string), 0
			entries = append(entries, cm)
		}
		cm.Data[key] = string(data)
		cmSize += len(data)
		if f.Document.Access.Secrets == nil {
			continue
		}
		if secret == nil || len(secret.Data) == shardClusters || secretSize+len(c.Kubeconfig) > shardBytes {
			secret = &corev1.Secret{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
				ObjectMeta: r.meta(fmt.Sprintf("%s-%d", JobName(r.Record, wave), len(access)), "access", wave),
				Immutable:  ptr.To(true), Data: make(map[string][]byte),
			}
			secretSize = 0
			access = append(access, secret)
		}
		secret.Data[key] = c.Kubeconfig
		secretSize += len(c.Kubeconfig)
	}
	return entries, access, nil
}

func entryOf(c *fleet.Cluster) record.Entry {
	return record.Entry{
		Name: c.Name, Server: c.Server.URL, CA: c.Server.CA, TLSServerName: c.Server.TLSServerName,
		Audience: c.Audience, Login: c.Login, Vars: c.Vars,
	}
}

func (r *Round) configMap(name, kind, wave string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: r.meta(name, kind, wave), Immutable: ptr.To(true),
	}
}

func (r *Round) meta(name, kind, wave string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: r.namespace, Labels: labels(r.Record, kind, wave)}
}

// labels returns the labels of an object of a run.
func labels(r record.Run, kind, wave string) map[string]string {
	l := map[string]string{
		record.LabelFleet: r.Fleet, record.LabelRun: r.ID, record.LabelRound: strconv.Itoa(r.Round), record.LabelKind: kind,
		"app.kubernetes.io/managed-by": "ztplan",
	}
	if wave != "" {
		l[record.LabelWave] = wave
	}
	return l
}

func digestOf(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256(p)
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}
