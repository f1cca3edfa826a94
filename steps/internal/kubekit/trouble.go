package kubekit

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
)

// troubleTime bounds the question why a pod does not answer: the answer only
// makes an error better.
const troubleTime = 5 * time.Second

// Trouble returns why a pod behind a Service does not answer, with the last
// line that a container wrote before it ended: "pod vault-0 waits: container
// vault is in CrashLoopBackOff: …; its last line: …". It is "" if every pod is
// well, or nothing can be found out. An error of the caller needs no second one. hint is
// the advice.
func (c *Cluster) Trouble(ctx context.Context, namespace, service string) (why, hint string) {
	ctx, cancel := context.WithTimeout(ctx, troubleTime)
	defer cancel()
	svc, err := c.client.CoreV1().Services(namespace).Get(ctx, service, metav1.GetOptions{})
	if err != nil || len(svc.Spec.Selector) == 0 {
		return "", ""
	}
	pods, err := c.selected(ctx, namespace, svc)
	if err != nil {
		return "", ""
	}
	for _, p := range pods {
		runs, why := kubestatus.PodRuns(&p)
		fallen := ended(&p)
		switch {
		case runs && fallen != nil && !kubestatus.PodReady(&p):
			why = fmt.Sprintf("runs again: container %s has ended %d times", fallen.Name, fallen.RestartCount)
		case runs:
			continue
		}
		return "pod " + p.Name + " " + kubestatus.OneLine(why) + c.lastLine(ctx, &p), kubestatus.PodHint(&p)
	}
	return "", ""
}

// ended returns a container of the pod that has ended and was or will be started
// again, nil if there is none.
func ended(p *corev1.Pod) *corev1.ContainerStatus {
	all := append(append([]corev1.ContainerStatus{}, p.Status.InitContainerStatuses...), p.Status.ContainerStatuses...)
	for i, cs := range all {
		if last := cs.LastTerminationState.Terminated; last != nil && last.ExitCode != 0 {
			return &all[i]
		}
	}
	return nil
}

// lastLine returns the last line of the pod's ended container, ready to be
// appended to a message, or "".
func (c *Cluster) lastLine(ctx context.Context, p *corev1.Pod) string {
	fallen := ended(p)
	if fallen == nil {
		return ""
	}
	lines := int64(1)
	text := c.LogTail(ctx, p, &corev1.PodLogOptions{Container: fallen.Name, Previous: true, TailLines: &lines})
	if text == "" {
		return ""
	}
	return "; its last line: " + text
}

// maxTail bounds the bytes of a log that are read.
const maxTail = 4 << 10

// LogTail returns the end of a pod's log on one line, "" if it cannot be read.
func (c *Cluster) LogTail(ctx context.Context, p *corev1.Pod, options *corev1.PodLogOptions) string {
	limit := int64(maxTail)
	options.LimitBytes = &limit
	text, err := c.client.CoreV1().Pods(p.Namespace).GetLogs(p.Name, options).DoRaw(ctx)
	if err != nil {
		return ""
	}
	return kubestatus.OneLine(string(text[:min(len(text), maxTail)]))
}

// LogLines returns the last lines of a pod's log, at most most of them.
func (c *Cluster) LogLines(ctx context.Context, p *corev1.Pod, options *corev1.PodLogOptions, most int64) ([]string, error) {
	limit := int64(maxTail)
	options.LimitBytes, options.TailLines = &limit, &most
	text, err := c.client.CoreV1().Pods(p.Namespace).GetLogs(p.Name, options).DoRaw(ctx)
	if err != nil {
		return nil, Classify(err)
	}
	return strings.Split(strings.TrimRight(string(text[:min(len(text), maxTail)]), "\n"), "\n"), nil
}

// lastWords is lastLine of the first pod that is not ready and whose container
// ended.
func (c *Cluster) lastWords(ctx context.Context, pods []corev1.Pod) string {
	for _, p := range pods {
		if !kubestatus.PodReady(&p) && ended(&p) != nil {
			return c.lastLine(ctx, &p)
		}
	}
	return ""
}
