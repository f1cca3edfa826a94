package controlplane

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Lifetimes. Leaves are made anew at every start of a lab, so a year only
// bounds how long one can stay up.
const (
	authorityLifetime = 10 * 365 * 24 * time.Hour
	leafLifetime      = 365 * 24 * time.Hour
	// backdate covers a clock that was set back between two starts.
	backdate = time.Hour
)

// An authority signs the certificates of one lab.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte // the certificate
}

// loadAuthority reads the authority kept in dir as name.crt and name.key, or
// makes it.
func loadAuthority(dir, name string) (*authority, error) {
	certFile, keyFile := filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	certPEM, err := os.ReadFile(certFile)
	if errors.Is(err, fs.ErrNotExist) {
		a, err := newAuthority(name)
		if err != nil {
			return nil, err
		}
		// The key first: a certificate without its key would look complete.
		if err := writeKey(keyFile, a.key); err != nil {
			return nil, err
		}
		return a, WriteFile(certFile, a.pem, 0o644)
	}
	if err != nil {
		return nil, fmt.Errorf("lab authority: %w", err)
	}
	key, err := readKey(keyFile)
	if err != nil {
		return nil, err
	}
	cert, err := parseCertificate(certPEM)
	if err != nil {
		return nil, fmt.Errorf("lab authority: %s: %w; remove the lab with: ztlab down --purge", certFile, err)
	}
	return &authority{cert: cert, key: key, pem: certPEM}, nil
}

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("lab authority: %w", err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "ztlab " + name},
		NotBefore:             time.Now().Add(-backdate),
		NotAfter:              time.Now().Add(authorityLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("lab authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("lab authority: %w", err)
	}
	return &authority{cert: cert, key: key, pem: certificatePEM(der)}, nil
}

// A leaf describes a certificate and its use.
type leaf struct {
	name          string // common name: the user name of a client
	organizations []string
	hosts         []string // DNS names and IP addresses; a server has some
}

// issue signs a fresh key.
func (a *authority) issue(l leaf) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate %s: %w", l.name, err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: l.name, Organization: l.organizations},
		NotBefore:   time.Now().Add(-backdate),
		NotAfter:    time.Now().Add(leafLifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if len(l.hosts) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, h := range l.hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate %s: %w", l.name, err)
	}
	keyPEM, err = encodeKey(key)
	return certificatePEM(der), keyPEM, err
}

// loadServiceAccountKey reads the key that signs ServiceAccount tokens, or
// makes it: RSA, as kubeadm's, because verifiers exist that take nothing else.
func loadServiceAccountKey(file string) error {
	if _, err := readKey(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("service account key: %w", err)
	}
	return writeKey(file, key)
}

func parseCertificate(data []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	return x509.ParseCertificate(block.Bytes)
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func writeKey(file string, key crypto.Signer) error {
	data, err := encodeKey(key)
	if err != nil {
		return err
	}
	return WriteFile(file, data, 0o600)
}

func readKey(file string) (crypto.Signer, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("private key: %s holds no PEM block; remove the lab with: ztlab down --purge", file)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("private key: %s: %w", file, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("private key: %s: %T cannot sign", file, key)
	}
	return signer, nil
}

// WriteFile replaces file with data so that a reader sees the old or the new
// content and a crash leaves one of them: written beside it, flushed to disk,
// renamed.
func WriteFile(file string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
