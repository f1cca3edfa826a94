package main

import (
	"path/filepath"

	"github.com/ztplan/ztplan/cmd/ztlab/component/certmanager"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway"
	"github.com/ztplan/ztplan/cmd/ztlab/component/nginx"
	"github.com/ztplan/ztplan/cmd/ztlab/component/vault"
	"github.com/ztplan/ztplan/cmd/ztlab/component/vault/client"
	"github.com/ztplan/ztplan/cmd/ztlab/container"
	"github.com/ztplan/ztplan/cmd/ztlab/controlplane"
	"github.com/ztplan/ztplan/cmd/ztlab/node"
)

// A builtIn is a part that runs where a container of a known image would.
type builtIn struct {
	run container.Component
	// module is the part's name in controlplane.Versions; empty for a stand-in.
	module string
	// standIn is true for a part that only stands for the real one.
	standIn bool
}

// containers are the built-in parts, by the name under which users and "ztlab
// status" know them.
func containers() map[string]builtIn {
	return map[string]builtIn{
		"vault":              {run: vault.Run, module: "vault"},
		"gateway":            {run: gateway.APISIX, standIn: true},
		"ingress-controller": {run: gateway.IngressController, standIn: true},
		"nginx":              {run: nginx.Run, standIn: true},
		"cert-manager":       {run: certmanager.Controller, module: "cert-manager"},
		"webhook":            {run: certmanager.Webhook, module: "cert-manager"},
		"cainjector":         {run: certmanager.CAInjector, module: "cert-manager"},
		"startupapicheck":    {run: certmanager.StartupAPICheck, module: "cert-manager"},
	}
}

// images maps an image to the part or program that runs in its place. Every other
// image is simulated.
func images() []node.Image {
	return []node.Image{
		{Repository: "hashicorp/vault", Component: "vault"},
		{Repository: "apache/apisix", Component: "gateway"},
		{Repository: "apache/apisix-ingress-controller", Component: "ingress-controller"},
		{Repository: "nginx", Component: "nginx"},
		{Repository: "quay.io/jetstack/cert-manager-controller", Component: "cert-manager"},
		{Repository: "quay.io/jetstack/cert-manager-webhook", Component: "webhook"},
		{Repository: "quay.io/jetstack/cert-manager-cainjector", Component: "cainjector"},
		{Repository: "quay.io/jetstack/cert-manager-startupapicheck", Component: "startupapicheck"},
		{Repository: "*/ztplan", Component: "ztplan"}, // ghcr.io/ztplan/ztplan and its mirrors
	}
}

// natives are the images' own programs that the lab runs, by the name under which
// "ztlab status" shows them. ztplan lies beside the lab's executable. Entrypoint and
// working directory are those of .docker/Dockerfile.
func natives(executable string) map[string]node.Native {
	return map[string]node.Native{"ztplan": {
		File:       filepath.Join(filepath.Dir(executable), "ztplan"),
		Entrypoint: "/usr/local/bin/ztplan", WorkingDir: "/work",
	}}
}

// programs are those that kubectl exec can run in a part's container.
func programs() map[string]map[string]container.Program {
	return map[string]map[string]container.Program{"vault": {"vault": client.Run}}
}

// version is the version of the part's code, or the lab's own for a stand-in.
func (b builtIn) version() string {
	if b.standIn {
		return labVersion()
	}
	return controlplane.Versions()[b.module]
}
