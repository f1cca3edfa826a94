package controlplane

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcdSettings are the settings of the etcd part, a single member that talks
// to the API server alone.
type etcdSettings struct {
	dataDir, listen      string
	cert, key, clientsCA string
}

func (s etcdSettings) args() []string {
	return []string{
		"--data-dir=" + s.dataDir, "--listen=" + s.listen,
		"--cert=" + s.cert, "--key=" + s.key, "--clients-ca=" + s.clientsCA,
	}
}

func parseEtcdSettings(args []string) (etcdSettings, error) {
	var s etcdSettings
	fs := flag.NewFlagSet("etcd", flag.ContinueOnError)
	fs.StringVar(&s.dataDir, "data-dir", "", "data directory")
	fs.StringVar(&s.listen, "listen", "", "address of the client API, host:port")
	fs.StringVar(&s.cert, "cert", "", "server certificate")
	fs.StringVar(&s.key, "key", "", "server key")
	fs.StringVar(&s.clientsCA, "clients-ca", "", "authority of the clients")
	return s, fs.Parse(args)
}

// runEtcd runs the store until ctx ends.
func runEtcd(ctx context.Context, args []string) error {
	s, err := parseEtcdSettings(args)
	if err != nil {
		return err
	}
	client := url.URL{Scheme: "https", Host: s.listen}
	// A name that is never resolved: a single member dials no peer, and
	// the peer port is not opened at all.
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:2380"}

	cfg := embed.NewConfig()
	cfg.Name = "ztlab"
	cfg.Dir = s.dataDir
	cfg.ListenClientUrls = []url.URL{client}
	cfg.AdvertiseClientUrls = []url.URL{client}
	cfg.ListenPeerUrls = nil
	cfg.AdvertisePeerUrls = []url.URL{peer}
	cfg.InitialCluster = cfg.Name + "=" + peer.String()
	cfg.ClientTLSInfo.CertFile, cfg.ClientTLSInfo.KeyFile = s.cert, s.key
	cfg.ClientTLSInfo.TrustedCAFile, cfg.ClientTLSInfo.ClientCertAuth = s.clientsCA, true
	cfg.EnableGRPCGateway = false
	cfg.LogLevel = "warn"
	// Without these every single request is logged as a slow one.
	cfg.WarningApplyDuration = embed.DefaultWarningApplyDuration
	cfg.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = embed.CompactorModePeriodic, "5m"
	// A lab must survive the death of its processes, not of the machine.
	cfg.UnsafeNoFsync = true
	// A single member need not wait long to elect itself. Each tick wakes the process: with
	// more of them an idle lab does nothing else.
	cfg.TickMs, cfg.ElectionMs = 50, 250

	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer e.Close()
	select {
	case err := <-e.Err():
		return fmt.Errorf("etcd: %w", err)
	case <-e.Server.StopNotify():
		return errors.New("etcd: stopped by itself; see its log")
	case <-ctx.Done():
		return nil
	}
}
