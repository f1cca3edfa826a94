// Package refusal reads the reasons of a refusal from an error of the API server: the
// fields, their managers, and whether another try can help.
package refusal

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// StatusOf returns the status that an error of the API server has, or nil.
func StatusOf(err error) *metav1.Status {
	var s apierrors.APIStatus
	if !errors.As(err, &s) {
		return nil
	}
	status := s.Status()
	return &status
}

// Message returns the reason without the repeated name of the object.
func Message(status *metav1.Status) string {
	if status.Reason == metav1.StatusReasonInvalid && status.Details != nil && len(status.Details.Causes) > 0 {
		var lines []string
		for _, c := range status.Details.Causes {
			lines = append(lines, strings.TrimPrefix(c.Field+": "+c.Message, ": "))
		}
		return strings.Join(lines, "; ")
	}
	return status.Message
}

// A Conflict is a field with another manager.
type Conflict struct{ Field, Owner string }

var ownerPattern = regexp.MustCompile(`conflict with "([^"]+)"`)

// Conflicts returns the fields that other managers have, for which an apply is refused.
func Conflicts(err error) []Conflict {
	status := StatusOf(err)
	if status == nil || status.Code != http.StatusConflict || status.Details == nil {
		return nil
	}
	var found []Conflict
	for _, c := range status.Details.Causes {
		if c.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		owner := c.Message
		if m := ownerPattern.FindStringSubmatch(c.Message); m != nil {
			owner = m[1]
		}
		found = append(found, Conflict{strings.TrimPrefix(c.Field, "."), owner})
	}
	return found
}

// NamespaceMissing reports whether the API server refuses the object because
// its namespace does not exist.
func NamespaceMissing(err error) bool {
	s := StatusOf(err)
	return s != nil && s.Reason == metav1.StatusReasonNotFound && s.Details != nil && s.Details.Kind == "namespaces"
}

// NamespaceEnding reports whether the namespace of the object is being deleted.
func NamespaceEnding(err error) bool {
	return apierrors.HasStatusCause(err, "NamespaceTerminating")
}

// WithoutDryRun reports whether a webhook has side effects and is therefore not
// called in dry runs, which then fail.
func WithoutDryRun(err error) bool {
	s := StatusOf(err)
	return s != nil && s.Code == http.StatusBadRequest && strings.Contains(s.Message, "does not support dry run")
}

// WebhookDown reports whether an admission webhook could not be asked: its pod
// is not up yet, or its certificate is not known to the API server yet.
func WebhookDown(err error) bool {
	s := StatusOf(err)
	return s != nil && s.Code >= 500 && strings.Contains(s.Message, "failed calling webhook")
}

// unready are the words of servers that have not read yet what they judge by: the ranges of
// addresses of Services (k8s.io/kubernetes, pkg/registry/core/service/ipallocator), the
// objects that admission plugins go by (k8s.io/apiserver, pkg/admission), the use of a new
// quota (plugin/pkg/admission/resourcequota), and the ServiceAccount that each namespace gets
// (plugin/pkg/admission/serviceaccount).
var unready = regexp.MustCompile(`allocator not ready|not yet ready to handle request|status unknown for quota|error looking up service account \S+/default: `)

// Unready reports whether a refusal (403, 422) with this message is about the moment and
// not about the request: the same one is taken soon.
func Unready(message string) bool { return unready.MatchString(message) }

// UnknownField reports whether a message is about a field that the kind does not have.
func UnknownField(message string) bool {
	return strings.Contains(message, "field not declared in schema") || strings.Contains(message, "strict decoding error")
}

var unknownPattern = regexp.MustCompile(`unknown field "([^"]+)"|\.([\w.\-\[\]]+): field not declared in schema`)

// Fields returns the fields that the API server complains about.
func Fields(err error) []string {
	status := StatusOf(err)
	if status == nil {
		return nil
	}
	var fields []string
	for _, m := range unknownPattern.FindAllStringSubmatch(status.Message, -1) {
		fields = append(fields, m[1]+m[2])
	}
	if status.Details != nil {
		for _, c := range status.Details.Causes {
			if c.Field != "" {
				fields = append(fields, strings.TrimPrefix(c.Field, "."))
			}
		}
	}
	return fields
}
