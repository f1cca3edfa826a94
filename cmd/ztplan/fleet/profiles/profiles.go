// Package profiles reads the clusters of a fleet from ClusterProfiles, the inventory API of
// SIG Multicluster (sigs.k8s.io/cluster-inventory-api). It is the only package that knows
// the API, which is v1alpha1.
package profiles

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	inventory "sigs.k8s.io/cluster-inventory-api/apis/v1alpha1"
	"sigs.k8s.io/cluster-inventory-api/pkg/access"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// pageSize is how many ClusterProfiles one request asks for.
const pageSize = 500

// Read returns the ClusterProfiles of the hub that a fleet selects, by name. The fault of
// one is in its Err. The error is a *[source.Problems] if the file of the access providers
// is wrong.
func Read(ctx context.Context, hub dynamic.Interface, d *fleet.Document) ([]fleet.Profile, error) {
	var config *access.Config
	if p := d.Access.Providers; p != nil {
		var err error
		if config, err = providers(p.File); err != nil {
			return nil, source.NewProblems(&source.Problem{Position: source.Position{File: p.File.Name}, Summary: err.Error(), Hint: engine.HintOf(err)})
		}
	}
	want := d.Clusters.Profiles
	api := hub.Resource(inventory.GroupVersion.WithResource("clusterprofiles")).Namespace(want.Namespace)
	opts := metav1.ListOptions{LabelSelector: labels.Set(want.Selector).String(), Limit: pageSize}
	var out []fleet.Profile
	for {
		list, err := api.List(ctx, opts)
		if err != nil {
			return nil, explain(err, want.Namespace)
		}
		for _, item := range list.Items {
			p := fleet.Profile{Name: item.GetName(), Labels: item.GetLabels()}
			var cp inventory.ClusterProfile
			if p.Err = runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &cp); p.Err == nil {
				p.Err = read(&p, &cp, config)
			}
			out = append(out, p)
		}
		if opts.Continue = list.GetContinue(); opts.Continue == "" {
			slices.SortFunc(out, func(a, b fleet.Profile) int { return cmp.Compare(a.Name, b.Name) })
			return out, nil
		}
	}
}

func explain(err error, namespace string) error {
	switch {
	case apierrors.IsNotFound(err) || meta.IsNoMatchError(err):
		return engine.WithHint(errors.New("the hub has no ClusterProfiles (multicluster.x-k8s.io/v1alpha1)"),
			"install what keeps the inventory, such as Open Cluster Management, or list clusters below kubeconfigs")
	case apierrors.IsForbidden(err):
		return engine.WithHint(fmt.Errorf("the hub: %w", err), "ztplan needs to list ClusterProfiles in namespace "+namespace)
	}
	return fmt.Errorf("the hub: %w", err)
}

// providers reads the file of the access providers.
func providers(file engine.File) (*access.Config, error) {
	data, err := file.Read()
	if err != nil {
		return nil, err
	}
	config := new(access.Config)
	if err := json.Unmarshal(data, config); err != nil {
		return nil, engine.WithHint(fmt.Errorf("is no list of access providers: %w", err), `write JSON: {"providers": [{"name": …, "execConfig": {"apiVersion": …, "command": …}}]}`)
	}
	for i, p := range config.Providers {
		if p.Name == "" || p.ExecConfig == nil || p.ExecConfig.Command == "" {
			return nil, fmt.Errorf("providers[%d]: needs a name, and execConfig with a command", i)
		}
	}
	if len(config.Providers) == 0 {
		return nil, errors.New("lists no providers")
	}
	return config, nil
}

// read reads the fields of a ClusterProfile that a fleet needs.
func read(p *fleet.Profile, cp *inventory.ClusterProfile, config *access.Config) error {
	p.Properties = make(map[string]string, len(cp.Status.Properties))
	for _, property := range cp.Status.Properties {
		p.Properties[property.Name] = property.Value
	}
	if c := meta.FindStatusCondition(cp.Status.Conditions, inventory.ClusterConditionControlPlaneHealthy); c != nil && c.Status == metav1.ConditionFalse {
		p.Unhealthy = cmp.Or(c.Message, c.Reason, "its control plane is not healthy")
	}
	provider, err := choose(cp, config)
	if err != nil {
		return err
	}
	c := provider.Cluster
	if c.InsecureSkipTLSVerify {
		return fmt.Errorf("access provider %s: insecure-skip-tls-verify: TLS is always verified", provider.Name)
	}
	p.Server = fleet.Server{URL: c.Server, CA: c.CertificateAuthorityData, TLSServerName: c.TLSServerName}
	if config != nil {
		p.Login, err = login(cp, provider, config)
		return err
	}
	if c.ProxyURL != "" {
		return engine.WithHint(fmt.Errorf("access provider %s: has a proxy-url, and access.keyless goes to the API server itself", provider.Name), "use access.providers")
	}
	return nil
}

// choose returns the access provider that is used: the first one that config lists, as the
// library chooses, or without config the first one of the ClusterProfile.
func choose(cp *inventory.ClusterProfile, config *access.Config) (inventory.AccessProvider, error) {
	have := slices.Concat(cp.Status.AccessProviders, cp.Status.CredentialProviders)
	if len(have) == 0 {
		return inventory.AccessProvider{}, errors.New("its status has no access provider, so that its API server is not known")
	}
	if config == nil {
		return have[0], nil
	}
	for _, want := range config.Providers {
		if i := slices.IndexFunc(have, func(p inventory.AccessProvider) bool { return p.Name == want.Name }); i >= 0 {
			return have[i], nil
		}
	}
	var names []string
	for _, p := range have {
		names = append(names, p.Name)
	}
	return inventory.AccessProvider{}, engine.WithHint(errors.New("access.providers.file lists none of its access providers"), "it has "+source.Listed(names))
}
