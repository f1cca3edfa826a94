package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/engine/display"
)

func (a *commands) validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate FLEET",
		Short: "Check the fleet, its inventory and the plan of every cluster",
		Long: `Validate reads the fleet, its inventory, and the plan with the variables of every
cluster, and reports every problem at once, each with its place. Only the hub is
contacted, and only for ClusterProfiles.

Exit status: 0 valid, 1 the hub could not be asked, 3 invalid.`,
		Args: oneFleet,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := a.load(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			counts := make(map[string]int, len(f.Waves))
			var waves []string
			for i, w := range f.Waves {
				counts[w.Name] = len(f.Wave(i))
				waves = append(waves, fmt.Sprintf("%s %d", w.Name, counts[w.Name]))
			}
			if a.Output == "json" {
				return a.WriteJSON(map[string]any{
					"valid": true, "fleet": f.Metadata.Name, "clusters": len(f.Clusters), "skipped": len(f.Skipped), "waves": counts, "plan": f.Plan().Name, "steps": len(f.Plan().Steps),
				})
			}
			_, err = fmt.Fprintf(a.Text, "%s: fleet %s is valid: %s (%s), plan %s with %s\n", args[0], f.Metadata.Name,
				display.Count(len(f.Clusters), "cluster"), strings.Join(waves, ", "), planName(f.PlanNames()), display.Count(len(f.Plan().Steps), "step"))
			return err
		},
	}
	a.hubFlags(cmd)
	a.OutputFlag(cmd, "text", "json", "github")
	return cmd
}

// planName names the plan of a fleet, of which each cluster may have one of another name.
func planName(names []string) string {
	if more := len(names) - 1; more > 0 {
		return fmt.Sprintf("%s and %s", names[0], display.Count(more, "more name"))
	}
	return names[0]
}
