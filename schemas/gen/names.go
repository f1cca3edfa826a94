package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// properNames are words of the field that look like names of Go.
var properNames = []string{
	"ApisixTls", "CertificateRequest", "CertificateRequests", "ClusterIssuer", "ClusterProfile", "ClusterProfiles", "ConfigMap",
	"CustomResourceDefinition", "CustomResourceDefinitions", "DaemonSet", "GitHub", "HorizontalPodAutoscaler",
	"ControlPlaneHealthy", "DigitalSignature", "KeyAgreement", "MiB", "OnDelete", "OpenBao", "OpenPGP", "RoleBinding", "RoleList", "SelfSubjectReview", "ServiceAccount", "ServiceAccounts", "StatefulSet", "SubjectPublicKeyInfo", "TokenRequest",
}

// camel matches a word that begins with a capital and has another one inside, as
// exported names of Go do: KeyType, CAFile. Plurals of abbreviations are none.
var camel = regexp.MustCompile(`\b(?:[A-Z][A-Za-z0-9]*[a-z0-9][A-Z]\w*|[A-Z]{2,}[a-z]{2,}\w*)\b`)

// readable notes the words of a text that look like names of Go: a reader of the
// reference knows those of the plan only. where and args describe the place of the text.
func (s *source) readable(text, where string, args ...any) {
	for _, w := range camel.FindAllString(text, -1) {
		if !slices.Contains(properNames, w) {
			s.problems = append(s.problems, fmt.Errorf("%s has a name of Go: %s", fmt.Sprintf(where, args...), w))
		}
	}
}

// withKey returns a field's comment with its key in place of the Go name that it begins
// with. Names of one word stay: they are words.
func withKey(text, goName, key string) string {
	rest, ok := strings.CutPrefix(text, goName+" ")
	if !ok || key == strings.ToLower(key) || slices.Contains(properNames, goName) {
		return text
	}
	return key + " " + rest
}

// replaceWord replaces a word wherever it stands for itself.
func replaceWord(text, word, by string) string {
	return regexp.MustCompile(`\b`+regexp.QuoteMeta(word)+`\b`).ReplaceAllString(text, by)
}
