package command

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
	"github.com/ztplan/ztplan/engine/durable"
)

// rendering is the flags of fleet render.
type rendering struct {
	secrets, driver, pull bool
	out                   string
}

func (a *commands) renderCommand() *cobra.Command {
	var r rendering
	cmd := &cobra.Command{
		Use:   "render FLEET",
		Short: "Print the objects of a run, for GitOps",
		Long: `Render prints every object that a run would make on the hub, as YAML. The Jobs are
suspended: ztplan fleet run, or setting spec.suspend to false in the order of the
waves, lets them go. A tool that applies the objects must leave spec.suspend of the
Jobs alone afterwards. Secrets are left out unless --secrets is given.

--driver adds a Job of one pod that lets the waves go, in place of a command line, and
a Role with the rights that it needs and no others. It may be ended at any moment:
the next pod goes on.

--pull prints the objects for clusters of which no hub has credentials: a Job for each
that OCM, Sveltos or Argo CD delivers into the cluster, where it runs with the
ServiceAccount that the fleet names below pull. It has no stop rule. With --out
each cluster is a file, DIR/WAVE/CLUSTER.yaml. The evidence is in a ConfigMap of the
cluster, or in the registry that the fleet names.

Exit status: 0 printed, 3 the fleet is invalid.`,
		Args: oneFleet,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := a.load(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			image, err := a.image(f)
			if err != nil {
				return err
			}
			return a.render(f, image, r)
		},
	}
	cmd.Flags().BoolVar(&r.secrets, "secrets", false, "print the Secrets with the kubeconfigs as well")
	cmd.Flags().BoolVar(&r.driver, "driver", false, "add a Job that lets the waves go")
	cmd.Flags().BoolVar(&r.pull, "pull", false, "print a Job for each cluster that is delivered into it")
	cmd.Flags().StringVar(&r.out, "out", "", "with --pull: write a file for each cluster below this `directory`")
	a.hubFlags(cmd)
	return cmd
}

func (a *commands) render(f *fleet.Fleet, image string, r rendering) error {
	invalid := func(text, hint string) error { return &cli.Error{Code: cli.Invalid, Text: text, Hint: hint} }
	switch {
	case r.pull && f.Pull == nil:
		return invalid("--pull: the fleet does not say where its Jobs run", "write pull: {namespace: …, serviceAccount: …}")
	case !r.pull && f.Pull != nil:
		return pullOnly(f)
	case r.pull && (r.driver || r.secrets):
		return invalid("--pull: there is no driver and there are no Secrets", "leave out --driver and --secrets")
	case r.out != "" && !r.pull:
		return invalid("--out is for --pull", "redirect the output into a file")
	case r.pull:
		list, err := objects.Pull(f, image)
		if err != nil {
			return err
		}
		return a.writeDeliveries(list, r.out)
	}
	round, err := objects.New(f, image, a.Now())
	if err != nil {
		return err
	}
	round.MarkMade()
	list := round.Objects
	if r.driver {
		list = append(list, round.Driver()...)
	}
	left := 0
	for _, o := range list {
		if o.GetObjectKind().GroupVersionKind().Kind == "Secret" && !r.secrets {
			left++
			continue
		}
		if err := printObject(a.Text, o); err != nil {
			return err
		}
	}
	if left > 0 {
		fmt.Fprintf(a.Stderr, "ztplan: %d Secrets with kubeconfigs are left out: --secrets prints them\n", left)
	}
	return nil
}

// pullOnly refuses to run a fleet on a hub whose clusters pull their Jobs.
func pullOnly(f *fleet.Fleet) error {
	return &cli.Error{Code: cli.Invalid, Text: "pull: the clusters of this fleet get their Jobs by another tool, and no hub runs them", Hint: "ztplan fleet render --pull " + f.File}
}

// writeDeliveries writes a file for each cluster, or prints all of them.
func (a *commands) writeDeliveries(list []objects.Delivery, dir string) error {
	for _, d := range list {
		var text bytes.Buffer
		fmt.Fprintf(&text, "# cluster %s, wave %s\n", d.Cluster, d.Wave)
		for _, o := range d.Objects {
			if err := printObject(&text, o); err != nil {
				return err
			}
		}
		if dir == "" {
			if _, err := a.Text.Write(text.Bytes()); err != nil {
				return err
			}
			continue
		}
		file := filepath.Join(dir, d.Wave, d.Cluster+".yaml")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := durable.WriteFile(file, text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func printObject(out io.Writer, object any) error {
	data, err := yaml.Marshal(object)
	if err == nil {
		_, err = fmt.Fprintf(out, "---\n%s", data)
	}
	return err
}
