package certwatch

import (
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// written returns when a field was written, or later, by the API server's clock
// in whole seconds: the time of the newest write of the manager that owns the
// field. It is zero if that is not known.
//
// The times of conditions have it, too, but by the clock of the controller
// that wrote them, which nothing here can measure.
func written(m metav1.ObjectMeta, path ...string) time.Time {
	var at time.Time
	for _, entry := range m.ManagedFields {
		if entry.Time == nil || entry.FieldsV1 == nil || !owns(entry.FieldsV1.GetRawBytes(), path) {
			continue
		}
		// A manager that owns a value wrote it or found it there.
		if at.IsZero() || entry.Time.Time.Before(at) {
			at = entry.Time.Time
		}
	}
	return at
}

// conditionWritten is written for the status of a condition.
func conditionWritten(m metav1.ObjectMeta, kind string) time.Time {
	return written(m, "f:status", "f:conditions", fmt.Sprintf(`k:{"type":%q}`, kind), "f:status")
}

func owns(fields []byte, path []string) bool {
	for _, key := range path {
		var below map[string]json.RawMessage
		if json.Unmarshal(fields, &below) != nil || below[key] == nil {
			return false
		}
		fields = below[key]
	}
	return true
}
