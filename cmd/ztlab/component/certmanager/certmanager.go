// Package certmanager runs the real cert-manager where the containers of its
// chart would run: controller, webhook, cainjector and the start-up API check.
//
// The code that issues, validates and injects is cert-manager's module,
// unchanged. Its command packages are not published, so this package has
// their part: flags, configuration file, leader election, start order.
// Every component acts as its pod's own ServiceAccount and has the rights that
// the chart gives it, no more.
//
// Differences from the images: ACME and Venafi issuers are left out, with the
// providers' SDKs that they bring; servers listen on loopback ports; a flag that
// concerns only those is accepted and has no effect.
package certmanager

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/cert-manager/cert-manager/pkg/util"
	"github.com/ztplan/ztplan/cmd/ztlab/container"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Version is the version of the cert-manager module that is linked in, with any
// tag the pod's image has.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/cert-manager/cert-manager" {
				return m.Version
			}
		}
	}
	return "unknown"
}

// prepare gives the process the surroundings of an image: a way to the API server as
// the pod's ServiceAccount, and a way to the cluster's services. It returns the
// path of a kubeconfig. The process belongs to the component alone, so that its
// environment does, too.
func prepare(spec container.Spec) (kubeconfig string, err error) {
	util.AppVersion = Version() // else every user agent is "canary"
	if spec.Proxy != "" {
		for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
			if err := os.Setenv(name, spec.Proxy); err != nil {
				return "", fmt.Errorf("proxy: %w", err)
			}
		}
	}
	if err := os.Setenv("POD_NAMESPACE", spec.Namespace); err != nil {
		return "", err
	}
	return writeKubeconfig(spec)
}

// writeKubeconfig writes a kubeconfig that names the pod's token file rather
// than holding the token, so that a renewed one is used.
func writeKubeconfig(spec container.Spec) (string, error) {
	const name = "pod"
	if spec.TokenFile == "" {
		return "", fmt.Errorf("pod %s/%s mounts no ServiceAccount token: set automountServiceAccountToken to true", spec.Namespace, spec.Pod)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: spec.APIServer, CertificateAuthority: spec.CAFile}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{TokenFile: spec.TokenFile}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name, Namespace: spec.Namespace}
	config.CurrentContext = name
	file := filepath.Join(spec.Dir, "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		return "", fmt.Errorf("kubeconfig: %w", err)
	}
	return file, nil
}

// hostPath returns the place on the host of a file in one of the container's
// volumes.
func hostPath(spec container.Spec, file string) (string, error) {
	for dir := path.Clean(file); dir != "/" && dir != "."; dir = path.Dir(dir) {
		if host, ok := spec.Mounts[dir]; ok {
			return filepath.Join(host, filepath.FromSlash(strings.TrimPrefix(path.Clean(file), dir))), nil
		}
	}
	return "", fmt.Errorf("%s: no volume of the container holds it", file)
}
