package evidence

import "time"

// A Diagnosis is the state of the cluster and of Vault after a failure, as far as the
// failed steps are about it: it is read when the run is over, so that it may be another
// than at the moment of the failure. It holds no content of Secrets, no environment of
// containers and no values of objects; texts of components are without the secrets that
// the run knows and without texts that look like one.
type Diagnosis struct {
	At      time.Time     `json:"at"`      // when it was read
	Vaults  []VaultState  `json:"vaults"`  // of all steps
	Objects []ObjectState `json:"objects"` // that the failed steps name, with conditions
	Pods    []PodState    `json:"pods"`    // in their namespaces, those that are not well first
	Events  []ClusterNote `json:"events"`  // of Kubernetes, in these namespaces, the newest first
	Logs    []LogTail     `json:"logs"`    // of containers that are not well
	Remarks []string      `json:"remarks"` // reads that failed, and why
}

// A VaultState is the state of Vault's seal.
type VaultState struct {
	Server      string `json:"server"`            // how it is reached
	Initialized bool   `json:"initialized"`       // whether it has keys
	Sealed      bool   `json:"sealed"`            // whether it answers nothing but this
	Progress    int    `json:"progress"`          // shares that were given
	Threshold   int    `json:"threshold"`         // shares that are needed
	Version     string `json:"version,omitempty"` // of Vault
}

// An ObjectState is an object of the cluster with its conditions.
type ObjectState struct {
	Object     string      `json:"object"`            // KIND/NAMESPACE/NAME
	Done       bool        `json:"done"`              // as its spec asks
	Message    string      `json:"message,omitempty"` // its state in words
	Conditions []Condition `json:"conditions"`        // of its status
}

// A Condition is one of the status of an object.
type Condition struct {
	Type    string    `json:"type"`              // such as Ready
	Status  string    `json:"status"`            // True, False or Unknown
	Reason  string    `json:"reason,omitempty"`  // one word
	Message string    `json:"message,omitempty"` // for people
	Since   time.Time `json:"since,omitzero"`    // its last transition
}

// A PodState is the state of a pod.
type PodState struct {
	Namespace string `json:"namespace"`      // of the pod
	Name      string `json:"name"`           // of the pod
	Ready     bool   `json:"ready"`          // its condition Ready
	State     string `json:"state"`          // in words
	Restarts  int    `json:"restarts"`       // of all its containers
	Node      string `json:"node,omitempty"` // where it runs
}

// A ClusterNote is an event of Kubernetes.
type ClusterNote struct {
	At      time.Time `json:"at"`      // when it came last
	Type    string    `json:"type"`    // Normal or Warning
	Object  string    `json:"object"`  // KIND/NAMESPACE/NAME
	Reason  string    `json:"reason"`  // one word
	Message string    `json:"message"` // for people
	Count   int       `json:"count"`   // how often it came
}

// A LogTail is the end of a container's log.
type LogTail struct {
	Pod       string   `json:"pod"`                // NAMESPACE/NAME
	Container string   `json:"container"`          // its name in the pod
	Previous  bool     `json:"previous,omitempty"` // of the run of the container before this one
	Lines     []string `json:"lines"`              // the last ones, each up to 400 characters
}
