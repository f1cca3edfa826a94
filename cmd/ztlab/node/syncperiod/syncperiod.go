// Package syncperiod reads how late the node is with the files of a pod.
package syncperiod

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Annotation of a pod says how late the node brings the files of a changed Secret or
// ConfigMap into it, as "60s". A kubelet looks at each pod once a minute, and may take as
// long again when it reads objects with a delay; the lab's node brings them at once by
// default.
const Annotation = "ztlab.ztplan.dev/sync-period"

// Of returns how late changed sources reach a pod; 0 without the annotation.
func Of(pod *corev1.Pod) time.Duration {
	late, err := time.ParseDuration(pod.Annotations[Annotation])
	if err != nil {
		return 0
	}
	return late
}
