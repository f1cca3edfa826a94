package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
	"k8s.io/kubernetes/pkg/util/tail"
)

// messageFile is the file on the host of a container's termination message.
func (w *worker) messageFile(c *cont) string {
	return filepath.Join(w.dir, "termination", c.spec.Name)
}

// newMessageFile makes the file empty for the next run.
func newMessageFile(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("termination message: %w", err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return fmt.Errorf("termination message: %w", err)
	}
	return nil
}

// terminationMessage returns the message of a run that ended with code: what the
// container wrote, or the end of its log where the policy says so. The limits are
// the kubelet's (pkg/kubelet/kuberuntime: getTerminationMessage, pkg/kubelet/status:
// normalizeStatus).
func (l *logs) terminationMessage(pod *corev1.Pod, c *corev1.Container, file, log string, code int32) string {
	data, _, err := tail.ReadAtMost(file, kubecontainer.MaxContainerTerminationMessageLength)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		data = fmt.Appendf(nil, "Error on reading termination log %s: %v", c.TerminationMessagePath, err)
	}
	message := string(data)
	if message == "" && code != 0 && c.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError {
		message = l.end(log)
	}
	containers := len(pod.Spec.Containers) + len(pod.Spec.InitContainers) + len(pod.Spec.EphemeralContainers)
	return message[:min(len(message), kubecontainer.MaxPodTerminationMessageLogLength/containers)]
}

// end returns the end of a log that serves as a termination message.
func (l *logs) end(log string) string {
	var text strings.Builder
	options := logOptions{tail: kubecontainer.MaxContainerTerminationMessageLogLines}
	if err := l.read(context.Background(), log, options, &text); err != nil {
		return fmt.Sprintf("Error on reading termination message from logs: %v", err)
	}
	return text.String()[max(0, text.Len()-kubecontainer.MaxContainerTerminationMessageLogLength):]
}
