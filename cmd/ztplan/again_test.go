package main

import (
	"testing"

	"github.com/spf13/cobra"
)

// The command after a failure is the one that was called, for a shell, with the flags
// that choose the world and without those that choose steps and output; the command of a
// hint comes first.
func TestNextCommand(t *testing.T) {
	a := new(app)
	root := &cobra.Command{Use: "ztplan"}
	root.PersistentFlags().BoolVar(&a.Lab, "lab", false, "")
	root.PersistentFlags().StringVar(&a.LabDir, "lab-dir", "", "")
	root.PersistentFlags().StringArrayVar(&a.Vars, "var", nil, "")
	root.PersistentFlags().StringSliceVar(&a.Only, "only", nil, "")
	root.PersistentFlags().Bool("verbose", false, "")
	root.AddCommand(&cobra.Command{Use: "run", RunE: func(cmd *cobra.Command, args []string) error {
		a.again = commandLine(cmd, args)
		return nil
	}})
	root.SetArgs([]string{"run", "my plan.yaml", "--lab", "--lab-dir", "/tmp/lab", "--var", "a=it's", "--var", "b=2", "--only", "x", "--verbose"})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	const again = `ztplan run 'my plan.yaml' --lab --lab-dir=/tmp/lab --var='a=it'\''s' --var=b=2`
	for message, want := range map[string]string{
		"something unknown":                     again + " --only site -v",
		"interrupted while waiting for a":       again,
		"read pki/config/urls: Vault is sealed": "vault status",
	} {
		if got := a.next("site", message); got != want {
			t.Errorf("%s: %s, want %s", message, got, want)
		}
	}
	if got := new(app).next("site", "something unknown"); got != "" {
		t.Errorf("without a command: %q", got)
	}
}
