package kubekit

import "strings"

// ClusterScoped reports whether a kind has no namespaces, without asking a cluster:
// those of Kubernetes itself are listed, and others are called Cluster… by custom.
func ClusterScoped(kind string) bool {
	switch kind {
	case "Namespace", "Node", "PersistentVolume", "StorageClass", "IngressClass", "PriorityClass", "RuntimeClass", "GatewayClass",
		"CSIDriver", "CustomResourceDefinition", "APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "CertificateSigningRequest":
		return true
	}
	return len(kind) > len("Cluster") && strings.HasPrefix(kind, "Cluster")
}

// A Scope is the part of the cluster that a step is about, for the diagnosis of its
// failure.
type Scope struct {
	Namespaces []string // whose pods and events matter
	Objects    []Ref    // whose conditions matter
}

// A Scoper is a spec that knows its scope. It is asked with the inputs that are known when
// the plan is read, and contacts nothing.
type Scoper interface{ Scope() Scope }
