package e2e

import (
	"os"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// forge returns evidence of a cluster that claims that it is proved.
func (tr *trial) forge(cm *corev1.ConfigMap, member int) *corev1.ConfigMap {
	tr.t.Helper()
	v := record.ParseVerdict(cm.Annotations[record.AnnotationVerdict])
	if v == nil {
		tr.t.Fatalf("ConfigMap %s has no verdict", cm.Name)
	}
	v.Cluster, v.Evidence, v.Exit, v.Cause = name(member), strings.Repeat("0", 64), 0, ""
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: cm.Name, Labels: cm.Labels, Annotations: map[string]string{record.AnnotationVerdict: string(v.Encode())}},
		Immutable:  ptr.To(true), BinaryData: cm.BinaryData,
	}
}

// kept returns the evidence of a member's last pod.
func (tr *trial) kept(member int) *corev1.ConfigMap {
	tr.t.Helper()
	pods := tr.tries()[name(member)]
	cm, err := tr.hub.client.CoreV1().ConfigMaps(namespace).Get(tr.t.Context(), pods[len(pods)-1].Name, metav1.GetOptions{})
	if err != nil {
		tr.t.Fatal(err)
	}
	return cm
}

func evidenceFaults() []fault {
	return []fault{
		{"pod killed before its evidence is kept", false, setting{waves: onlyAll, retries: 1}, func(tr *trial) string {
			_, done := tr.start("fleet", "run", tr.file)
			tr.arrive(0, 1)
			p := tr.running(0)
			pid := tr.process(p)
			if _, err := tr.hub.do("kill", "apiserver", "--for", "15s"); err != nil {
				tr.t.Fatal(err)
			}
			tr.pass(0, 1, 2)
			tr.waitFor("the report of the run", func() bool { return tr.reported(pid) })
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				tr.t.Fatal(err)
			}
			tr.has(<-done, "proved: 3 proved")
			tr.once(1, 2, 1, 1)
			return "tried again, its evidence is there: 3 proved"
		}},
		{"evidence changed on the hub", true, setting{waves: onlyAll}, func(tr *trial) string {
			tr.pass(0, 1, 2)
			tr.do(0, "fleet", "run", tr.file)
			ctx, maps, cm := tr.t.Context(), tr.hub.client.CoreV1().ConfigMaps(namespace), tr.kept(0)
			changed := cm.DeepCopy()
			changed.BinaryData = map[string][]byte{"evidence.json.gz": []byte("x")}
			if _, err := maps.Update(ctx, changed, metav1.UpdateOptions{}); err == nil {
				tr.t.Error("evidence can be changed")
			}
			if err := maps.Delete(ctx, cm.Name, metav1.DeleteOptions{}); err != nil {
				tr.t.Fatal(err)
			}
			if l := tr.leaves()[name(0)]; l.Settled() || !strings.Contains(l.Cause, "its evidence is lost") {
				tr.t.Errorf("without its evidence: %+v", l)
			}
			if _, err := maps.Create(ctx, tr.forge(cm, 0), metav1.CreateOptions{}); err != nil {
				tr.t.Fatal(err)
			}
			tr.has(tr.do(1, "fleet", "status", tr.file), "its evidence is refused")
			tr.has(tr.resume(0, 1, 2), "1 cluster of 3", "proved: 3 proved")
			return "immutable; removed or made anew it is refused, and the cluster is owed again"
		}},
		{"evidence for another cluster forged by a pod", false, setting{waves: onlyAll}, func(tr *trial) string {
			tr.fail(0)
			tr.pass(1, 2)
			tr.do(1, "fleet", "run", tr.file)
			for i := range tr.members {
				cm := tr.forge(tr.kept(0), i)
				cm.Name = "forged-" + tr.fleet + "-" + name(i)
				if _, err := tr.as("all").CoreV1().ConfigMaps(namespace).Create(tr.t.Context(), cm, metav1.CreateOptions{}); err != nil {
					tr.t.Fatal(err)
				}
			}
			tr.states(ledger.Failed, ledger.Held, ledger.Held)
			tr.untouched(1, 2)
			tr.pass(0)
			tr.has(tr.resume(0), "3 clusters of 3", "proved: 3 proved")
			return "does not count: the Job and the pod decide; a resumption: 3 proved"
		}},
	}
}

// reported reports whether the program of a pod has written its report.
func (tr *trial) reported(pid int) bool {
	work := tr.environment(pid, "HOME")
	_, err := os.Stat(work + "/report/evidence.json")
	return err == nil
}
