package profiles

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	clientcmdv1 "k8s.io/client-go/tools/clientcmd/api/v1"
	inventory "sigs.k8s.io/cluster-inventory-api/apis/v1alpha1"
	"sigs.k8s.io/cluster-inventory-api/pkg/access"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
)

// profile has two access providers; change changes the cluster of the second one.
func profile(change func(*clientcmdv1.Cluster)) *inventory.ClusterProfile {
	cp := &inventory.ClusterProfile{}
	cp.Status.AccessProviders = []inventory.AccessProvider{
		{Name: "first", Cluster: clientcmdv1.Cluster{Server: "https://first.example"}},
		{Name: "cloud", Cluster: clientcmdv1.Cluster{
			Server: "https://cloud.example", CertificateAuthorityData: []byte("CA"), TLSServerName: "kubernetes", ProxyURL: "http://proxy.example",
			Extensions: []clientcmdv1.NamedExtension{
				{Name: "client.authentication.k8s.io/exec", Extension: runtime.RawExtension{Raw: []byte(`{"clusterName":"c1"}`)}},
				{Name: "clusterprofiles.multicluster.x-k8s.io/exec/additional-args", Extension: runtime.RawExtension{Raw: []byte(`["--cluster","c1"]`)}},
				{Name: "clusterprofiles.multicluster.x-k8s.io/exec/additional-envs", Extension: runtime.RawExtension{Raw: []byte(`{"C":"3","A":"1","B":"2"}`)}},
			},
		}},
	}
	if change != nil {
		change(&cp.Status.AccessProviders[1].Cluster)
	}
	return cp
}

func cloud() *access.Config {
	return access.New([]access.Provider{{
		Name:                        "cloud",
		ExecConfig:                  &clientcmdapi.ExecConfig{APIVersion: "client.authentication.k8s.io/v1", Command: "login", Args: []string{"token"}, ProvideClusterInfo: true},
		ProfileSourcedCLIArgsPolicy: access.ProfileSourcedCLIArgsPolicyAppend, ProfileSourcedEnvVarsPolicy: access.ProfileSourcedEnvVarsPolicyReplace,
	}})
}

// The kubeconfig has all fields of the access provider, and is the same for every cluster
// and every time.
func TestLogin(t *testing.T) {
	config := cloud()
	var first fleet.Profile
	for range 10 {
		var p fleet.Profile
		if err := read(&p, profile(nil), config); err != nil {
			t.Fatal(err)
		}
		if first.Login != nil && string(first.Login) != string(p.Login) {
			t.Fatalf("another kubeconfig:\n%s\n%s", first.Login, p.Login)
		}
		first = p
	}
	loaded, err := clientcmd.Load(first.Login)
	if err != nil {
		t.Fatal(err)
	}
	cluster, user := loaded.Clusters["member"], loaded.AuthInfos["member"].Exec
	got := []string{cluster.Server, string(cluster.CertificateAuthorityData), cluster.TLSServerName, cluster.ProxyURL, user.Command, strings.Join(user.Args, " "), string(user.InteractiveMode)}
	for _, e := range user.Env {
		got = append(got, e.Name+"="+e.Value)
	}
	want := []string{"https://cloud.example", "CA", "kubernetes", "http://proxy.example", "login", "token --cluster c1", "Never", "A=1", "B=2", "C=3"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if info, ok := cluster.Extensions[clusterInfo].(*runtime.Unknown); !ok || string(info.Raw) != `{"clusterName":"c1"}` {
		t.Errorf("the plugin is given %v", cluster.Extensions[clusterInfo])
	}
	if first.Server.URL != "https://cloud.example" {
		t.Errorf("the server is %s", first.Server.URL)
	}
}

func TestRead(t *testing.T) {
	none := &inventory.ClusterProfile{}
	deprecated := &inventory.ClusterProfile{}
	deprecated.Status.CredentialProviders = profile(nil).Status.AccessProviders
	insecure := profile(func(c *clientcmdv1.Cluster) { c.InsecureSkipTLSVerify = true })
	proxied := profile(nil)
	proxied.Status.AccessProviders = proxied.Status.AccessProviders[1:]
	other := cloud()
	other.Providers[0].Name = "else"
	for _, tc := range []struct {
		name   string
		cp     *inventory.ClusterProfile
		config *access.Config
		want   string // server, or the error
	}{
		{"keyless takes the first", profile(nil), nil, "https://first.example"},
		{"the one that is listed", profile(nil), cloud(), "https://cloud.example"},
		{"the field of old", deprecated, cloud(), "https://cloud.example"},
		{"none", none, nil, "its status has no access provider, so that its API server is not known"},
		{"none is listed", profile(nil), other, "access.providers.file lists none of its access providers"},
		{"without TLS", insecure, cloud(), "access provider cloud: insecure-skip-tls-verify: TLS is always verified"},
		{"another one is without TLS", insecure, nil, "https://first.example"},
		{"keyless with a proxy", proxied, nil, "access provider cloud: has a proxy-url, and access.keyless goes to the API server itself"},
	} {
		var p fleet.Profile
		err := read(&p, tc.cp, tc.config)
		got := p.Server.URL
		if err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
