package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"

	"github.com/hashicorp/go-secure-stdlib/parseutil"
	kubeauth "github.com/hashicorp/vault-plugin-auth-kubernetes"
	"github.com/hashicorp/vault/sdk/logical"
)

// authConfig is both the path of the kubernetes auth method's configuration and
// the key under which the method stores it.
const authConfig = "config"

// A pod holds the files that a pod finds below
// /var/run/secrets/kubernetes.io/serviceaccount. The kubernetes auth method has
// that directory as a constant, and an ordinary user cannot provide it.
type pod struct {
	tokenFile, caFile string
}

// kubernetesAuth makes the real kubernetes auth method, with the pod's own files
// in the place of the constant ones.
func (p pod) kubernetesAuth(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
	b, err := kubeauth.Factory(ctx, conf)
	if err != nil {
		return nil, err
	}
	return &podAuth{Backend: b, pod: p}, nil
}

// A podAuth is the kubernetes auth method as it behaves inside a pod: a
// configuration without reviewer token and CA (and without disable_local_ca_jwt)
// means the pod's own, read anew for every use, so that a renewed token counts at
// once. The stored configuration, which a read shows, is the written one.
type podAuth struct {
	logical.Backend
	pod pod
}

// Initialize lets the method set up its TLS client from the completed
// configuration.
func (b *podAuth) Initialize(ctx context.Context, req *logical.InitializationRequest) error {
	completed := *req
	completed.Storage = &podStorage{Storage: req.Storage, pod: b.pod}
	return b.Backend.Initialize(ctx, &completed)
}

// HandleRequest completes the configuration for every request but its own read.
func (b *podAuth) HandleRequest(ctx context.Context, req *logical.Request) (*logical.Response, error) {
	if req.Path == authConfig && req.Operation == logical.ReadOperation {
		return b.Backend.HandleRequest(ctx, req)
	}
	store := &podStorage{Storage: req.Storage, pod: b.pod}
	defer func(s logical.Storage, data map[string]any) { req.Storage, req.Data = s, data }(req.Storage, req.Data)
	req.Storage = store
	if req.Path == authConfig && b.pod.suppliesCA(req.Data) {
		// The method builds its TLS client from the written configuration. It must see a
		// CA, and the CA must not be stored: it is the pod's, not the caller's.
		ca, err := os.ReadFile(b.pod.caFile)
		if err != nil {
			return logical.ErrorResponse(err.Error()), nil
		}
		store.dropCA = true
		req.Data = maps.Clone(req.Data)
		req.Data["kubernetes_ca_cert"] = string(ca)
	}
	return b.Backend.HandleRequest(ctx, req)
}

// suppliesCA reports whether a write of the configuration leaves the CA to the
// pod, and the pod has one; if not, the method's own error is right.
func (p pod) suppliesCA(data map[string]any) bool {
	ca, _ := data["kubernetes_ca_cert"].(string)
	disabled, err := parseutil.ParseBool(data["disable_local_ca_jwt"])
	return p.caFile != "" && ca == "" && (err != nil || !disabled)
}

// A podStorage is the method's storage with the pod's token and CA in the
// configuration.
type podStorage struct {
	logical.Storage
	pod    pod
	dropCA bool // store the configuration without its CA
}

// stored is the part of the stored configuration that a pod completes; see
// kubeConfig in hashicorp/vault-plugin-auth-kubernetes:path_config.go.
const (
	storedCA       = "ca_cert"
	storedToken    = "token_reviewer_jwt"
	storedDisabled = "disable_local_ca_jwt"
)

// Get returns the entry; a configuration is completed.
func (s *podStorage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	entry, err := s.Storage.Get(ctx, key)
	if err != nil || entry == nil || key != authConfig {
		return entry, err
	}
	return rewrite(entry, func(c map[string]any) error {
		if disabled, _ := c[storedDisabled].(bool); disabled {
			return nil
		}
		if c[storedCA] == "" && s.pod.caFile != "" {
			ca, err := os.ReadFile(s.pod.caFile)
			if err != nil {
				return fmt.Errorf("the pod's CA: %w", err)
			}
			c[storedCA] = string(ca)
		}
		if c[storedToken] == "" {
			// As the method itself does: without a token of its own, the
			// token of the login is used for the review.
			if token, err := os.ReadFile(s.pod.tokenFile); err == nil {
				c[storedToken] = strings.TrimSpace(string(token))
			}
		}
		return nil
	})
}

// Put stores the entry; a configuration is stored as it was written.
func (s *podStorage) Put(ctx context.Context, entry *logical.StorageEntry) error {
	if entry.Key == authConfig && s.dropCA {
		var err error
		if entry, err = rewrite(entry, func(c map[string]any) error { c[storedCA] = ""; return nil }); err != nil {
			return err
		}
	}
	return s.Storage.Put(ctx, entry)
}

// rewrite returns a copy of the entry with its JSON object changed by edit.
func rewrite(entry *logical.StorageEntry, edit func(map[string]any) error) (*logical.StorageEntry, error) {
	var c map[string]any
	if err := json.Unmarshal(entry.Value, &c); err != nil {
		return nil, fmt.Errorf("stored configuration of the kubernetes auth method: %w", err)
	}
	if err := edit(c); err != nil {
		return nil, err
	}
	changed := *entry
	var err error
	changed.Value, err = json.Marshal(c)
	return &changed, err
}
