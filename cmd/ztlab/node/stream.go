package node

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// Time-outs of the streams, as the kubelet's.
const (
	streamIdle     = 4 * time.Hour
	streamCreation = remotecommand.DefaultStreamCreationTimeout
)

// kubeletHandler is the part of the kubelet API that kube-apiserver calls.
// The paths are the kubelet's (pkg/kubelet/server: InstallDebuggingHandlers).
func (a *Agent) kubeletHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "ok") // the caller is gone
	})
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", a.serveLogs)
	for _, pattern := range []string{"/portForward/{namespace}/{pod}", "/portForward/{namespace}/{pod}/{uid}"} {
		mux.HandleFunc(pattern, a.servePortForward)
	}
	for _, pattern := range []string{"/exec/{namespace}/{pod}/{container}", "/exec/{namespace}/{pod}/{uid}/{container}"} {
		mux.HandleFunc(pattern, a.serveExec)
	}
	for _, pattern := range []string{"/attach/", "/run/", "/checkpoint/"} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "the lab's node has no containers to attach to or run programs in: built-in components stand for them", http.StatusNotImplemented)
		})
	}
	return a.authorized(mux)
}

// podOf finds the pod that a request names.
func (a *Agent) podOf(r *http.Request) (*worker, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	namespace, name, uid := r.PathValue("namespace"), r.PathValue("pod"), types.UID(r.PathValue("uid"))
	if w := a.named(namespace, name); w != nil && (uid == "" || uid == w.uid) {
		return w, nil
	}
	return nil, fmt.Errorf("pod %s/%s does not run on this node", namespace, name)
}

// named finds a pod by its name; a.mu is held. A pod that was removed by force may
// still end beside the next one of its name, which is the one that is meant.
func (a *Agent) named(namespace, name string) *worker {
	var found *worker
	for _, w := range a.workers {
		if w.namespace == namespace && w.name == name && (found == nil || !w.vanished()) {
			found = w
		}
	}
	return found
}

// servePortForward connects streams to the ports of a pod's components.
func (a *Agent) servePortForward(w http.ResponseWriter, r *http.Request) {
	pod, err := a.podOf(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, forwarder{a, pod}, pod.name, string(pod.uid), options, streamIdle, streamCreation, portforward.SupportedProtocols)
}

// A forwarder forwards to one pod.
type forwarder struct {
	a *Agent
	w *worker
}

// PortForward copies between a stream and a port of the pod until both
// directions have ended.
func (f forwarder) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close() // it is done with either way
	f.a.mu.Lock()
	addr, ok := f.a.pods[f.w.uid].port(int(port))
	f.a.mu.Unlock()
	if !ok {
		return fmt.Errorf("pod %s/%s: connection refused: nothing listens on port %d", f.w.namespace, f.w.name, port)
	}
	conn, err := container.Dial(ctx, addr)
	if err != nil {
		return fmt.Errorf("pod %s/%s port %d: %w", f.w.namespace, f.w.name, port, err)
	}
	defer conn.Close() // both directions have ended
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var toPod sync.WaitGroup
	toPod.Go(func() {
		io.Copy(conn, stream)                               // the other direction reports it to the client
		conn.(interface{ CloseWrite() error }).CloseWrite() // likewise
	})
	_, err = io.Copy(stream, conn)
	stream.Close() // ends the other direction
	toPod.Wait()
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("pod %s/%s port %d: %w", f.w.namespace, f.w.name, port, err)
	}
	return nil
}

// serveExec answers a request to run a program in a container. The streams are
// opened first, so that the client shows the answer as it shows a program's.
func (a *Agent) serveExec(w http.ResponseWriter, r *http.Request) {
	pod, err := a.podOf(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(w, r, executor{a, pod}, pod.name, string(pod.uid), r.PathValue("container"),
		r.URL.Query()[corev1.ExecCommandParam], options, streamIdle, streamCreation, remotecommand.SupportedStreamingProtocols)
}

// serveLogs sends a container's log.
func (a *Agent) serveLogs(w http.ResponseWriter, r *http.Request) {
	options, previous, err := parseLogOptions(r.URL.Query(), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	namespace, name, container := r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container")
	uid, run, err := a.latestRun(r.Context(), namespace, name, container)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if previous {
		if run--; run < 0 {
			http.Error(w, fmt.Sprintf("previous terminated container %q in pod %q not found", container, name), http.StatusBadRequest)
			return
		}
	}
	w.Header().Set("Content-Type", "text/plain")
	flush := &flushWriter{ResponseWriter: w, each: options.follow}
	if err := a.logs.read(r.Context(), a.logs.path(namespace, name, uid, container, run), options, flush); err != nil && !flush.wrote {
		http.Error(w, fmt.Sprintf("container %q in pod %q: %v", container, name, err), http.StatusBadRequest)
	}
}

// latestRun finds the container's latest run. Pods that ended under an earlier
// agent are known to the API server only.
func (a *Agent) latestRun(ctx context.Context, namespace, name, container string) (uid string, run int32, err error) {
	missing := fmt.Errorf("container %q in pod %q has not started", container, name)
	a.mu.Lock()
	if w := a.named(namespace, name); w != nil {
		defer a.mu.Unlock()
		run, ok := a.pods[w.uid].runs[container]
		if !ok {
			return "", 0, missing
		}
		return string(w.uid), run, nil
	}
	a.mu.Unlock()
	pod, err := a.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", 0, err
	}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if s.Name == container && s.ContainerID != "" {
			return string(pod.UID), s.RestartCount, nil
		}
	}
	return "", 0, missing
}

// A flushWriter sends its buffer when asked to.
type flushWriter struct {
	http.ResponseWriter
	each  bool
	wrote bool
}

func (f *flushWriter) Write(b []byte) (int, error) {
	f.wrote = true
	return f.ResponseWriter.Write(b)
}

// Flush sends everything written so far.
func (f *flushWriter) Flush() {
	if flusher, ok := f.ResponseWriter.(http.Flusher); ok {
		flusher.Flush()
	}
}

// parseLogOptions reads the query of a log request.
func parseLogOptions(q map[string][]string, now time.Time) (o logOptions, previous bool, err error) {
	get := func(name string) string {
		if v := q[name]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	number := func(name string, otherwise int64) int64 {
		text := get(name)
		if text == "" {
			return otherwise
		}
		n, e := strconv.ParseInt(text, 10, 64)
		if (e != nil || n < 0) && err == nil {
			err = fmt.Errorf("%s: %q is not a number of at least 0", name, text)
		}
		return n
	}
	truth := func(name string) bool { b, _ := strconv.ParseBool(get(name)); return b }
	o = logOptions{
		follow:     truth("follow"),
		timestamps: truth("timestamps"),
		tail:       int(number("tailLines", -1)),
		limit:      number("limitBytes", 0),
	}
	if seconds := number("sinceSeconds", -1); seconds >= 0 {
		o.since = now.Add(-time.Duration(seconds) * time.Second)
	}
	if text := get("sinceTime"); text != "" {
		t, e := time.Parse(time.RFC3339, text)
		if e != nil {
			err = fmt.Errorf("sinceTime: %w", e)
		}
		o.since = t
	}
	return o, truth("previous"), err
}
