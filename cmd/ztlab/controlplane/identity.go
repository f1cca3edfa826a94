package controlplane

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// identity is the lab's authority and the files that its parts prove
// themselves with, all in one directory.
type identity struct {
	dir string
	ca  *authority
}

func (id identity) file(name string) string { return filepath.Join(id.dir, name) }

// prepareIdentity makes missing files and renews every leaf. addr is the
// lab's loopback address.
func prepareIdentity(dir, addr string) (identity, error) {
	id := identity{dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return id, fmt.Errorf("lab keys: %w", err)
	}
	// The RSA key takes longer than all the others together.
	var serviceAccounts error
	var wg sync.WaitGroup
	wg.Go(func() { serviceAccounts = loadServiceAccountKey(id.file("sa.key")) })
	err := id.prepareCertificates(addr)
	wg.Wait()
	if err == nil {
		err = serviceAccounts
	}
	return id, err
}

func (id *identity) prepareCertificates(addr string) error {
	var err error
	if id.ca, err = loadAuthority(id.dir, "ca"); err != nil {
		return err
	}
	leaves := map[string]leaf{
		"kube-apiserver": {name: "kube-apiserver", hosts: []string{
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
			"localhost", "127.0.0.1", addr, ServiceAddress, AdvertiseAddress,
		}},
		"kube-controller-manager": {name: "kube-controller-manager", hosts: []string{addr}},
		"kube-scheduler":          {name: "kube-scheduler", hosts: []string{addr}},
		"kubelet-client":          {name: "kube-apiserver-kubelet-client", organizations: []string{"system:masters"}},
	}
	for name, l := range leaves {
		if err := id.write(id.ca, name, l); err != nil {
			return err
		}
	}
	store, err := newAuthority("etcd")
	if err != nil {
		return err
	}
	if err := WriteFile(id.file("etcd-ca.crt"), store.pem, 0o644); err != nil {
		return err
	}
	if err := id.write(store, "etcd", leaf{name: "etcd", hosts: []string{addr}}); err != nil {
		return err
	}
	return id.write(store, "etcd-client", leaf{name: "kube-apiserver"})
}

// write stores a fresh certificate as name.crt and name.key.
func (id identity) write(a *authority, name string, l leaf) error {
	cert, key, err := a.issue(l)
	if err != nil {
		return err
	}
	if err := WriteFile(id.file(name+".key"), key, 0o600); err != nil {
		return err
	}
	return WriteFile(id.file(name+".crt"), cert, 0o644)
}

// writeKubeconfig writes a kubeconfig that holds its own certificates, so that
// it can be copied.
func (id identity) writeKubeconfig(file, server string, user leaf) error {
	cert, key, err := id.ca.issue(user)
	if err != nil {
		return err
	}
	const name = "ztlab"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: id.ca.pem}
	config.AuthInfos[user.name] = &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: user.name}
	config.CurrentContext = name
	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("kubeconfig %s: %w", file, err)
	}
	return WriteFile(file, data, 0o600)
}
