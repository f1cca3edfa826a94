package controlplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// askTimeout bounds one question to a part.
const askTimeout = 2 * time.Second

// probes ask the parts for their health over verified TLS.
type probes struct {
	cluster, store *http.Client
}

func newProbes(id identity) (probes, error) {
	cluster := x509.NewCertPool()
	cluster.AddCert(id.ca.cert)
	storeCA, err := os.ReadFile(id.file("etcd-ca.crt"))
	if err != nil {
		return probes{}, fmt.Errorf("lab keys: %w", err)
	}
	store := x509.NewCertPool()
	store.AppendCertsFromPEM(storeCA)
	client, err := tls.LoadX509KeyPair(id.file("etcd-client.crt"), id.file("etcd-client.key"))
	if err != nil {
		return probes{}, fmt.Errorf("lab keys: %w", err)
	}
	return probes{
		cluster: probeClient(&tls.Config{RootCAs: cluster}),
		store:   probeClient(&tls.Config{RootCAs: store, Certificates: []tls.Certificate{client}}),
	}, nil
}

func probeClient(config *tls.Config) *http.Client {
	return &http.Client{
		Timeout:   askTimeout,
		Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true},
	}
}

// ask returns nil when the part answers that it is ready.
func (p probes) ask(ctx context.Context, name, addr string) error {
	client, path := p.cluster, "/readyz"
	switch name {
	case Etcd:
		client, path = p.store, "/health"
	case ControllerManager:
		path = "/healthz"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", req.URL, resp.Status)
	}
	return nil
}
