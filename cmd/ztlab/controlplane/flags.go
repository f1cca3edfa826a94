package controlplane

import (
	"fmt"
	"net"
	"path/filepath"
)

// Addresses of the cluster's network. None of them is configured anywhere:
// they are labels that the lab's proxies resolve.
const (
	// ServiceRange holds every cluster IP; kubeadm's default.
	ServiceRange = "10.96.0.0/16"
	// ServiceAddress is the cluster IP of the Service default/kubernetes.
	ServiceAddress = "10.96.0.1"
	// AdvertiseAddress is the endpoint of that Service. Endpoints may not be
	// loopback addresses, so it is one that is reserved for documentation
	// (RFC 5737); the proxies map it to the API server's real address.
	AdvertiseAddress = "192.0.2.1"
)

// DefaultIssuer is the issuer of ServiceAccount tokens; kubeadm's default.
const DefaultIssuer = "https://kubernetes.default.svc.cluster.local"

// apiServerFlags are kubeadm's where there is no reason to differ.
func (p *Plane) apiServerFlags() []string {
	host, port, _ := net.SplitHostPort(p.addresses[APIServer])
	flags := []string{
		"--bind-address=" + host,
		"--secure-port=" + port,
		"--advertise-address=" + AdvertiseAddress,
		"--allow-privileged=true",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--client-ca-file=" + p.id.file("ca.crt"),
		"--tls-cert-file=" + p.id.file("kube-apiserver.crt"),
		"--tls-private-key-file=" + p.id.file("kube-apiserver.key"),
		"--etcd-servers=https://" + p.addresses[Etcd],
		"--etcd-cafile=" + p.id.file("etcd-ca.crt"),
		"--etcd-certfile=" + p.id.file("etcd-client.crt"),
		"--etcd-keyfile=" + p.id.file("etcd-client.key"),
		"--kubelet-certificate-authority=" + p.id.file("ca.crt"),
		"--kubelet-client-certificate=" + p.id.file("kubelet-client.crt"),
		"--kubelet-client-key=" + p.id.file("kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=" + p.config.Issuer,
		// Another lab that trusts the issuer fetches the keys here.
		"--service-account-jwks-uri=" + p.Server() + "/openid/v1/jwks",
		"--service-account-key-file=" + p.id.file("sa.key"),
		"--service-account-signing-key-file=" + p.id.file("sa.key"),
		"--service-cluster-ip-range=" + ServiceRange,
		"--egress-selector-config-file=" + p.config.path("egress.yaml"),
		"--profiling=false",
	}
	if p.config.AuthenticationConfig != "" {
		flags = append(flags, "--authentication-config="+p.config.path(authenticationFile))
	}
	if p.config.AuditLog != "" {
		flags = append(flags,
			"--audit-policy-file="+p.config.path("audit-policy.yaml"),
			"--audit-log-path="+p.config.AuditLog,
			"--audit-log-mode=blocking",
			"--audit-log-maxsize=100", "--audit-log-maxbackup=3",
		)
	}
	return flags
}

// authenticationFile is the copy of the authentication configuration.
const authenticationFile = "authentication.yaml"

func (p *Plane) controllerManagerFlags() []string {
	return append(p.managerFlags(ControllerManager),
		"--root-ca-file="+p.id.file("ca.crt"),
		"--service-account-private-key-file="+p.id.file("sa.key"),
		"--use-service-account-credentials=true",
		"--cluster-signing-cert-file="+p.id.file("ca.crt"),
		"--cluster-signing-key-file="+p.id.file("ca.key"),
		"--service-cluster-ip-range="+ServiceRange,
		"--kube-api-qps=300", "--kube-api-burst=600",
		// One machine and no network in between: follow endpoints at once.
		"--endpointslice-updates-batch-period=0s", "--endpoint-updates-batch-period=0s",
	)
}

func (p *Plane) schedulerFlags() []string {
	return append(p.managerFlags(Scheduler), "--kube-api-qps=300", "--kube-api-burst=600")
}

// managerFlags are common to the two that serve nothing but their health.
func (p *Plane) managerFlags(name string) []string {
	host, port, _ := net.SplitHostPort(p.addresses[name])
	return []string{
		"--kubeconfig=" + p.config.path(name+".kubeconfig"),
		"--authentication-skip-lookup=true",
		"--bind-address=" + host,
		"--secure-port=" + port,
		"--tls-cert-file=" + p.id.file(name+".crt"),
		"--tls-private-key-file=" + p.id.file(name+".key"),
		"--leader-elect=false",
		"--profiling=false",
	}
}

func (c Config) path(name string) string { return filepath.Join(c.WorkDir, name) }

// egressConfig sends the API server's requests to pods, Services and the node
// through the proxy on a Unix socket.
func egressConfig(socket string) []byte {
	return fmt.Appendf(nil, `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport:
      uds:
        udsName: %q
`, socket)
}

// auditPolicy records user, action, object and time, without bodies: a
// body may be a Secret. Actions of the control plane itself are left out, so
// that the log shows those of users and pods.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  users: ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"]
- level: None
  userGroups: ["system:serviceaccounts:kube-system"]
- level: None
  nonResourceURLs: ["/livez*", "/readyz*", "/healthz*", "/version", "/openapi/*"]
- level: Metadata
`
