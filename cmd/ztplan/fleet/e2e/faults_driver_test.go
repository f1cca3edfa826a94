package e2e

import (
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// once fails the test unless the fleet has so many Jobs, and each member so many pods.
func (tr *trial) once(jobs int, pods ...int) {
	tr.t.Helper()
	if n := len(tr.jobs()); n != jobs {
		tr.t.Errorf("%d Jobs, want %d", n, jobs)
	}
	tries := tr.tries()
	for i, want := range pods {
		if n := len(tries[name(i)]); n != want {
			tr.t.Errorf("%s has %d pods, want %d", name(i), n, want)
		}
	}
}

func (tr *trial) job(wave string) *batchv1.Job {
	for _, j := range tr.jobs() {
		if j.Labels[record.LabelWave] == wave {
			return &j
		}
	}
	return nil
}

func ended(j *batchv1.Job) *metav1.Time {
	for _, c := range j.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return &c.LastTransitionTime
		}
	}
	return nil
}

func driverFaults() []fault {
	return []fault{
		{"driver killed in mid-wave", false, setting{}, func(tr *trial) string {
			cmd, done := tr.start("fleet", "run", tr.file)
			tr.arrive(0, 1)
			killDriver(cmd, done)
			tr.pass(0, 1, 2)
			o := tr.do(0, "fleet", "run", tr.file)
			tr.has(o, "continuing run", "proved: 3 proved", "has the lock of fleet")
			tr.once(2, 1, 1, 1)
			return "the next one waits for its lock and goes on: 3 proved, a pod each"
		}},
		{"driver killed in the soak", false, setting{waves: strings.Replace(twoWaves, "soak: 1s", "soak: 15s", 1)}, func(tr *trial) string {
			tr.pass(0, 1, 2)
			cmd, done := tr.start("fleet", "run", tr.file)
			tr.waitFor("the canary", func() bool { j := tr.job("canary"); return j != nil && ended(j) != nil })
			killDriver(cmd, done)
			tr.has(tr.do(0, "fleet", "run", tr.file), "continuing run", "proved: 3 proved")
			tr.once(2, 1, 1, 1)
			end := ended(tr.job("canary"))
			first := tr.job("rest").Status.StartTime
			if soaked := first.Sub(end.Time); soaked < 14*time.Second {
				tr.t.Errorf("soaked %v", soaked)
			}
			return fmt.Sprintf("the next wave begins %v after the canary: 3 proved", first.Sub(end.Time))
		}},
		{"driver killed while it makes the objects", false, setting{}, func(tr *trial) string {
			cmd, done := tr.start("fleet", "run", tr.file)
			tr.waitFor("the first object", func() bool {
				list, err := tr.hub.client.CoreV1().ConfigMaps(namespace).List(tr.t.Context(), metav1.ListOptions{LabelSelector: record.LabelFleet + "=" + tr.fleet})
				return err == nil && len(list.Items) > 0
			})
			killDriver(cmd, done)
			made := len(tr.jobs())
			tr.pass(0, 1, 2)
			tr.has(tr.do(0, "fleet", "run", tr.file), "proved: 3 proved")
			tr.once(2, 1, 1, 1)
			return fmt.Sprintf("killed with %d of 2 Jobs; the next run: 3 proved", made)
		}},
		{"objects made in part: no Jobs", true, setting{}, func(tr *trial) string {
			quotas := tr.hub.client.CoreV1().ResourceQuotas(namespace)
			quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "no-jobs"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/jobs.batch": resource.MustParse("0")}}}
			if _, err := quotas.Create(tr.t.Context(), quota, metav1.CreateOptions{}); err != nil {
				tr.t.Fatal(err)
			}
			tr.waitFor("the quota", func() bool {
				q, err := quotas.Get(tr.t.Context(), "no-jobs", metav1.GetOptions{})
				return err == nil && len(q.Status.Hard) > 0
			})
			tr.has(tr.do(1, "fleet", "run", tr.file), "exceeded quota")
			if err := quotas.Delete(tr.t.Context(), "no-jobs", metav1.DeleteOptions{}); err != nil {
				tr.t.Fatal(err)
			}
			tr.has(tr.do(1, "fleet", "status", tr.file), "has no run on the hub")
			tr.pass(0, 1, 2)
			var o outcome
			tr.waitFor("the quota's end", func() bool {
				_, done := tr.start("fleet", "run", tr.file)
				o = <-done
				return !strings.Contains(o.errors, "exceeded quota")
			})
			tr.has(o, "it was not made to its end, and nothing of it has begun", "proved: 3 proved")
			tr.once(2, 1, 1, 1)
			return "the next run removes them and makes its own: 3 proved"
		}},
		{"two drivers: run beside run", false, setting{}, func(tr *trial) string { return tr.twoDrivers("run") }},
		{"two drivers: resume beside run", false, setting{}, func(tr *trial) string { return tr.twoDrivers("resume") }},
		{"the Job of a wave deleted", false, setting{waves: onlyAll}, func(tr *trial) string {
			_, done := tr.start("fleet", "run", tr.file)
			tr.arrive(0, 1)
			background := metav1.DeletePropagationBackground
			if err := tr.hub.client.BatchV1().Jobs(namespace).Delete(tr.t.Context(), tr.job("all").Name, metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
				tr.t.Fatal(err)
			}
			o := <-done
			tr.has(o, "was deleted")
			tr.untouched(1, 2)
			tr.pass(0, 1, 2)
			tr.has(tr.resume(0), "3 clusters of 3", "proved: 3 proved")
			return "the driver says so; a resumption takes up its clusters: 3 proved"
		}},
	}
}

func (tr *trial) twoDrivers(second string) string {
	tr.t.Helper()
	_, done := tr.start("fleet", "run", tr.file)
	tr.arrive(0, 1)
	tr.has(tr.do(1, "fleet", second, tr.file), "fleet "+tr.fleet+" is being driven by", " pid ", "lease "+namespace+"/")
	tr.pass(0, 1, 2)
	o := <-done
	tr.has(o, "proved: 3 proved")
	tr.once(2, 1, 1, 1)
	return "the second says who has the lock; 3 proved, Jobs exist once"
}
