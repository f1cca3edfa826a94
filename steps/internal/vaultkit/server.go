package vaultkit

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// A Server is the address of Vault's API.
type Server struct {
	// Service is the Kubernetes Service in front of Vault. Requests travel
	// through the Kubernetes API server to a pod behind it, sealed or not, so
	// that Vault needs no address outside the cluster. Not used when address is
	// set.
	Service Service `yaml:"service"`
	// Address is the base URL of Vault when it is reached directly:
	// "https://vault.example.com:8200". It takes precedence over service.
	Address string `yaml:"address"`
	// CAFile is a PEM file with the authorities that sign Vault's own
	// certificate. Without it the system's are trusted. Certificates are always
	// verified.
	CAFile engine.File `yaml:"caFile" check:"exists,nonempty"`
	// CABundle holds such authorities as text instead: PEM, or the base64 of PEM that
	// Kubernetes has in fields of this name.
	CABundle string `yaml:"caBundle" check:"nonempty"`
	// TrustFrom reads such authorities from a Secret or a ConfigMap of the cluster
	// instead, when the run first connects to Vault.
	TrustFrom *tlskit.TrustSource `yaml:"trustFrom"`
	// CertFile is a PEM file with the client certificate that is shown to Vault, and
	// the intermediates above it. With keyFile it serves servers that want one
	// (tls_require_and_verify_client_cert), and the login method cert.
	CertFile engine.File `yaml:"certFile"`
	// KeyFile is a PEM file with the private key of certFile, which others cannot
	// read. Both are read for each TLS handshake.
	KeyFile engine.File `yaml:"keyFile" credential:"private"`
	// ServerName is the name that Vault's own certificate must carry. The
	// default is the host of the address, or "NAME.NAMESPACE.svc" of the service.
	ServerName string `yaml:"serverName"`
	// RedirectTo lists the base URLs of other nodes of this Vault, such as
	// "https://vault-1.example.com:8200", that a standby may send requests to when it
	// cannot reach the active node. They get the token; every other redirect is an error.
	RedirectTo []string `yaml:"redirectTo"`
	// Namespace is the namespace of Vault Enterprise or OpenBao that the plan works
	// in; empty means the root namespace. It has nothing to do with Kubernetes
	// namespaces.
	Namespace string `yaml:"namespace"`
}

// A Service names a Kubernetes Service and how Vault listens behind it.
type Service struct {
	// Namespace of the Service.
	Namespace string `yaml:"namespace"`
	// Name of the Service. The Vault chart's is the name of its release.
	Name string `yaml:"name"`
	// Port of the Service for Vault's API.
	Port int `yaml:"port" check:"min=1,max=65535"`
	// TLS is set if Vault speaks TLS behind the Service. The chart's default is
	// plain HTTP, which this way never leaves the cluster: the way to the API
	// server is encrypted.
	TLS bool `yaml:"tls"`
}

// A User is a spec of a step that talks to Vault, or that is about one.
type User interface{ VaultServer() Server }

// DefaultServer returns the Service that a release named vault makes in a
// namespace named vault.
func DefaultServer() Server {
	return Server{Service: Service{Namespace: "vault", Name: "vault", Port: 8200}}
}

// Identified reports whether it is known which Vault this is; field is the path of the
// input that names it.
func (s Server) Identified(field string, unknown []string) bool {
	for _, part := range []string{".address", ".service", ".namespace"} {
		if !engine.Known(field+part, unknown) {
			return false
		}
	}
	return true
}

// Claims completes claims on things in this Vault; field is the path of the input
// that names it. There are none while the Vault is not known.
func (s Server) Claims(field string, unknown []string, claims []engine.Claim) []engine.Claim {
	if !s.Identified(field, unknown) {
		return nil
	}
	out := make([]engine.Claim, 0, len(claims))
	for _, c := range claims {
		if c.Server = s.ID(); engine.Known(c.Field, unknown) {
			out = append(out, c)
		}
	}
	return out
}

// ID identifies this Vault and the namespace in it.
func (s Server) ID() string { return s.Where() + " " + s.Namespace }

// InCluster returns the Service that Vault is reached through, as
// "namespace/name", or "" if it is reached by its address.
func (s Server) InCluster() string {
	if s.Address != "" || s.Service.Namespace == "" || s.Service.Name == "" {
		return ""
	}
	return s.Service.Namespace + "/" + s.Service.Name
}

// InClusterIf is [Server.InCluster] for a server that is used, and "" for another one.
func (s Server) InClusterIf(used bool) string {
	if !used {
		return ""
	}
	return s.InCluster()
}

// ThroughCluster reports whether Vault is reached through the cluster, given the
// inputs that are not known yet; field is the path of the input.
func (s Server) ThroughCluster(field string, unknown []string) bool {
	return s.Address == "" && engine.Known(field+".address", unknown)
}

// Emptied describes how to get a new and empty Vault in place of this one, as a part of a
// sentence: for the volumes of Vault's chart, or for a storage that is not known here.
func (s Server) Emptied() string {
	if s.InCluster() == "" {
		return "stop it, delete its data, start it"
	}
	return fmt.Sprintf("remove the release, delete the PersistentVolumeClaim data-%s-0 and those of its other pods", s.Service.Name)
}

// Validate reports the problems of s; field is the path of the input.
func (s Server) Validate(p *engine.Problems, field string) {
	s.validateTLS(p, field)
	if s.Address == "" {
		if s.Service.Namespace == "" || s.Service.Name == "" {
			p.Add(field+".service", "needs a namespace and a name, unless address is set")
		}
		if len(s.RedirectTo) > 0 {
			p.Add(field+".redirectTo", "has no use without address: a Service finds the nodes itself")
		}
		return
	}
	validateBase(p, field+".address", s.Address)
	for i, base := range s.RedirectTo {
		at := fmt.Sprintf("%s.redirectTo[%d]", field, i)
		validateBase(p, at, base)
		if s.speaksTLS() && strings.HasPrefix(base, "http://") {
			p.Add(at, "would get the token unencrypted, and the address %s is https", s.Address)
		}
	}
}

// validateBase reports the problems of the base URL of a server.
func validateBase(p *engine.Problems, field, address string) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		p.AddProblem(engine.Problem{
			Field:   field,
			Message: fmt.Sprintf("%q is not the URL of a server", address),
			Hint:    "write scheme, host and port, such as https://vault.example.com:8200",
		})
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		p.Add(field, "must hold scheme, host and port only: credentials belong into token")
	case u.Path != "" && u.Path != "/":
		p.AddProblem(engine.Problem{
			Field:   field,
			Message: fmt.Sprintf("has the path %q", u.Path),
			Hint:    "leave the path away: requests go to /v1/ below the address",
		})
	}
}

// baseURL is the URL that requests are made for. With a service its host is a
// name inside the cluster; the transport dials the tunnel instead.
func (s Server) baseURL() string {
	if s.Address != "" {
		return strings.TrimSuffix(s.Address, "/")
	}
	scheme := "http"
	if s.Service.TLS {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(s.Service.host(), strconv.Itoa(s.Service.Port))
}

func (s Service) host() string { return s.Name + "." + s.Namespace + ".svc" }

// Where names the server in messages.
func (s Server) Where() string {
	if s.Address != "" {
		return s.baseURL()
	}
	return fmt.Sprintf("service %s/%s", s.Service.Namespace, s.Service.Name)
}

// Key identifies the connections to s within a run.
func (s Server) Key() string {
	return strings.Join([]string{"vault", s.baseURL(), strconv.FormatBool(s.Address != ""), s.CAFile.Path, s.CABundle, s.trustKey(), s.CertFile.Path, s.KeyFile.Path, s.ServerName}, "|")
}

// GivenAuthority reports whether the plan names the authorities of Vault's own
// certificate, instead of trusting the system's.
func (s Server) GivenAuthority() bool {
	return !s.CAFile.IsZero() || s.CABundle != "" || s.TrustFrom != nil
}

// PlainText reports whether requests to s cross a network unencrypted.
func (s Server) PlainText() bool {
	u, err := url.Parse(s.Address)
	return s.Address != "" && err == nil && u.Scheme == "http" && !engine.Loopback(u.Hostname())
}

// Permissions are needed to reach Vault: none if it has an address, and an authority that
// is not in the cluster.
func (s Server) Permissions() []engine.Permission {
	needed := s.TrustFrom.Permissions()
	if s.InCluster() != "" {
		needed = append(needed, kubeaccess.Dial(s.Service.Namespace, s.Service.Name)...)
	}
	return needed
}
