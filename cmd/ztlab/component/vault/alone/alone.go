// Package alone runs the lab's Vault without a cluster, as one that somebody else runs
// and that a plan reaches by its address.
package alone

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztlab/component/vault"
	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// A Server is a Vault alone.
type Server struct {
	// Dir is the directory of its data, and of its certificates in the folder tls.
	// It is made if it does not exist.
	Dir string
	// TLS lets it serve TLS, with a certificate of an authority of its own.
	TLS bool
	// Names are those of the certificate, besides localhost and the loopback addresses.
	Names []string
	// ClientCA is a file with authorities (PEM). With it, every client must show a
	// certificate of one of them.
	ClientCA string
}

// An Address is that of a Server, with its trust.
type Address struct {
	Address string `json:"address"`          // base URL
	CAFile  string `json:"caFile,omitempty"` // authority of its certificate, with TLS
}

// Run serves until ctx ends, and then returns nil. It calls ready once Vault answers,
// whose error ends it.
func (s Server) Run(ctx context.Context, ready func(Address) error) error {
	if s.ClientCA != "" && !s.TLS {
		return errors.New("client certificates need TLS")
	}
	dir, err := filepath.Abs(s.Dir)
	if err != nil {
		return err
	}
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	spec := container.Spec{
		Namespace: "vault", Pod: "vault-0", Name: "vault", Dir: dir,
		Mounts: map[string]string{"/vault/data": data},
	}
	scheme, caFile := "http://", ""
	if s.TLS {
		scheme = "https://"
		if caFile, err = s.secure(dir, spec.Mounts); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err = vault.Run(ctx, spec, func(r container.Report) {
		if a := r.Listen[8200]; a != "" {
			if err := ready(Address{Address: scheme + a, CAFile: caFile}); err != nil {
				cancel(err)
			}
		}
	})
	if err == nil && ctx.Err() != nil && context.Cause(ctx) != context.Canceled {
		err = context.Cause(ctx)
	}
	return err
}

// secure writes the certificates, unless they are there, and the configuration that
// uses them. It returns the file of the authority.
func (s Server) secure(dir string, mounts map[string]string) (caFile string, err error) {
	certificates, config := filepath.Join(dir, "tls"), filepath.Join(dir, "config")
	for _, d := range []string{certificates, config} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return "", err
		}
	}
	if err := makeCertificates(certificates, s.Names); err != nil {
		return "", err
	}
	mounts["/vault/tls"], mounts["/vault/config"] = certificates, config
	lines := []string{
		`listener "tcp" {`, `  address = "[::]:8200"`,
		`  tls_cert_file = "/vault/tls/` + certFile + `"`, `  tls_key_file = "/vault/tls/` + keyFile + `"`,
	}
	if s.ClientCA != "" {
		text, err := os.ReadFile(s.ClientCA)
		if err != nil {
			return "", fmt.Errorf("authorities of clients: %w", err)
		}
		if err := os.WriteFile(filepath.Join(certificates, "clients.pem"), text, 0o600); err != nil {
			return "", err
		}
		lines = append(lines, `  tls_require_and_verify_client_cert = true`, `  tls_client_ca_file = "/vault/tls/clients.pem"`)
	}
	lines = append(lines, `}`, `storage "file" {`, `  path = "/vault/data"`, `}`)
	if err := os.WriteFile(filepath.Join(config, "vault.hcl"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return "", err
	}
	return filepath.Join(certificates, authorityFile), nil
}
