package node

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
	"github.com/ztplan/ztplan/cmd/ztlab/process"
)

// TestMain makes the test binary the executable of its own components.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "component" {
		if err := process.RunComponent(map[string]container.Component{"echo": echo, "job": job, "broken": broken, "web": web, "stubborn": stubborn}[os.Args[2]]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 2 && os.Args[1] == "native" {
		native(os.Args[2:])
		os.Exit(0)
	}
	// The race detector has a program sleep for a second before it ends, which is
	// half of what a container has between SIGTERM and SIGKILL.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	os.Exit(m.Run())
}

// echo listens on port 7 and answers every line with one that names it. It
// is ready once it listens.
func echo(ctx context.Context, spec container.Spec, report func(container.Report)) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { ln.Close() })
	secret, err := os.ReadFile(filepath.Join(spec.Mounts["/etc/secret"], "word"))
	if err != nil {
		return err
	}
	token, err := os.ReadFile(spec.TokenFile)
	if err != nil {
		return err
	}
	fmt.Printf("%s %v\n", spec.Pod, spec.Args)
	report(container.Report{Listen: map[int]string{7: ln.Addr().String()}, Ready: ptr.To(true)})
	for {
		conn, err := ln.Accept()
		if err != nil {
			return nil
		}
		line, _ := bufio.NewReader(conn).ReadString('\n')
		fmt.Fprintf(conn, "%s %s %s %s %s\n", spec.PodIP, spec.Env["GREETING"], secret, token, strings.TrimSpace(line))
		conn.Close()
	}
}

// job completes.
func job(context.Context, container.Spec, func(container.Report)) error { return nil }

// broken fails at once, always.
func broken(context.Context, container.Spec, func(container.Report)) error {
	return errors.New("broken on purpose")
}

// A testNode is an agent and the API server's stand-in.
type testNode struct {
	t      *testing.T
	agent  *Agent
	client *fake.Clientset
	stop   func()
}

const testNamespace = "apps"

func newTestNode(t *testing.T) *testNode {
	t.Helper()
	dir := t.TempDir()
	ca := newTestAuthority(t)
	caFile := filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(caFile, ca.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Config{
		Config: &rest.Config{Host: "http://127.0.0.1:1"}, NodeName: "lab", NodeAddress: "127.0.0.1",
		StateDir: filepath.Join(dir, "node"), Executable: self, CAFile: caFile,
		Images: []Image{{"lab/echo", "echo"}, {"lab/job", "job"}, {"lab/broken", "broken"}, {"lab/web", "web"}, {"lab/stubborn", "stubborn"}},
		Logf:   t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	client := fake.NewSimpleClientset(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "s"}, Data: map[string][]byte{"word": []byte("swordfish")},
	})
	client.PrependReactor("create", "serviceaccounts", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() != "token" {
			return false, nil, nil
		}
		return true, &authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{
			Token: "a-token", ExpirationTimestamp: metav1.NewTime(time.Now().Add(time.Hour)),
		}}, nil
	})
	watching := make(chan struct{}, 8)
	client.PrependWatchReactor("pods", func(action clienttesting.Action) (bool, watch.Interface, error) {
		w, err := client.Tracker().Watch(corev1.SchemeGroupVersion.WithResource("pods"), action.GetNamespace())
		watching <- struct{}{}
		return true, w, err
	})
	a.client = client
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stopped := false
	w := &testNode{t: t, agent: a, client: client}
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(w.stop)
	select {
	case <-watching:
	case err := <-ended:
		t.Fatalf("Run: %v", err)
	}
	return w
}

// create makes a pod that is bound to the node.
func (w *testNode) create(name, image string, edit func(*corev1.Pod)) *corev1.Pod {
	w.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: name, UID: types.UID("uid-" + name), ResourceVersion: "1"},
		Spec: corev1.PodSpec{NodeName: "lab", RestartPolicy: corev1.RestartPolicyAlways, ServiceAccountName: "default", Containers: []corev1.Container{{
			Name: "main", Image: image, Args: []string{"--pod=$(POD)"},
			Env: []corev1.EnvVar{{Name: "POD", ValueFrom: field("metadata.name")}, {Name: "GREETING", Value: "hello"}},
			VolumeMounts: []corev1.VolumeMount{
				{Name: "s", MountPath: "/etc/secret"},
				{Name: "id", MountPath: serviceAccountDir},
			},
		}}, Volumes: []corev1.Volume{
			{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}},
			{Name: "id", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
			}}}},
		}},
	}
	if edit != nil {
		edit(pod)
	}
	if _, err := w.client.CoreV1().Pods(testNamespace).Create(w.t.Context(), pod, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	return pod
}

// patience is how long a state may take to come about on a busy machine.
const patience = time.Minute

// await returns the pod once it is as wanted. Statuses are written soon after
// the agent's own state changes, and the stand-in has no way to wait for that.
func (w *testNode) await(name, what string, ok func(*corev1.Pod) bool) *corev1.Pod {
	w.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for {
		pod, err := w.client.CoreV1().Pods(testNamespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil && ok(pod) {
			return pod
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("pod %s: not %s: %v %+v", name, what, err, pod)
		}
	}
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func restarts(n int32) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool {
		return len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].RestartCount == n && ready(pod)
	}
}

// ask sends a line to the pod's port 7 and returns the answer.
func (w *testNode) ask(ip string) string {
	w.t.Helper()
	addr, ok := w.agent.Lookup(ip, 7)
	if !ok {
		w.t.Fatalf("Lookup(%s, 7): nothing", ip)
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, "bye")
	answer, err := io.ReadAll(conn)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(answer)
}

// alive reports whether a process exists.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestAgentRunsAPod(t *testing.T) {
	t.Parallel()
	w := newTestNode(t)
	w.create("web", "lab/echo:1", nil)
	pod := w.await("web", "ready", ready)
	if pod.Status.Phase != corev1.PodRunning || pod.Status.PodIP != "10.244.0.2" || pod.Status.HostIP != "127.0.0.1" {
		t.Errorf("phase %s, podIP %s, hostIP %s", pod.Status.Phase, pod.Status.PodIP, pod.Status.HostIP)
	}
	if got, want := w.ask("10.244.0.2"), "10.244.0.2 hello swordfish a-token bye\n"; got != want {
		t.Errorf("answer %q; want %q", got, want)
	}
	if _, ok := w.agent.Lookup("10.244.0.2", 8); ok {
		t.Error("a port that nobody serves was found")
	}
	first := w.agent.Containers()[0]
	if first.Component != "echo" || first.PID == 0 || !first.Ready || first.Simulated {
		t.Errorf("Containers: %+v", first)
	}

	// Restarted on request: a new process, counted, with no back-off.
	if err := w.agent.Restart(t.Context(), "echo"); err != nil {
		t.Fatal(err)
	}
	second := w.agent.Containers()[0]
	if second.PID == first.PID || second.Restarts != 1 {
		t.Errorf("after Restart: %+v; before: %+v", second, first)
	}
	w.await("web", "restarted", restarts(1))

	// Killed: comes back by itself, and its end is on record.
	if err := w.agent.Kill(t.Context(), testNamespace+"/web"); err != nil {
		t.Fatal(err)
	}
	pod = w.await("web", "back", restarts(2))
	if last := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated; last == nil || last.ExitCode != 137 {
		t.Errorf("last state after Kill: %+v", last)
	}
	if err := w.agent.Kill(t.Context(), "nothing"); !errors.Is(err, errUnknown) || !strings.Contains(err.Error(), "echo") {
		t.Errorf("Kill(nothing) = %v; want the names of what runs", err)
	}

	// Deleted: the process ends, the object goes, the address is free.
	pod, err := w.client.CoreV1().Pods(testNamespace).Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds, pod.ResourceVersion = ptr.To(metav1.Now()), ptr.To[int64](30), "99"
	changed := w.agent.Changed()
	if _, err := w.client.CoreV1().Pods(testNamespace).Update(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	for len(w.agent.Containers()) > 0 {
		<-changed
		changed = w.agent.Changed()
	}
	if _, err := w.client.CoreV1().Pods(testNamespace).Get(t.Context(), "web", metav1.GetOptions{}); err == nil {
		t.Error("the pod still exists")
	}
	if alive(second.PID) {
		t.Error("its process still exists")
	}
	if left, _ := os.ReadDir(filepath.Join(w.agent.conf.StateDir, "pods")); len(left) > 0 {
		t.Errorf("left on the host: %v", left)
	}
}

func TestAgentCompletesJobsAndInitContainers(t *testing.T) {
	w := newTestNode(t)
	w.create("job", "lab/job", func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyNever })
	w.create("unknown-job", "other/migrate:3", func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure })
	w.create("app", "other/app:3", func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "wait", Image: "busybox"}, {Name: "migrate", Image: "lab/job"}}
	})
	succeeded := func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded }
	w.await("job", "succeeded", succeeded)
	w.await("unknown-job", "succeeded", succeeded)
	app := w.await("app", "ready", ready)
	for _, s := range app.Status.InitContainerStatuses {
		if s.State.Terminated == nil || s.State.Terminated.ExitCode != 0 || !s.Ready {
			t.Errorf("init container %s: %+v", s.Name, s)
		}
	}
	got := map[string]bool{}
	for _, c := range w.agent.Containers() {
		got[c.Pod+"/"+c.Name] = c.Simulated
	}
	want := map[string]bool{"job/main": false, "unknown-job/main": true, "app/wait": true, "app/migrate": false, "app/main": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("simulated containers (-want +got):\n%s", diff)
	}
}

func TestAgentBacksOffAndSaysWhy(t *testing.T) {
	t.Parallel()
	w := newTestNode(t)
	w.create("bad", "lab/broken", nil)
	pod := w.await("bad", "in back-off", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].State.Waiting != nil && p.Status.ContainerStatuses[0].RestartCount > 0
	})
	if s := pod.Status.ContainerStatuses[0]; s.State.Waiting.Reason != "CrashLoopBackOff" || s.LastTerminationState.Terminated.ExitCode != 1 || pod.Status.Phase != corev1.PodRunning {
		t.Errorf("phase %s, status %+v", pod.Status.Phase, s)
	}
	w.create("poor", "lab/echo", func(p *corev1.Pod) { p.Spec.Volumes[0].Secret.SecretName = "later" })
	pod = w.await("poor", "waiting for its secret", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) > 0 && strings.Contains(p.Status.ContainerStatuses[0].State.Waiting.Message, `secrets "later" not found`)
	})
	if pod.Status.Phase != corev1.PodPending {
		t.Errorf("phase without its volume = %s", pod.Status.Phase)
	}
	if _, err := w.client.CoreV1().Secrets(testNamespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "later"}, Data: map[string][]byte{"word": []byte("late")},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.await("poor", "ready", ready)
}

func TestStoppingTheAgentEndsItsProcessesAndKeepsThePods(t *testing.T) {
	w := newTestNode(t)
	w.create("web", "lab/echo", nil)
	w.await("web", "ready", ready)
	pid := w.agent.Containers()[0].PID
	w.stop()
	if alive(pid) {
		t.Error("the process outlived the agent")
	}
	if _, err := w.client.CoreV1().Pods(testNamespace).Get(t.Context(), "web", metav1.GetOptions{}); err != nil {
		t.Errorf("the pod is gone: %v", err)
	}
}

// A testAuthority signs certificates for clients.
type testAuthority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newTestAuthority(t *testing.T) *testAuthority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &testAuthority{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// client issues a client certificate and returns it with its key, as PEM.
func (a *testAuthority) client(t *testing.T, name string, groups ...string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name, Organization: groups}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, a.cert, private.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
}

// kubelet serves the agent's kubelet API with a certificate of the test's own.
func (w *testNode) kubelet(ca *testAuthority) *httptest.Server {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	s := httptest.NewUnstartedServer(w.agent.kubeletHandler())
	s.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}
	s.StartTLS()
	w.t.Cleanup(s.Close)
	return s
}

func TestKubeletAPI(t *testing.T) {
	w := newTestNode(t)
	w.create("web", "lab/echo", nil)
	w.create("sim", "other/app", nil)
	w.await("web", "ready", ready)
	w.await("sim", "ready", ready)
	ca := newTestAuthority(t)
	s := w.kubelet(ca)

	if resp, err := s.Client().Get(s.URL + "/containerLogs/apps/web/main"); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without credentials: %v, %v; want 401", resp, err)
	}
	config := &rest.Config{Host: s.URL, TLSClientConfig: rest.TLSClientConfig{
		CAData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}),
	}}
	config.CertData, config.KeyData = ca.client(t, "somebody")
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := client.Get(s.URL + "/containerLogs/apps/web/main"); err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("as somebody: %v, %v; want 403", resp, err)
	}
	config.CertData, config.KeyData = ca.client(t, "kube-apiserver-kubelet-client", mastersGroup)
	if client, err = rest.HTTPClientFor(config); err != nil {
		t.Fatal(err)
	}

	get := func(path string) (int, string) {
		t.Helper()
		resp, err := client.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	// A component's output and its reports come by two pipes, in no order.
	w.await("web", "logging", func(*corev1.Pod) bool {
		code, body := get("/containerLogs/apps/web/main")
		return code == 200 && body == "web [--pod=web]\n"
	})
	if code, body := get("/containerLogs/apps/sim/main?tailLines=1"); code != 200 || !strings.Contains(body, "simulated") {
		t.Errorf("log of a simulated container: %d %q", code, body)
	}
	if code, body := get("/containerLogs/apps/web/main?previous=true"); code != 400 || !strings.Contains(body, "previous terminated container") {
		t.Errorf("previous log: %d %q", code, body)
	}
	if code, _ := get("/containerLogs/apps/web/none"); code != 400 {
		t.Errorf("log of no container: %d", code)
	}
	if code, _ := get("/attach/apps/web/main"); code != http.StatusNotImplemented {
		t.Errorf("attach: %d", code)
	}

	answer, err := w.forward(config, s.URL, 7)
	if err != nil || !strings.HasSuffix(answer, "a-token forwarded\n") {
		t.Errorf("port-forward: %q, %v", answer, err)
	}
	if answer, err := w.forward(config, s.URL, 9); err == nil && answer != "" {
		t.Errorf("port-forward to a port that nobody serves: %q", answer)
	}

	target, _ := url.Parse(s.URL + "/exec/apps/web/main?command=ls&output=1&error=1")
	exec, err := remotecommand.NewSPDYExecutor(config, "POST", target)
	if err != nil {
		t.Fatal(err)
	}
	err = exec.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: io.Discard, Stderr: io.Discard})
	if err == nil || !strings.Contains(err.Error(), `built-in component "echo"`) {
		t.Errorf("exec: %v; want a reason", err)
	}
}

// forward sends a line through a port-forward as kubectl makes it.
func (w *testNode) forward(config *rest.Config, base string, port int) (string, error) {
	w.t.Helper()
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return "", err
	}
	target, _ := url.Parse(base + "/portForward/apps/web")
	stop, ready := make(chan struct{}), make(chan struct{})
	defer close(stop)
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", target)
	pf, err := portforward.New(dialer, []string{fmt.Sprintf("0:%d", port)}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		return "", err
	}
	failed := make(chan error, 1)
	go func() { failed <- pf.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-failed:
		return "", err
	}
	ports, err := pf.GetPorts()
	if err != nil {
		return "", err
	}
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[0].Local))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	fmt.Fprintln(conn, "forwarded")
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// Changed returns a channel that is closed when the results of [Agent.Containers]
// and [Agent.Lookup] may have changed.
func (a *Agent) Changed() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.changed
}
