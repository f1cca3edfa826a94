package member

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/durable"
)

// tokenSeconds is how long a token is asked for: the shortest that the API server gives
// (k8s.io/kubernetes/pkg/apis/authentication/validation).
const tokenSeconds = 600

// Access returns the path of a kubeconfig for the cluster. It holds until ctx ends.
func (m *Member) Access(ctx context.Context) (kubeconfig string, err error) {
	if m.paths.Kubeconfig != "" {
		return m.paths.Kubeconfig, nil
	}
	kubeconfig = filepath.Join(m.paths.Work, "kubeconfig")
	if m.Run.Pull {
		return kubeconfig, InCluster(m.paths.Identity, kubeconfig, os.Getenv)
	}
	if m.Entry.Login != nil {
		return kubeconfig, durable.WriteFile(kubeconfig, m.Entry.Login, 0o600)
	}
	config := clientcmdapi.NewConfig()
	config.CurrentContext = "member"
	config.Contexts["member"] = &clientcmdapi.Context{Cluster: "member", AuthInfo: "member"}
	config.Clusters["member"] = &clientcmdapi.Cluster{
		Server: m.Entry.Server, CertificateAuthorityData: m.Entry.CA, TLSServerName: m.Entry.TLSServerName,
	}
	token := filepath.Join(m.paths.Work, "token")
	config.AuthInfos["member"] = &clientcmdapi.AuthInfo{TokenFile: token}
	if m.Entry.Audience == "" {
		return "", errors.New("the entry of the cluster has no way to log in")
	}
	left, err := m.token(ctx, token)
	if err != nil {
		return "", err
	}
	go m.renew(ctx, token, left)
	data, err := clientcmd.Write(*config)
	if err == nil {
		err = durable.WriteFile(kubeconfig, data, 0o600)
	}
	return kubeconfig, err
}

// InCluster writes a kubeconfig for the cluster that the pod is in, with the files of its
// ServiceAccount. client-go reads the token again every minute.
func InCluster(identity, kubeconfig string, env func(string) string) error {
	config := clientcmdapi.NewConfig()
	config.CurrentContext = "pod"
	config.Contexts["pod"] = &clientcmdapi.Context{Cluster: "pod", AuthInfo: "pod"}
	config.Clusters["pod"] = &clientcmdapi.Cluster{Server: apiServer(env), CertificateAuthority: filepath.Join(identity, "ca.crt")}
	config.AuthInfos["pod"] = &clientcmdapi.AuthInfo{TokenFile: filepath.Join(identity, "token")}
	data, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	return durable.WriteFile(kubeconfig, data, 0o600)
}

// apiServer is the address of the API server of the cluster that the pod is in.
func apiServer(env func(string) string) string {
	return "https://" + net.JoinHostPort(env("KUBERNETES_SERVICE_HOST"), cmp.Or(env("KUBERNETES_SERVICE_PORT"), "443"))
}

// token asks the hub for a token of the pod's own ServiceAccount that is good for the
// cluster and as long as the pod lives, and returns how long it is good.
func (m *Member) token(ctx context.Context, file string) (left time.Duration, err error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{m.Entry.Audience}, ExpirationSeconds: ptr.To(int64(tokenSeconds)),
		BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: m.pod.Name, UID: m.pod.UID},
	}}
	name := objects.ServiceAccount(m.Run.Fleet, m.Wave.Name)
	answer, err := m.hub.CoreV1().ServiceAccounts(m.pod.Namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return 0, engine.WithHint(fmt.Errorf("the hub: a token for audience %q: %w", m.Entry.Audience, err), "the Role of the wave allows create on serviceaccounts/token")
	}
	if err := durable.WriteFile(file, []byte(answer.Status.Token), 0o600); err != nil {
		return 0, err
	}
	return time.Until(answer.Status.ExpirationTimestamp.Time), nil
}

// renew replaces the token when four fifths of its time are over. client-go reads the
// file again every minute.
func (m *Member) renew(ctx context.Context, file string, left time.Duration) {
	for {
		if engine.Pause(ctx, left*4/5) != nil {
			_ = os.Remove(file)
			return
		}
		var err error
		if left, err = m.token(ctx, file); err != nil {
			left = 10 * time.Second // the old one may still be good
		}
	}
}
