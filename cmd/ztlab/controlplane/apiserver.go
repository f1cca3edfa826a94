package controlplane

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	apimachineryversion "k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"
	basecompatibility "k8s.io/component-base/compatibility"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// runAPIServer runs kube-apiserver with the given flags until ctx ends. It
// does the same as the upstream command, except that the server reports which
// version it is: upstream's build sets that with linker flags, and without
// them a chart's kubeVersion constraint meets "v0.0.0-master".
func runAPIServer(ctx context.Context, args []string) error {
	s := options.NewServerRunOptions()
	fs := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range s.Flags().FlagSets {
		fs.AddFlagSet(set)
	}
	if err := fs.Parse(args); err != nil {
		return err
	}
	if err := s.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	gates := s.GenericServerRunOptions.ComponentGlobalsRegistry.FeatureGateFor(basecompatibility.DefaultKubeComponent)
	if err := logsapi.ValidateAndApply(s.Logs, gates); err != nil {
		return err
	}
	completed, err := s.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) != 0 {
		return utilerrors.NewAggregate(errs)
	}
	config, err := app.NewConfig(completed)
	if err != nil {
		return err
	}
	version := Versions()["kubernetes"]
	for _, effective := range []*basecompatibility.EffectiveVersion{
		&config.KubeAPIs.ControlPlane.Generic.EffectiveVersion,
		&config.ApiExtensions.GenericConfig.EffectiveVersion,
		&config.Aggregator.GenericConfig.EffectiveVersion,
	} {
		*effective = released{*effective, version}
	}
	ready, err := config.Complete()
	if err != nil {
		return err
	}
	server, err := app.CreateServerChain(ready)
	if err != nil {
		return err
	}
	prepared, err := server.PrepareRun()
	if err != nil {
		return err
	}
	if err := prepared.Run(ctx); err != nil {
		return fmt.Errorf("kube-apiserver: %w", err)
	}
	return nil
}

// released is an effective version that names the module's version.
type released struct {
	basecompatibility.EffectiveVersion
	version string
}

func (r released) Info() *apimachineryversion.Info {
	info := r.EffectiveVersion.Info()
	if info != nil && r.version != "" {
		info.GitVersion = r.version
		info.GitCommit, info.GitTreeState = "", ""
	}
	return info
}
