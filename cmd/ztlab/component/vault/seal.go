package vault

import (
	"sync"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// A sealState turns Vault's notifications into reports. Vault announces
// its state to a service registration (on a cluster, the one that labels the
// pod) at the moment it changes, so that nothing has to be polled.
type sealState struct {
	report func(container.Report)

	mu          sync.Mutex
	started     bool
	unsealed    bool
	initialized bool
}

// start reports the listeners together with the first state.
func (s *sealState) start(initialized bool, ports map[int]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = true
	s.initialized = s.initialized || initialized
	r := s.current()
	r.Listen = ports
	s.report(r)
}

// current is the report for the present state; s.mu is held.
func (s *sealState) current() container.Report {
	ready := s.unsealed
	r := container.Report{Ready: &ready}
	switch {
	case ready:
	case s.initialized:
		r.Message = "Vault is sealed"
	default:
		r.Message = "Vault is not initialized"
	}
	return r
}

// change applies a change and reports the outcome.
func (s *sealState) change(apply func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	apply()
	if s.started {
		s.report(s.current())
	}
	return nil
}

// NotifySealedStateChange is called by Vault after it was unsealed, when every
// path answers, and when it is sealed.
func (s *sealState) NotifySealedStateChange(sealed bool) error {
	return s.change(func() { s.unsealed = !sealed })
}

// NotifyInitializedStateChange is called by Vault when its storage has been
// initialised.
func (s *sealState) NotifyInitializedStateChange(initialized bool) error {
	return s.change(func() { s.initialized = initialized })
}

// Run and the remaining notifications mean nothing to a single server.
func (*sealState) Run(<-chan struct{}, *sync.WaitGroup, string) error { return nil }

// NotifyActiveStateChange is for clusters.
func (*sealState) NotifyActiveStateChange(bool) error { return nil }

// NotifyPerformanceStandbyStateChange is for clusters.
func (*sealState) NotifyPerformanceStandbyStateChange(bool) error { return nil }

// NotifyConfigurationReload is for registrations with a configuration.
func (*sealState) NotifyConfigurationReload(*map[string]string) error { return nil }
