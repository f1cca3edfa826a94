package objects

import (
	"encoding/json"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// keyEntry is the key of the entry of a cluster that pulls its Job.
const keyEntry = "cluster.json"

// A Delivery has the objects that another tool delivers into a cluster: a Job that runs
// the plan there, with the record and the variables in ConfigMaps.
type Delivery struct {
	Cluster string
	Wave    string
	Objects []runtime.Object
}

// Pull returns the deliveries of a fleet with pull, in the order of the inventory. They
// are the same for the same fleet, plan and image: a tool that delivers them again starts
// nothing.
func Pull(f *fleet.Fleet, image string) ([]Delivery, error) {
	run, bundle, text, err := newRun(f, image, time.Time{})
	if err != nil {
		return nil, err
	}
	r := &Round{Record: run, namespace: f.Pull.Namespace}
	head, err := r.head(bundle, text)
	if err != nil {
		return nil, err
	}
	var out []Delivery
	for _, c := range f.Clusters {
		wave := f.Waves[c.Wave].Name
		data, err := json.Marshal(record.Entry{Name: c.Name, Vars: c.Vars})
		if err != nil {
			return nil, err
		}
		entry := r.configMap(Name(run)+"-cluster", "clusters", wave)
		entry.Data = map[string]string{keyEntry: string(data)}
		out = append(out, Delivery{Cluster: c.Name, Wave: wave, Objects: []runtime.Object{head, entry, r.pulled(f, wave, entry.Name)}})
	}
	return out, nil
}

// pulled returns the Job that runs the plan in the cluster that it is in. Its exit codes
// have the meanings of failurePolicy, for one cluster.
func (r *Round) pulled(f *fleet.Fleet, wave, entry string) *batchv1.Job {
	t := r.member(f, wave)
	t.mount("cluster", configMap(entry), corev1.VolumeMount{MountPath: pathEntry, SubPath: keyEntry, ReadOnly: true})
	name := Name(r.Record)
	spec := t.spec(r.Record.Image, f.Pull.ServiceAccount, name)
	spec.ActiveDeadlineSeconds = r.deadline()
	policy := ignoring(onExit(batchv1.PodFailurePolicyActionFailJob, 3))
	if r.Record.Mode == fleet.ModeStatus {
		policy = ignoring(onExit(batchv1.PodFailurePolicyActionFailJob, 2, 3))
	}
	return &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: r.meta(name, "job", wave),
		Spec: batchv1.JobSpec{
			BackoffLimit:         ptr.To(int32(r.Record.Retries)),
			PodReplacementPolicy: ptr.To(batchv1.Failed),
			PodFailurePolicy:     policy,
			Template:             corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels(r.Record, "pod", wave)}, Spec: spec},
		},
	}
}
