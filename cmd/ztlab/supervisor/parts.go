package supervisor

import (
	"context"

	"k8s.io/client-go/rest"
)

// A Node is the lab's one node: it runs the containers of the pods that are
// bound to it.
type Node interface {
	// Run serves until ctx ends, then stops every container and returns.
	Run(ctx context.Context) error
	// KubeletAddress is the loopback host:port of the kubelet's API.
	KubeletAddress() string
	// Lookup returns the loopback address that serves a port of a pod.
	Lookup(podIP string, port int) (addr string, ok bool)
	// Restart stops the containers that a name selects and starts them again;
	// Kill does it with SIGKILL.
	Restart(ctx context.Context, name string) error
	Kill(ctx context.Context, name string) error
	// Containers lists the node's containers.
	Containers() []Container
}

// A Container is one container of the node.
type Container struct {
	Namespace, Pod, Name, Image string
	// Component is the built-in part that runs it; Simulated means that there
	// is none and the container is inert.
	Component string
	PID       int
	Simulated bool
	Ready     bool
	// Completed means that it has ended and will not run again.
	Completed bool
	// Ending means that its pod is being deleted.
	Ending bool
	// Message is the reason why it is not ready.
	Message string
	// Addresses maps container ports to loopback addresses.
	Addresses map[int]string
}

// NodeConfig configures a node.
type NodeConfig struct {
	// Client has the rights of an administrator.
	Client               *rest.Config
	Name, Address        string
	StateDir, Executable string
	// Sockets is the directory of the lab's Unix sockets.
	Sockets   string
	ProxyURL  string
	APIServer string
	CAFile    string
	Logf      func(string, ...any)
}

// Charts serves Helm repositories.
type Charts interface {
	// Mirrors maps a repository's public URL to where it is served.
	Mirrors() map[string]string
	Close() error
}

// A Part describes a built-in component.
type Part struct {
	Version string
	// StandIn is true for a part that only stands for the real one.
	StandIn bool
}

// Composition has the lab's parts besides its control plane. The main
// package fills it in: it is the only one that knows every part.
type Composition struct {
	NewNode   func(NodeConfig) (Node, error)
	NewCharts func(ctx context.Context, chartsDir string, logf func(string, ...any)) (Charts, error)
	Parts     map[string]Part
}
