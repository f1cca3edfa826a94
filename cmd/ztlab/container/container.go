// Package container is the contract between the lab's node agent and the
// built-in components that stand where a container would run.
//
// A component is one process: the ztlab binary re-executed as
// "ztlab component NAME". It reads one [Spec] as JSON from standard input,
// writes [Report]s as JSON lines to file descriptor 3, logs to standard error,
// and exits when standard input is closed or its context is cancelled. The
// process boundary keeps flags, feature gates, environment and crashes apart.
package container

import (
	"context"
	"io"
)

// A Spec is all that a component knows about the pod it stands for.
type Spec struct {
	Namespace      string            `json:"namespace"`
	Pod            string            `json:"pod"`
	UID            string            `json:"uid"`
	PodIP          string            `json:"podIP"` // a label, not an address: nothing listens on it
	Name           string            `json:"name"`  // the container's name in the pod
	Image          string            `json:"image"`
	ServiceAccount string            `json:"serviceAccount"`
	Labels         map[string]string `json:"labels,omitempty"`

	// Command and Args have $(VAR) references expanded.
	Command []string          `json:"command,omitempty"`
	Args    []string          `json:"args,omitempty"`
	Env     map[string]string `json:"env,omitempty"`

	// Mounts maps each mountPath of the container to the directory on the host
	// that holds its content. ConfigMaps, Secrets and projected volumes are
	// kept up to date there by the node agent.
	Mounts map[string]string `json:"mounts,omitempty"`

	// Dir is a private scratch directory, kept across restarts of the container.
	Dir string `json:"dir"`

	// Sockets is a directory of mode 0700 with a path that is short enough for
	// Unix sockets. A component whose protocol lets a stranger take it over
	// listens there. Empty outside a lab.
	Sockets string `json:"sockets,omitempty"`

	// APIServer is the URL of the kube-apiserver on loopback. TokenFile and
	// CAFile hold the pod's own ServiceAccount token (renewed in place) and the
	// cluster's CA: a component has exactly the rights its ServiceAccount has.
	APIServer string `json:"apiServer"`
	TokenFile string `json:"tokenFile"`
	CAFile    string `json:"caFile"`

	// Proxy is an HTTP CONNECT proxy (http://namespace:password@127.0.0.1:port) that
	// resolves Service names, cluster IPs and pod IPs; the only way to another pod.
	Proxy string `json:"proxy"`
}

// A Report is a component's state. Fields left out keep their
// last value.
type Report struct {
	// Listen maps a container port to the loopback address that serves it,
	// for example {8200: "127.0.0.1:41233"}, or to a Unix socket,
	// "unix:/path"; see [Dial].
	Listen map[int]string `json:"listen,omitempty"`
	// Ready is the readiness of the container. A container that never reports
	// it is not ready.
	Ready *bool `json:"ready,omitempty"`
	// Message is the reason why it is not ready, for the container's status.
	Message string `json:"message,omitempty"`
}

// A Component runs until ctx ends. An error restarts the container, as a
// non-zero exit code of a real one would; nil means that it completed (Jobs).
type Component func(ctx context.Context, spec Spec, report func(Report)) error

// An Exec is one program that is run in a container, as by kubectl exec.
type Exec struct {
	// Args are the program's arguments, without its name.
	Args []string
	// Stdin is nil when the caller has attached none.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// TTY: Stdin is the caller's terminal, in raw mode.
	TTY bool
	// Addresses maps the container's ports to the addresses that serve them, as reported.
	Addresses map[int]string
	// Mounts maps each mountPath of the container to its directory on the host.
	Mounts map[string]string
	// Dir is a directory of the container's, which goes with the pod.
	Dir string
}

// A Program runs until it is done or ctx ends, and returns its exit code.
type Program func(ctx context.Context, e Exec) int
