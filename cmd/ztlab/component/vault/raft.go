package vault

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/physical/raft"
	"github.com/hashicorp/vault/sdk/physical"
)

// newRaft opens the raft storage below the volume of the pod. Files that retry_join
// names are those of the container.
func (c *config) newRaft(logger hclog.Logger) (physical.Backend, error) {
	settings := maps.Clone(c.server.Storage.Config)
	settings["path"] = c.storagePath
	if text := settings["retry_join"]; text != "" {
		var joins []map[string]any
		if err := json.Unmarshal([]byte(text), &joins); err != nil {
			return nil, fmt.Errorf("%s: retry_join: %w", configDir, err)
		}
		for _, join := range joins {
			if join["auto_join"] != nil {
				return nil, fmt.Errorf("%s: auto_join: the lab asks no cloud and no API server for the members; list them: retry_join with leader_api_addr", configDir)
			}
			for key, value := range join {
				if text, ok := value.(string); ok {
					join[key] = c.hostFile(text)
				}
			}
		}
		mapped, err := json.Marshal(joins)
		if err != nil {
			return nil, err
		}
		settings["retry_join"] = string(mapped)
	}
	return raft.NewRaftBackend(settings, logger)
}
