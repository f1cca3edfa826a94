package kubekit

import (
	"errors"
	"fmt"

	"k8s.io/client-go/rest"

	"github.com/ztplan/ztplan/engine"
)

// errNotVerified is a cluster that could be anybody: certificates are always
// verified, and credentials cross a network only encrypted.
var errNotVerified = errors.New("the API server would not be verified")

// verified refuses a client configuration that does not verify the API server. A
// server without TLS on this machine's loopback is allowed: kubectl proxy offers one.
func verified(config *rest.Config) error {
	if config.Insecure {
		return engine.WithHint(fmt.Errorf("%w: it sets insecure-skip-tls-verify", errNotVerified),
			"remove it and set certificate-authority-data to the cluster's CA; if the certificate has other names than the address, set tls-server-name to one of them")
	}
	u, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return err
	}
	if u.Scheme != "https" && !engine.Loopback(u.Hostname()) {
		return engine.WithHint(fmt.Errorf("%w: %s is not https, and credentials would cross the network unencrypted", errNotVerified, u),
			"write the https address and the CA of the API server; kubectl proxy and ssh -L give an address on 127.0.0.1")
	}
	return nil
}
