package nginx

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// configDir is where the image includes servers from.
const configDir = "/etc/nginx/conf.d"

// A site is the one server of the configuration, as far as the stand-in knows it: listen,
// ssl_certificate, ssl_certificate_key, ssl_client_certificate and ssl_verify_client.
type site struct {
	ports     map[int]bool // whether they speak TLS
	cert, key string       // paths in the container
	clientCA  string       // path of the authorities of clients; "" asks for no certificates
	optional  bool         // clients without a certificate are let in
}

// fresh is the server of an image that nobody has configured.
func fresh() site { return site{ports: map[int]bool{port: false}} }

var directive = regexp.MustCompile(`(?m)^\s*([a-z_]+)\s+([^;{}]+);`)

// parseSite reads a file of conf.d. Directives that the stand-in does not know have no
// effect.
func parseSite(text string) (site, error) {
	s := site{ports: map[int]bool{}}
	verify := "off"
	for _, d := range directive.FindAllStringSubmatch(text, -1) {
		words := strings.Fields(d[2])
		switch d[1] {
		case "listen":
			n, err := strconv.Atoi(words[0][strings.LastIndexByte(words[0], ':')+1:])
			if err != nil {
				return s, fmt.Errorf("listen %s: no port", words[0])
			}
			s.ports[n] = slices.Contains(words, "ssl")
		case "ssl_certificate":
			s.cert = words[0]
		case "ssl_certificate_key":
			s.key = words[0]
		case "ssl_client_certificate":
			s.clientCA = words[0]
		case "ssl_verify_client":
			verify = words[0]
		}
	}
	if len(s.ports) == 0 {
		s.ports[port] = false
	}
	if verify == "off" {
		s.clientCA = ""
	}
	s.optional = verify == "optional"
	for _, speaksTLS := range s.ports {
		if speaksTLS && (s.cert == "" || s.key == "") {
			return s, errors.New(`no "ssl_certificate" is defined for the "listen ... ssl" directive`)
		}
	}
	return s, nil
}

// configured returns the server that the container's mounts configure.
func configured(spec container.Spec) (site, error) {
	dir := hostPath(spec, configDir)
	if dir == "" {
		return fresh(), nil
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.conf"))
	if err != nil || len(names) == 0 {
		return fresh(), err
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		return site{}, err
	}
	s, err := parseSite(string(text))
	if err != nil {
		return site{}, fmt.Errorf("%s: %w", path.Join(configDir, filepath.Base(names[0])), err)
	}
	return s, nil
}

// hostPath finds where a path of the container is on this machine, "" if nothing is
// mounted there.
func hostPath(spec container.Spec, name string) string {
	for mount, host := range spec.Mounts {
		if mount == name {
			return host
		}
		if rest, ok := strings.CutPrefix(name, strings.TrimSuffix(mount, "/")+"/"); ok {
			return filepath.Join(host, filepath.FromSlash(rest))
		}
	}
	return ""
}

// load reads the certificates: the TLS configuration, and how clients are judged.
func (s site) load(spec container.Spec) (*tls.Config, *x509.CertPool, error) {
	if s.cert == "" {
		return nil, nil, nil
	}
	cert, err := os.ReadFile(hostPath(spec, s.cert))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot load certificate %q: %w", s.cert, err)
	}
	key, err := os.ReadFile(hostPath(spec, s.key))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot load certificate key %q: %w", s.key, err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, nil, fmt.Errorf("SSL_CTX_use_PrivateKey(%q) failed: %w", s.key, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, SessionTicketsDisabled: s.clientCA != ""}
	if s.clientCA == "" {
		return config, nil, nil
	}
	authorities, err := os.ReadFile(hostPath(spec, s.clientCA))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot load certificate %q: %w", s.clientCA, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authorities) {
		return nil, nil, fmt.Errorf("SSL_CTX_load_verify_locations(%q) failed", s.clientCA)
	}
	// nginx completes the handshake with any client and answers with 400.
	config.ClientAuth = tls.RequestClientCert
	return config, pool, nil
}

// refusal is the text with which nginx answers a client, "" for one that is let in.
func (s site) refusal(authorities *x509.CertPool, sent []*x509.Certificate) string {
	switch {
	case authorities == nil, len(sent) == 0 && s.optional:
		return ""
	case len(sent) == 0:
		return "No required SSL certificate was sent"
	}
	between := x509.NewCertPool()
	for _, c := range sent[1:] {
		between.AddCert(c)
	}
	if _, err := sent[0].Verify(x509.VerifyOptions{Roots: authorities, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return "The SSL certificate error"
	}
	return ""
}
