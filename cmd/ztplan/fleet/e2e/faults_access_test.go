package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// as returns a client of the hub with the rights of a wave's pods.
func (tr *trial) as(wave string) kubernetes.Interface {
	tr.t.Helper()
	token, err := tr.hub.client.CoreV1().ServiceAccounts(namespace).CreateToken(tr.t.Context(), objects.ServiceAccount(tr.fleet, wave), &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	var client kubernetes.Interface
	if err == nil {
		client, err = kubernetes.NewForConfig(&rest.Config{Host: tr.hub.server, BearerToken: token.Status.Token, TLSClientConfig: rest.TLSClientConfig{CAData: []byte(tr.hub.ca)}})
	}
	if err != nil {
		tr.t.Fatal(err)
	}
	return client
}

// poisoned returns a fault whose inventory has the text, which is refused before anything is
// made.
func poisoned(title, list string, says ...string) fault {
	return fault{"poisoned list: " + title, true, setting{}, func(tr *trial) string {
		text, err := os.ReadFile(tr.file)
		if err != nil {
			tr.t.Fatal(err)
		}
		tr.write(tr.fleet+"-clusters.yaml", strings.ReplaceAll(list, "MEMBER", tr.members[0].kubeconfig))
		head, tail, _ := strings.Cut(string(text), "  kubeconfigs:\n")
		_, tail, _ = strings.Cut(tail, "access:")
		tr.write(tr.fleet+".yaml", head+"  file: "+tr.fleet+"-clusters.yaml\naccess:"+tail)
		tr.has(tr.do(3, "fleet", "run", tr.file), says...)
		made, err := tr.hub.client.CoreV1().ConfigMaps(namespace).List(tr.t.Context(), metav1.ListOptions{LabelSelector: record.LabelFleet + "=" + tr.fleet})
		if err != nil || len(made.Items) != 0 {
			tr.t.Errorf("%d objects were made, %v", len(made.Items), err)
		}
		return "refused, exit 3: nothing is made"
	}}
}

func accessFaults() []fault {
	return []fault{
		poisoned("10,001 clusters", strings.Repeat("- {name: a, file: MEMBER}\n", 10_001), "a fleet has at most 10000"),
		poisoned("an API server twice", "- {name: a, file: MEMBER}\n- {name: b, file: MEMBER}\n", "are the same API server"),
		poisoned("names with escapes", "- {name: \"a\\e[2Jb\", file: MEMBER}\n- {name: ../b, file: MEMBER}\n", `cluster "a\x1b[2Jb": is not a name`, `cluster "../b": is not a name`),
		{"rights of a pod on the hub", false, setting{}, func(tr *trial) string {
			tr.pass(0, 1, 2)
			tr.do(0, "fleet", "run", tr.file)
			ctx, pod := tr.t.Context(), tr.as("rest")
			core := pod.CoreV1()
			kept := tr.tries()[name(0)][0].Name
			_, secrets := core.Secrets(namespace).List(ctx, metav1.ListOptions{})
			_, lists := core.ConfigMaps(namespace).List(ctx, metav1.ListOptions{})
			_, reads := core.ConfigMaps(namespace).Get(ctx, kept, metav1.GetOptions{})
			_, patches := core.ConfigMaps(namespace).Patch(ctx, kept, types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{})
			deletes := core.ConfigMaps(namespace).Delete(ctx, kept, metav1.DeleteOptions{})
			_, tokens := core.ServiceAccounts(namespace).CreateToken(ctx, objects.ServiceAccount(tr.fleet, "canary"), &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
			_, creates := core.Pods(namespace).Create(ctx, &corev1.Pod{}, metav1.CreateOptions{})
			_, jobs := pod.BatchV1().Jobs(namespace).Patch(ctx, tr.job("rest").Name, types.MergePatchType, []byte(`{"spec":{"suspend":true}}`), metav1.PatchOptions{})
			_, outside := core.ConfigMaps("default").List(ctx, metav1.ListOptions{})
			tried := map[string]error{"list Secrets": secrets, "list ConfigMaps": lists, "read evidence": reads, "change evidence": patches, "delete evidence": deletes,
				"a token of another wave": tokens, "make a pod": creates, "change a Job": jobs, "another namespace": outside}
			for what, err := range tried {
				if !apierrors.IsForbidden(err) {
					tr.t.Errorf("%s: %v", what, err)
				}
			}
			return fmt.Sprintf("%d of %d refused (403): other Secrets, evidence, tokens, Jobs", len(tried), len(tried))
		}},
		{"kubeconfig of another cluster in a pod", false, setting{waves: onlyAll, access: "access: {secrets: {}}"}, func(tr *trial) string {
			_, done := tr.start("fleet", "run", tr.file)
			for i := range tr.members {
				tr.arrive(i, 1)
				p := tr.running(i)
				for _, m := range p.Spec.Containers[0].VolumeMounts {
					if (m.Name == "access" || m.Name == "clusters") && m.SubPathExpr != "$(JOB_COMPLETION_INDEX)" {
						tr.t.Errorf("mount %s shows more than its own cluster: %+v", m.Name, m)
					}
				}
				tr.ownKubeconfig(p, i)
				tr.pass(i)
			}
			tr.has(<-done, "proved: 3 proved")
			left, err := tr.hub.client.CoreV1().Secrets(namespace).List(tr.t.Context(), metav1.ListOptions{LabelSelector: record.LabelFleet + "=" + tr.fleet})
			if err != nil || len(left.Items) != 0 {
				tr.t.Errorf("%d Secrets are left, %v", len(left.Items), err)
			}
			return "each container has its own only; the Secrets go with the run"
		}},
	}
}

// ownKubeconfig fails the test unless the program of a pod is given the kubeconfig of its
// member.
func (tr *trial) ownKubeconfig(p corev1.Pod, i int) {
	tr.t.Helper()
	args, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(tr.process(p)), "cmdline"))
	if err != nil {
		tr.t.Fatal(err)
	}
	for arg := range bytes.SplitSeq(args, []byte{0}) {
		if file, ok := bytes.CutPrefix(arg, []byte("--kubeconfig=")); ok {
			data, err := os.ReadFile(string(file))
			if err != nil || !bytes.Contains(data, []byte("server: "+tr.members[i].server)) {
				tr.t.Errorf("the pod of %s has another kubeconfig, %v", name(i), err)
			}
			return
		}
	}
	tr.t.Errorf("the pod of %s has no kubeconfig", name(i))
}
