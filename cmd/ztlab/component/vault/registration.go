package vault

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/serviceregistration"
	"github.com/hashicorp/vault/serviceregistration/kubernetes"
	"github.com/hashicorp/vault/serviceregistration/kubernetes/client"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// registrations announce the server's state in several places.
type registrations []serviceregistration.ServiceRegistration

// register returns where the server's state is announced: to the node agent, and to
// the labels of the pod if the configuration asks for it. Those are set by Vault's own
// code, with the rights of the pod's ServiceAccount.
func register(spec container.Spec, conf *config, state *sealState, logger hclog.Logger) (registrations, error) {
	all := registrations{state}
	r := conf.server.ServiceRegistration
	if r == nil {
		return all, nil
	}
	if r.Type != "kubernetes" {
		return nil, fmt.Errorf("%s: service_registration %q: the lab has kubernetes only", configDir, r.Type)
	}
	client.TokenFile, client.RootCAFile = spec.TokenFile, spec.CAFile
	// That code takes no proxy, so it gets the API server's own address.
	server, err := url.Parse(spec.APIServer)
	if err != nil {
		return nil, fmt.Errorf("the API server: %w", err)
	}
	for name, value := range map[string]string{
		client.EnvVarKubernetesServiceHost: server.Hostname(), client.EnvVarKubernetesServicePort: server.Port(),
	} {
		if err := os.Setenv(name, value); err != nil {
			return nil, fmt.Errorf("service_registration: %w", err)
		}
	}
	labels, err := kubernetes.NewServiceRegistration(r.Config, logger.Named("service_registration"),
		serviceregistration.State{VaultVersion: Version(), IsSealed: true})
	if err != nil {
		return nil, fmt.Errorf("service_registration: %w", err)
	}
	return append(all, labels), nil
}

func (all registrations) each(f func(serviceregistration.ServiceRegistration) error) error {
	var errs []error
	for _, r := range all {
		errs = append(errs, f(r))
	}
	return errors.Join(errs...)
}

// Run starts all of them.
func (all registrations) Run(shutdown <-chan struct{}, wait *sync.WaitGroup, address string) error {
	return all.each(func(r serviceregistration.ServiceRegistration) error { return r.Run(shutdown, wait, address) })
}

// NotifyActiveStateChange tells all of them.
func (all registrations) NotifyActiveStateChange(is bool) error {
	return all.each(func(r serviceregistration.ServiceRegistration) error { return r.NotifyActiveStateChange(is) })
}

// NotifySealedStateChange tells all of them.
func (all registrations) NotifySealedStateChange(is bool) error {
	return all.each(func(r serviceregistration.ServiceRegistration) error { return r.NotifySealedStateChange(is) })
}

// NotifyPerformanceStandbyStateChange tells all of them.
func (all registrations) NotifyPerformanceStandbyStateChange(is bool) error {
	return all.each(func(r serviceregistration.ServiceRegistration) error {
		return r.NotifyPerformanceStandbyStateChange(is)
	})
}

// NotifyInitializedStateChange tells all of them.
func (all registrations) NotifyInitializedStateChange(is bool) error {
	return all.each(func(r serviceregistration.ServiceRegistration) error { return r.NotifyInitializedStateChange(is) })
}

// NotifyConfigurationReload tells all of them.
func (all registrations) NotifyConfigurationReload(conf *map[string]string) error {
	return all.each(func(r serviceregistration.ServiceRegistration) error { return r.NotifyConfigurationReload(conf) })
}
