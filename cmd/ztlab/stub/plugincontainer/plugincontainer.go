// Package plugincontainer stands in for Vault's way to run a plugin in a container,
// which links Docker's client. The lab has no container engine and no plugin that is
// not built in. The package has the names that Vault uses.
package plugincontainer

import (
	"errors"
	"os/exec"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/runner"
)

// A Config is that of a plugin's container.
type Config struct {
	Image, Tag, SHA256    string
	Entrypoint, Args, Env []string
	Labels                map[string]string
	GroupAdd              int
	Runtime, CgroupParent string
	NanoCpus, Memory      int64
	CapIPCLock, Rootless  bool
}

// NewContainerRunner returns an error: the lab has no container engine.
func (*Config) NewContainerRunner(hclog.Logger, *exec.Cmd, string) (runner.Runner, error) {
	return nil, errors.New("plugincontainer: the lab has no container engine")
}
