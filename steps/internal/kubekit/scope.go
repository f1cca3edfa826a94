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
