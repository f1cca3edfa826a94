package helminstall_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/diff"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
)

func diffLines(e engine.Edit) []string { return diff.Lines(plain(e.Have), plain(e.Want)) }

// twice is a chart with lists whose merge keys occur twice.
func twice() charttest.Chart {
	return charttest.Chart{Name: "twice", Version: "1.0.0", Values: "one: a\ntwo: b\nmore: []\n", Files: map[string]string{"templates/all.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 1
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
      - name: main
        image: example.com/inert:1
        ports: [{containerPort: 53, protocol: TCP, name: tcp}, {containerPort: 53, protocol: UDP, name: udp}]
        env:
        - {name: LEVEL, value: "{{ .Values.one }}"}
        - {name: PORT, value: "80"}
        - {name: LEVEL, value: "{{ .Values.two }}"}
        {{- range .Values.more }}
        - {name: LEVEL, value: "{{ . }}"}
        {{- end }}
        resources: {requests: {cpu: 1000m}}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec:
  selector: {app: app}
  ports:
  - {name: dns, port: 53, protocol: UDP, targetPort: udp}
  - {name: dns-tcp, port: 53, protocol: TCP, targetPort: tcp}
`}}
}

// Lists with a merge key that occurs twice come out as the chart has them: after
// an install, an upgrade that changes several of the elements, and a repair, each
// in one edit.
func TestMergeKeysThatOccurTwice(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, twice()), "twice", "1.0.0")
	s.Wait = false
	env := func() (values []string) {
		d, err := w.cluster.Client().AppsV1().Deployments(w.namespace).Get(t.Context(), "app", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range d.Spec.Template.Spec.Containers[0].Env {
			values = append(values, e.Name+"="+e.Value)
		}
		for _, p := range d.Spec.Template.Spec.Containers[0].Ports {
			values = append(values, fmt.Sprint(p.ContainerPort, p.Protocol, p.Name))
		}
		svc, err := w.cluster.Client().CoreV1().Services(w.namespace).Get(t.Context(), "app", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range svc.Spec.Ports {
			values = append(values, fmt.Sprint(p.Port, p.Protocol, p.Name, " to ", p.TargetPort.StrVal))
		}
		return values
	}
	ports := []string{"53TCPtcp", "53UDPudp", "53UDPdns to udp", "53TCPdns-tcp to tcp"}
	check := func(when string, edits int, variables ...string) {
		t.Helper()
		if _, applied := w.converge(s); len(applied) != edits {
			t.Errorf("%s: applied %v", when, applied)
		}
		if d := cmp.Diff(append(variables, ports...), env()); d != "" {
			t.Errorf("%s (-want +got):\n%s", when, d)
		}
	}
	check("installed", 1, "LEVEL=a", "PORT=80", "LEVEL=b")
	check("again", 0, "LEVEL=a", "PORT=80", "LEVEL=b")
	s.Values = map[string]any{"one": "c", "two": "d"}
	check("both changed", 1, "LEVEL=c", "PORT=80", "LEVEL=d")
	s.Values = map[string]any{"one": "d", "two": "c", "more": []any{"e"}}
	check("swapped, and one more", 1, "LEVEL=d", "PORT=80", "LEVEL=c", "LEVEL=e")
	s.Values = map[string]any{"one": "d", "two": "c"}
	check("one less", 1, "LEVEL=d", "PORT=80", "LEVEL=c")

	w.patch("deployments", "app", "kubectl-set", `{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"LEVEL","value":"z"}]}]}}}}`)
	w.patch("services", "app", "kubectl-edit", `{"spec":{"ports":[{"$patch":"replace"},{"name":"dns","port":53,"protocol":"TCP","targetPort":"udp"}]}}`)
	check("changed by hand", 2, "LEVEL=d", "PORT=80", "LEVEL=c")
	check("again", 0, "LEVEL=d", "PORT=80", "LEVEL=c")
}
