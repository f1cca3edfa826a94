package main

import (
	"context"

	"github.com/ztplan/ztplan/cmd/ztlab/chartrepo"
	"github.com/ztplan/ztplan/cmd/ztlab/node"
	"github.com/ztplan/ztplan/cmd/ztlab/supervisor"
)

// composition ties the node, its parts and the chart repositories to the
// supervisor, which knows none of them.
func composition() supervisor.Composition {
	parts := make(map[string]supervisor.Part)
	for name, c := range containers() {
		parts[name] = supervisor.Part{Version: c.version(), StandIn: c.standIn}
	}
	return supervisor.Composition{Parts: parts, NewNode: newNode, NewCharts: newCharts}
}

func newNode(c supervisor.NodeConfig) (supervisor.Node, error) {
	agent, err := node.New(node.Config{
		Config: c.Client, NodeName: c.Name, NodeAddress: c.Address,
		StateDir: c.StateDir, Sockets: c.Sockets, Executable: c.Executable,
		ProxyURL: c.ProxyURL, APIServer: c.APIServer, CAFile: c.CAFile,
		Images: images(), Natives: natives(c.Executable), Programs: programs(), Logf: c.Logf,
	})
	if err != nil {
		return nil, err
	}
	return labNode{agent}, nil
}

// A labNode shows an agent as the supervisor wants to see it.
type labNode struct{ *node.Agent }

func (n labNode) Containers() []supervisor.Container {
	var list []supervisor.Container
	for _, c := range n.Agent.Containers() {
		list = append(list, supervisor.Container{
			Namespace: c.Namespace, Pod: c.Pod, Name: c.Name, Image: c.Image,
			Component: c.Component, PID: c.PID, Simulated: c.Simulated,
			Ready: c.Ready, Completed: c.Completed, Ending: c.Ending, Message: c.Message, Addresses: c.Addresses,
		})
	}
	return list
}

func newCharts(ctx context.Context, dir string, logf func(string, ...any)) (supervisor.Charts, error) {
	return chartrepo.Serve(ctx, chartrepo.Options{ChartsDir: dir, Logf: logf})
}
