package kubekit

// A Scope is what a step is about in the cluster, for those who look there when it has
// failed.
type Scope struct {
	Namespaces []string // whose pods and events matter
	Objects    []Ref    // whose conditions matter
}

// A Scoper is a spec that knows its scope. It is asked with the inputs that are known when
// the plan is read, and contacts nothing.
type Scoper interface{ Scope() Scope }
