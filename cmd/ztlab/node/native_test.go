package node

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// native plays the program of an image in the test binary.
func native(args []string) {
	switch args[0] {
	case "show": // its arguments, working directory and environment
		dir, _ := os.Getwd()
		fmt.Println(strings.Join(append(args[1:], "dir="+dir), "\n"))
		for _, v := range os.Environ() {
			fmt.Println("env " + v)
		}
	case "end": // CODE, LINES of output, then FILE and TEXT for the message
		code, _ := strconv.Atoi(args[1])
		lines, _ := strconv.Atoi(args[2])
		for i := range lines {
			fmt.Fprintf(os.Stderr, "line %d of the log\n", i+1)
		}
		if len(args) > 3 {
			if err := os.WriteFile(args[3], []byte(args[4]), 0o600); err != nil {
				fmt.Println(err)
			}
		}
		os.Exit(code)
	case "crash":
		panic("on purpose")
	case "abort":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "wait": // for SIGTERM
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Println("waiting")
		<-c
		os.Exit(130)
	case "stay": // in spite of SIGTERM
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("staying")
		select {}
	case "leave": // a process behind that holds the output open
		child := exec.Command(os.Args[0], "native", "stay")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(child.Process.Pid)
	}
}

// newNativeNode returns a node on which the test binary is the program of an image.
func newNativeNode(t *testing.T) *testNode {
	t.Helper()
	w := newTestNode(t)
	w.agent.conf.Natives = map[string]Native{"tool": {File: w.agent.conf.Executable, Entrypoint: "/usr/bin/tool", WorkingDir: "/work"}}
	w.agent.images["*/tool"] = "tool"
	w.agent.conf.ProxyURL = "http://lab:word@127.0.0.1:1"
	return w
}

// run makes a pod of the image with arguments that runs once.
func (w *testNode) run(name string, edit func(*corev1.Pod), args ...string) *corev1.Pod {
	w.t.Helper()
	return w.create(name, "registry.example/mirror/tool:1", func(p *corev1.Pod) {
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		c := &p.Spec.Containers[0]
		c.Args = append([]string{"native"}, args...)
		c.TerminationMessagePath = corev1.TerminationMessagePathDefault
		if edit != nil {
			edit(p)
		}
	})
}

// awaitEnd returns how the pod's container ended.
func (w *testNode) awaitEnd(name string) corev1.ContainerStateTerminated {
	w.t.Helper()
	pod := w.await(name, "ended", func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
	state := pod.Status.ContainerStatuses[0].State.Terminated
	if state == nil {
		w.t.Fatalf("pod %s: %+v; want its container terminated", name, pod.Status)
	}
	return *state
}

// log returns the log of a pod's first run.
func (w *testNode) log(pod *corev1.Pod) string {
	w.t.Helper()
	var text strings.Builder
	path := w.agent.logs.path(pod.Namespace, pod.Name, string(pod.UID), "main", 0)
	if err := w.agent.logs.read(w.t.Context(), path, logOptions{tail: -1}, &text); err != nil {
		w.t.Fatal(err)
	}
	return text.String()
}

// awaitLog returns when a pod has logged the text.
func (w *testNode) awaitLog(pod *corev1.Pod, text string) {
	w.t.Helper()
	w.await(pod.Name, "ready", ready)
	w.await(pod.Name, "logging "+text, func(*corev1.Pod) bool { return strings.Contains(w.log(pod), text) })
}

func TestNativeSeesTheHostsPathsAndNothingOfTheLab(t *testing.T) {
	t.Setenv("LAB_SECRET", "leaks")
	w := newNativeNode(t)
	pod := w.run("one", func(p *corev1.Pod) {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "work"})
		c := &p.Spec.Containers[0]
		c.Command = []string{"tool", "native"}
		c.Args = []string{"show", "--keys=/etc/secret/word,/etc/secret", "/etc/secrets", "$(POD)", "file:///etc/secret"}
		c.Env = append(c.Env, corev1.EnvVar{Name: "KUBECONFIG", Value: "/etc/secret/word:/dev/termination-log"})
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "work", MountPath: "/work"})
	})
	if end := w.awaitEnd("one"); end.ExitCode != 0 || end.Reason != "Completed" {
		t.Fatalf("ended with %+v\n%s", end, w.log(pod))
	}
	state := filepath.Join(w.agent.conf.StateDir, "pods", string(pod.UID))
	secret := filepath.Join(state, "volumes", "s")
	scratch := filepath.Join(state, "containers", "main")
	lines := strings.Split(strings.TrimSpace(w.log(pod)), "\n")
	want := []string{"--keys=" + secret + "/word," + secret, "/etc/secrets", "one", "file:///etc/secret", "dir=" + filepath.Join(state, "volumes", "work")}
	if diff := cmp.Diff(want, lines[:min(len(want), len(lines))]); diff != "" {
		t.Errorf("arguments and directory (-want +got):\n%s", diff)
	}
	for _, v := range []string{
		"KUBECONFIG=" + secret + "/word:" + filepath.Join(state, "termination", "main"), "GREETING=hello", "POD=one",
		"HOME=" + scratch, "TMPDIR=" + scratch + "/tmp", "HTTPS_PROXY=http://apps:word@127.0.0.1:1", "HTTP_PROXY=http://apps:word@127.0.0.1:1",
	} {
		if !slices.Contains(lines, "env "+v) {
			t.Errorf("its environment lacks %s:\n%s", v, strings.Join(lines, "\n"))
		}
	}
	if strings.Contains(w.log(pod), "LAB_SECRET") {
		t.Error("the lab's own environment leaks into the program")
	}
}

func TestPathsAreTranslated(t *testing.T) {
	p := newHostPaths(map[string]string{"/a": "/host/1", "/a/b": "/host/2", "/dev/log": "/host/3"})
	for text, want := range map[string]string{
		"/a": "/host/1", "/a/x": "/host/1/x", "/a/b": "/host/2", "/a/b/c": "/host/2/c", "/ab": "/ab", "x/a": "x/a", "/x/a": "/x/a",
		"--f=/a/x": "--f=/host/1/x", "k=/a,/a/b:/dev/log": "k=/host/1,/host/2:/host/3", "/dev/log=": "/host/3=", "https://a/b": "https://a/b", "": "",
	} {
		if got := p.translate(text); got != want {
			t.Errorf("translate(%q) = %q; want %q", text, got, want)
		}
	}
}

func TestHowANativeEnds(t *testing.T) {
	t.Parallel()
	w := newNativeNode(t)
	fallback := func(p *corev1.Pod) {
		p.Spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	}
	four := func(p *corev1.Pod) {
		for _, name := range []string{"b", "c", "d"} {
			p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: name, Image: "other"})
		}
	}
	log := func(from, to int) string {
		var b strings.Builder
		for i := from; i <= to; i++ {
			fmt.Fprintf(&b, "line %d of the log\n", i)
		}
		return b.String()
	}
	long := strings.Repeat("0123456789", 500)
	const file = corev1.TerminationMessagePathDefault
	tests := []struct {
		name    string
		edit    func(*corev1.Pod)
		args    []string
		code    int32
		message string
	}{
		{"well", nil, []string{"end", "0", "1", file, "well done"}, 0, "well done"},
		{"badly", nil, []string{"end", "3", "1"}, 3, ""},
		{"crashed", nil, []string{"crash"}, 2, ""},
		{"killed", nil, []string{"abort"}, 137, ""},
		{"elsewhere", func(p *corev1.Pod) { p.Spec.Containers[0].TerminationMessagePath = "/tmp/verdict" }, []string{"end", "1", "1", "/tmp/verdict", "no"}, 1, "no"},
		{"at-length", nil, []string{"end", "1", "0", file, long}, 1, long[len(long)-4096:]},
		{"in-a-full-pod", four, []string{"end", "1", "0", file, long}, 1, long[len(long)-4096:][:3072]},
		{"fallback", fallback, []string{"end", "1", "90"}, 1, log(11, 90)},
		{"fallback-cut", fallback, []string{"end", "1", "2000"}, 1, log(1921, 2000)},
		{"fallback-unused", fallback, []string{"end", "1", "3", file, "known"}, 1, "known"},
		{"fallback-success", fallback, []string{"end", "0", "3"}, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pod := w.run(tt.name, tt.edit, tt.args...)
			end := w.awaitEnd(tt.name)
			want := tt.message
			if len(want) > 2048 && tt.args[2] != "0" { // of a log
				want = want[len(want)-2048:]
			}
			if end.ExitCode != tt.code || end.Message != want {
				t.Errorf("exit code %d, message %q; want %d, %q\n%s", end.ExitCode, end.Message, tt.code, want, w.log(pod))
			}
		})
	}
}

// A component has no file for its message; the end of its log serves as well.
func TestTerminationMessageOfAComponent(t *testing.T) {
	w := newTestNode(t)
	w.create("bad", "lab/broken", func(p *corev1.Pod) {
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		p.Spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	})
	if end := w.awaitEnd("bad"); end.ExitCode != 1 || end.Message != "broken on purpose\n" {
		t.Errorf("ended with %+v", end)
	}
}

func TestNativeThatIsMissingIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newNativeNode(t)
	file := filepath.Join(t.TempDir(), "tool")
	w.agent.conf.Natives["tool"] = Native{File: file, Entrypoint: "/usr/bin/tool"}
	w.run("early", nil, "end", "0", "0")
	pod := w.await("early", "waiting", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].State.Waiting != nil &&
			p.Status.ContainerStatuses[0].State.Waiting.Reason == "ErrImagePull"
	})
	if got := pod.Status.ContainerStatuses[0].State.Waiting.Message; !strings.Contains(got, file) || !strings.Contains(got, "registry.example/mirror/tool:1") {
		t.Errorf("message %q; want the image and the file that is looked for", got)
	}
	if err := os.Symlink(w.agent.conf.Executable, file); err != nil {
		t.Fatal(err)
	}
	if end := w.awaitEnd("early"); end.ExitCode != 0 {
		t.Errorf("once it is there: %+v", end)
	}
}

func TestNativeRefusesAnotherCommand(t *testing.T) {
	w := newNativeNode(t)
	w.run("shell", func(p *corev1.Pod) { p.Spec.Containers[0].Command = []string{"sh", "-c"} }, "end", "0", "0")
	end := w.awaitEnd("shell")
	if end.ExitCode != 128 || end.Reason != "StartError" || !strings.Contains(end.Message, `"sh"`) || !strings.Contains(end.Message, "/usr/bin/tool") {
		t.Errorf("ended with %+v", end)
	}
}

func TestNativeEndsWithItsPod(t *testing.T) {
	for _, tt := range []struct {
		does, says string
		grace      int64
		code       int32
	}{{"wait", "waiting", 600, 130}, {"stay", "staying", 1, 137}} {
		t.Run(tt.does, func(t *testing.T) {
			t.Parallel()
			w := newNativeNode(t)
			pod := w.run("long", nil, tt.does)
			w.awaitLog(pod, tt.says)
			pid := w.agent.Containers()[0].PID
			w.remove("long", tt.grace)
			w.awaitGone()
			if code, ok := w.lastExit("long"); !ok || code != tt.code || alive(pid) {
				t.Errorf("exit code %d (known %t), process there %t; want %d", code, ok, alive(pid), tt.code)
			}
		})
	}
}

// The processes of a container end with its first one, and do not keep its log open.
func TestNativeLeavesNoProcess(t *testing.T) {
	w := newNativeNode(t)
	pod := w.run("parent", nil, "leave")
	w.awaitEnd("parent")
	pid, err := strconv.Atoi(strings.Fields(w.log(pod))[0])
	if err != nil {
		t.Fatalf("%v\n%s", err, w.log(pod))
	}
	w.await("parent", "without a process", func(*corev1.Pod) bool { return gone(pid) })
}

// gone reports whether a process does not run. Its end is not this process's to
// collect.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(stat), ") ")
	return err != nil || strings.HasPrefix(after, "Z")
}

// The pod's deadline ends its containers as a deletion does; the pod stays, failed.
func TestActiveDeadline(t *testing.T) {
	w := newNativeNode(t)
	pod := w.run("late", func(p *corev1.Pod) {
		p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
		p.Status.StartTime = ptr.To(metav1.Unix(1, 0))
	}, "wait")
	w.awaitLog(pod, "waiting")
	if err := w.agent.Kill(t.Context(), "tool"); err != nil { // another end would be followed by a back-off
		t.Fatal(err)
	}
	w.await("late", "back", restarts(1))
	pods := w.client.CoreV1().Pods(testNamespace)
	pod, err := pods.Get(t.Context(), "late", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod.Spec.ActiveDeadlineSeconds = ptr.To[int64](1)
	pod.ResourceVersion += "0"
	if _, err := pods.Update(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if end := w.awaitEnd("late"); end.ExitCode != 130 && end.ExitCode != 128+int32(syscall.SIGTERM) { // before it listens
		t.Errorf("container: %+v", end)
	}
	if pod, err = pods.Get(t.Context(), "late", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	if pod.Status.Phase != corev1.PodFailed || pod.Status.Reason != "DeadlineExceeded" || pod.Status.ContainerStatuses[0].RestartCount != 1 {
		t.Errorf("pod: %+v", pod.Status)
	}
}

// Conditions that others wrote into the status stay.
func TestConditionsOfOthersStay(t *testing.T) {
	w := newNativeNode(t)
	scheduled := corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}
	pod := w.run("held", func(p *corev1.Pod) { p.Status.Conditions = []corev1.PodCondition{scheduled} }, "wait")
	w.awaitLog(pod, "waiting")
	pod, err := w.client.CoreV1().Pods(testNamespace).Get(t.Context(), "held", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(pod.Status.Conditions, scheduled) {
		t.Errorf("the scheduler's condition was lost: %+v", pod.Status.Conditions)
	}
}
