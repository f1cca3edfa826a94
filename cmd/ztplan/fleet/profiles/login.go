package profiles

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	inventory "sigs.k8s.io/cluster-inventory-api/apis/v1alpha1"
	"sigs.k8s.io/cluster-inventory-api/pkg/access"
)

// clusterInfo is the extension of a cluster that a credential plugin is given
// (client.authentication.k8s.io, Cluster.config).
const clusterInfo = "client.authentication.k8s.io/exec"

// login returns a kubeconfig that logs in with the command of an access provider.
func login(cp *inventory.ClusterProfile, provider inventory.AccessProvider, config *access.Config) ([]byte, error) {
	i := slices.IndexFunc(config.Providers, func(p access.Provider) bool { return p.Name == provider.Name })
	own := config.Providers[i]
	own.ExecConfig = own.ExecConfig.DeepCopy() // the library adds arguments in place
	cp = cp.DeepCopy()
	cp.Status.CredentialProviders, cp.Status.AccessProviders = nil, []inventory.AccessProvider{provider}
	built, err := access.New([]access.Provider{own}).BuildConfigFromCP(cp)
	if err != nil {
		return nil, err
	}
	// They come from a map. The same inventory gives the same objects.
	slices.SortFunc(built.ExecProvider.Env, func(a, b clientcmdapi.ExecEnvVar) int { return cmp.Compare(a.Name, b.Name) })
	const name = "member"
	out := clientcmdapi.NewConfig()
	out.CurrentContext = name
	out.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	cluster := &clientcmdapi.Cluster{
		Server: built.Host, CertificateAuthorityData: built.CAData,
		TLSServerName: provider.Cluster.TLSServerName, ProxyURL: provider.Cluster.ProxyURL,
	}
	if info := built.ExecProvider.Config; info != nil {
		cluster.Extensions = map[string]runtime.Object{clusterInfo: info}
	}
	out.Clusters[name] = cluster
	out.AuthInfos[name] = &clientcmdapi.AuthInfo{Exec: built.ExecProvider}
	if err := clientcmd.ConfirmUsable(*out, ""); err != nil {
		return nil, err
	}
	return clientcmd.Write(*out)
}
