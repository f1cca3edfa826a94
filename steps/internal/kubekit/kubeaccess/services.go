package kubeaccess

import "github.com/ztplan/ztplan/engine"

// look returns a permission to read.
func look(group, resource, namespace, name, reason string, verbs ...string) engine.Permission {
	return engine.Permission{Verbs: verbs, Group: group, Resource: resource, Namespace: namespace, Name: name, Reason: reason}
}

// write returns a permission that only a step that writes needs.
func write(group, resource, namespace, name, reason string, verbs ...string) engine.Permission {
	p := look(group, resource, namespace, name, reason, verbs...)
	p.Write = true
	return p
}

// Backends is needed to find the pods behind a Service.
func Backends(namespace, service string) []engine.Permission {
	reason := "finds the pods behind Service " + namespace + "/" + service
	return []engine.Permission{
		look("", "services", namespace, service, reason, "get"),
		look("discovery.k8s.io", "endpointslices", namespace, "", reason, "list"),
		look("", "pods", namespace, "", reason, "list"),
	}
}

// Dial is needed to open connections to a Service through the API server, and to
// find out why its pods do not answer. The API server asks for create, or for get
// before Kubernetes 1.35, as the connection is upgraded.
func Dial(namespace, service string) []engine.Permission {
	return append(Backends(namespace, service),
		look("", "pods/portforward", namespace, "", "reaches Service "+namespace+"/"+service+" through the API server", "create", "get"),
		look("", "pods/log", namespace, "", "quotes the last line of a container that ended", "get"))
}

// Members is needed, besides [Dial], to know how many pods belong behind a Service.
func Members(namespace, service string) engine.Permission {
	return look("apps", "statefulsets", namespace, "", "counts the pods that belong behind Service "+namespace+"/"+service, "get")
}

// VolumeClaims is needed to ask which volume claims of pods exist.
func VolumeClaims(namespace, reason string) engine.Permission {
	return look("", "persistentvolumeclaims", namespace, "", reason, "get")
}

// NodePort is needed to find the addresses of a Service's node port.
func NodePort(namespace, service string) []engine.Permission {
	reason := "finds the node port of Service " + namespace + "/" + service
	return []engine.Permission{
		look("", "services", namespace, service, reason, "get"),
		look("", "nodes", "", "", reason, "list"),
	}
}

// Token is needed to request tokens of a ServiceAccount.
func Token(namespace, name, reason string) engine.Permission {
	return look("", "serviceaccounts/token", namespace, name, reason, "create")
}
