package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
	"github.com/ztplan/ztplan/cmd/ztlab/supervisor"
)

// An outputFlag is the value of --output.
type outputFlag struct {
	json bool
}

func (f *outputFlag) add(cmd *cobra.Command) {
	cmd.Flags().VarP(f, "output", "o", "text or json")
}

// String, Set and Type make it a flag value.
func (f *outputFlag) String() string {
	if f.json {
		return "json"
	}
	return "text"
}

func (f *outputFlag) Set(s string) error {
	switch s {
	case "json", "text":
		f.json = s == "json"
		return nil
	}
	return errors.New("it must be text or json")
}

func (f *outputFlag) Type() string { return "format" }

// printUp prints the result of "ztlab up".
func (f *outputFlag) printUp(w io.Writer, s labstate.Status) error {
	if f.json {
		return json.NewEncoder(w).Encode(s)
	}
	fmt.Fprintln(w, s.Kubeconfig)
	if !s.Ready {
		return fmt.Errorf("the lab is up and not ready: %s", s.Message)
	}
	return nil
}

func statusCommand(lab *labFlag) *cobra.Command {
	var output outputFlag
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the lab's parts; exit code 1 when it is not up and ready",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, dir, err := lab.client()
			if err != nil {
				return err
			}
			s, err := client.Status(cmd.Context())
			if errors.Is(err, supervisor.ErrDown) && output.json {
				s, err = downStatus(dir, err), nil
			}
			if err != nil {
				return err
			}
			if output.json {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(s)
			} else {
				err = printStatus(cmd.OutOrStdout(), s)
			}
			if err == nil && !s.Ready {
				err = exitStatus(1)
			}
			return err
		},
	}
	output.add(cmd)
	return cmd
}

// downStatus is the status of a lab that is not up.
func downStatus(dir labstate.Dir, why error) labstate.Status {
	return labstate.Status{
		Message: why.Error(), Dir: string(dir), Kubeconfig: dir.Kubeconfig(),
		Mirrors: map[string]string{}, Components: []labstate.Component{}, Simulated: []string{},
		Versions: map[string]string{},
	}
}

func printStatus(out io.Writer, s labstate.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	state := "ready"
	if !s.Ready {
		state = "not ready: " + s.Message
	}
	fmt.Fprintf(w, "lab\t%s\n", state)
	fmt.Fprintf(w, "directory\t%s\n", s.Dir)
	fmt.Fprintf(w, "kubeconfig\t%s\n", s.Kubeconfig)
	fmt.Fprintf(w, "address\t%s\n", s.Address)
	if s.Audit != "" {
		fmt.Fprintf(w, "audit\t%s\n", s.Audit)
	}
	fmt.Fprintf(w, "issuer\t%s\n", s.ServiceAccountIssuer)
	if s.AuthenticationConfig != "" {
		fmt.Fprintf(w, "authentication\t%s\n", s.AuthenticationConfig)
	}
	charts := s.Charts
	if charts == "" {
		charts = "the lab's own"
	}
	fmt.Fprintf(w, "charts\t%s\n", charts)
	for _, p := range s.Problems {
		fmt.Fprintf(w, "problem\t%s\n", p)
	}
	for _, url := range slices.Sorted(maps.Keys(s.Mirrors)) {
		fmt.Fprintf(w, "mirror\t%s → %s\n", url, s.Mirrors[url])
	}
	for _, image := range s.Simulated {
		fmt.Fprintf(w, "simulated\t%s (inert: the lab has nothing to run for it)\n", image)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	fmt.Fprintln(w, "COMPONENT\tSTATE\tPID\tVERSION\tADDRESS\tPOD\tREMARK")
	for _, c := range s.Components {
		pid, remark := "-", ""
		if c.PID != 0 {
			pid = strconv.Itoa(c.PID)
		}
		if c.StandIn {
			remark = "stand-in, not the real program"
		}
		if c.Message != "" && c.State != labstate.StateReady {
			remark = strings.Trim(c.Message+"; "+remark, "; ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Name, c.State, pid, dash(c.Version), dash(c.Address), dash(c.Pod), remark)
	}
	return w.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
