package vault

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/vault"
	vaultseal "github.com/hashicorp/vault/vault/seal"
)

// newSeal returns the seal of the configuration, nil for key shares. The transit seal
// asks the other Vault at once, as the server command does: without it, this one does
// not start.
func newSeal(conf *config, logger hclog.Logger) (vault.Seal, error) {
	var kms *configutil.KMS
	for _, s := range conf.server.Seals {
		if s.Disabled || s.Type == wrapping.WrapperTypeShamir.String() {
			continue
		}
		if s.Type != wrapping.WrapperTypeTransit.String() {
			return nil, fmt.Errorf("%s: seal %q: the lab has key shares and transit; it has no cloud and no HSM", configDir, s.Type)
		}
		kms = s
	}
	if kms == nil {
		return nil, nil
	}
	for key, value := range kms.Config {
		kms.Config[key] = conf.hostFile(value)
	}
	var keys []string
	wrapper, err := configutil.ConfigureWrapper(kms, &keys, &map[string]string{}, logger)
	if err != nil {
		return nil, fmt.Errorf("error parsing Seal configuration: %w", err)
	}
	access, err := vaultseal.NewAccessFromWrapper(logger, wrapper, kms.Type)
	if err != nil {
		return nil, fmt.Errorf("seal %q: %w", kms.Type, err)
	}
	return vault.NewAutoSeal(access), nil
}

// unsealAlways is how long the server command waits between its tries.
const unsealAlways = 5 * time.Second

// unsealItself unseals with the keys that the seal protects, as soon as there are
// some: those of this server's initialisation, or of the cluster that it joins. It
// returns at once for key shares.
func unsealItself(ctx context.Context, core *vault.Core, logger hclog.Logger) {
	tick := time.NewTicker(unsealAlways)
	defer tick.Stop()
	for {
		err := core.UnsealWithStoredKeys(ctx)
		if err == nil {
			return
		}
		if vault.IsFatalError(err) {
			logger.Error("error unsealing core", "error", err)
			return
		}
		logger.Warn("failed to unseal core", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
