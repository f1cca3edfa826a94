package labstate

// A Status is the output of "ztlab status --output json". Other programs read
// it: fields are added, never renamed.
type Status struct {
	// Ready is true when every component answers and every NodePort is open.
	Ready bool `json:"ready"`
	// Starting is true until it was ready once.
	Starting bool `json:"starting,omitempty"`
	// Message is the reason why it is not ready.
	Message string `json:"message,omitempty"`
	// Dir is the state directory; PID is the supervisor's process id.
	Dir string `json:"dir"`
	PID int    `json:"pid,omitempty"`
	// Kubeconfig is the path of the administrator's kubeconfig.
	Kubeconfig string `json:"kubeconfig"`
	// Address is the loopback address that stands for the node: NodePorts are
	// open on it.
	Address string `json:"address,omitempty"`
	// Mirrors maps a chart repository's public URL to where the lab serves it.
	Mirrors map[string]string `json:"mirrors"`
	// Charts is the directory whose charts are served, empty for the lab's own.
	Charts string `json:"charts,omitempty"`
	// Components are the control plane first, then the containers that run.
	Components []Component `json:"components"`
	// Simulated are the images that the lab does not know: their containers
	// are inert and reported Ready.
	Simulated []string `json:"simulated"`
	// Versions maps a part to the version of the code that is linked in.
	Versions map[string]string `json:"versions"`
	// Ephemeral: the lab is forgotten when it stops.
	Ephemeral bool `json:"ephemeral,omitempty"`
	// Audit is the path of the API server's audit log, empty without --audit.
	Audit string `json:"audit"`
	// ServiceAccountIssuer is the issuer of ServiceAccount tokens. Its keys are at
	// /openid/v1/jwks of the API server.
	ServiceAccountIssuer string `json:"serviceAccountIssuer,omitempty"`
	// AuthenticationConfig is the file that --authentication-config named; the API
	// server has a copy.
	AuthenticationConfig string `json:"authenticationConfig,omitempty"`
	// Problems are conditions a user should act on, such as a NodePort that
	// another program holds.
	Problems []string `json:"problems,omitempty"`
}

// A Component is one part of a running lab.
type Component struct {
	Name    string `json:"name"`
	PID     int    `json:"pid,omitempty"`
	Version string `json:"version,omitempty"`
	Address string `json:"address,omitempty"`
	// State is one of the State constants.
	State string `json:"state"`
	// Message is the reason why it is not ready, where the part has reported one.
	Message string `json:"message,omitempty"`
	// StandIn is true for a part that only stands for the real one.
	StandIn bool `json:"standIn"`
	// Pod is "namespace/name/container" for a container.
	Pod string `json:"pod,omitempty"`
}

// The states of a component.
const (
	StateReady    = "ready"
	StateNotReady = "not ready" // it runs and does not answer, or answers that it is not ready
	StateStopped  = "stopped"   // no process; it is about to be started again unless held down
)
