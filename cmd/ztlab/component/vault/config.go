package vault

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/command/server"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// configDir is where the chart mounts its ConfigMap, and the directory that the
// image's entry point passes to the server.
const configDir = "/vault/config"

// defaultConfig is the chart's for a standalone server: it is used when
// the pod mounts no configuration at all.
const defaultConfig = `
listener "tcp" {
  tls_disable = 1
  address     = "[::]:8200"
}
storage "file" {
  path = "/vault/data"
}
`

// A config is the server's configuration with the container's paths resolved.
type config struct {
	server      *server.Config
	listeners   []listener
	storageType string
	storagePath string // on the host; empty unless the storage is "file" or "raft"
	clusterPort int
	mounts      map[string]string
	root        string // on the host, for paths that no volume covers
}

// readConfig reads the configuration that the pod mounts, as the image's entry
// point does: every *.hcl and *.json below /vault/config, later files winning,
// with the chart's placeholders replaced from the environment.
func readConfig(spec container.Spec) (*config, error) {
	if slices.ContainsFunc(slices.Concat(spec.Command, spec.Args), func(arg string) bool {
		return slices.Contains(strings.Fields(arg), "-dev")
	}) {
		return nil, fmt.Errorf("vault server -dev: the lab runs a server with storage; set server.dev.enabled=false in the chart's values")
	}
	conf := &config{mounts: spec.Mounts, root: filepath.Join(spec.Dir, "rootfs")}
	texts, err := configTexts(spec)
	if err != nil {
		return nil, err
	}
	for _, t := range texts {
		c, err := server.ParseConfig(t.text, t.name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
		if conf.server == nil {
			conf.server = c
		} else {
			conf.server = conf.server.Merge(c)
		}
	}
	if level := spec.Env["VAULT_LOG_LEVEL"]; level != "" {
		conf.server.LogLevel = level
	}
	if err := conf.resolve(); err != nil {
		return nil, err
	}
	return conf, nil
}

// resolve checks the parts of the configuration that depend on the lab.
func (c *config) resolve() error {
	if c.server.Storage == nil {
		return fmt.Errorf("%s: no storage stanza: the server has nowhere to keep its data", configDir)
	}
	c.storageType = c.server.Storage.Type
	if c.storageType == "file" || c.storageType == storageRaft {
		p := c.server.Storage.Config["path"]
		if p == "" {
			return fmt.Errorf(`%s: storage %q: path is required`, configDir, c.storageType)
		}
		c.storagePath = c.hostPath(p)
		if err := os.MkdirAll(c.storagePath, 0o700); err != nil {
			return fmt.Errorf("vault storage: %w", err)
		}
	}
	for _, l := range c.server.Listeners {
		if l.Type != configutil.TCP {
			return fmt.Errorf("%s: listener %q: the lab has tcp listeners only", configDir, l.Type)
		}
		_, port, err := net.SplitHostPort(l.Address)
		if err != nil {
			return fmt.Errorf("%s: listener address: %w", configDir, err)
		}
		number, err := strconv.Atoi(port)
		if err != nil {
			return fmt.Errorf("%s: listener address %s: port: %w", configDir, l.Address, err)
		}
		c.listeners = append(c.listeners, listener{Listener: l, port: number})
	}
	c.clusterPort = defaultClusterPort
	for _, l := range c.server.Listeners {
		if _, port, err := net.SplitHostPort(l.ClusterAddress); err == nil {
			c.clusterPort, _ = strconv.Atoi(port)
		}
	}
	if len(c.listeners) == 0 {
		return fmt.Errorf("%s: no listener stanza: nothing could reach the server", configDir)
	}
	return nil
}

// A configText is one configuration file, ready to be parsed.
type configText struct{ name, text string }

// configTexts returns the pod's configuration files in the order in which the
// server reads them.
func configTexts(spec container.Spec) ([]configText, error) {
	dir, mounted := spec.Mounts[configDir]
	if !mounted {
		return []configText{{name: "default configuration", text: defaultConfig}}, nil
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", configDir, err)
	}
	var texts []configText
	for _, f := range files {
		if ext := filepath.Ext(f.Name()); ext != ".hcl" && ext != ".json" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", configDir, err)
		}
		texts = append(texts, configText{name: path.Join(configDir, f.Name()), text: fillIn(string(data), spec.Env)})
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("%s: no *.hcl or *.json file in it", configDir)
	}
	return texts, nil
}

// fillIn replaces the placeholders that the chart's start script replaces with
// sed (hashicorp/vault-helm:templates/_helpers.tpl, "vault.args").
func fillIn(text string, env map[string]string) string {
	for _, name := range []string{"HOST_IP", "POD_IP", "HOSTNAME", "API_ADDR", "TRANSIT_ADDR", "RAFT_ADDR"} {
		if value := env[name]; value != "" {
			text = strings.ReplaceAll(text, name, value)
		}
	}
	return text
}

// hostPath returns the place on the host of a path in the container: inside the
// volume with the longest mount path that covers it, else in the container's own
// scratch directory.
func (c *config) hostPath(p string) string {
	p = path.Clean("/" + p)
	best, dir := "", c.root
	for mount, host := range c.mounts {
		mount = path.Clean("/" + mount)
		if (p == mount || strings.HasPrefix(p, strings.TrimSuffix(mount, "/")+"/")) && len(mount) > len(best) {
			best, dir = mount, host
		}
	}
	return filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(p, best)))
}

// hostFile is hostPath of a value that is a path below a mount, and any other value
// as it is.
func (c *config) hostFile(value string) string {
	if !path.IsAbs(value) {
		return value
	}
	if host := c.hostPath(value); !strings.HasPrefix(host, c.root+string(filepath.Separator)) {
		return host
	}
	return value
}

// environment sets the container's variables that Vault itself reads: those of raft and
// of its clients. This process is the container's own.
func (c *config) environment(env map[string]string) error {
	for name, value := range env {
		if !strings.HasPrefix(name, "VAULT_") {
			continue
		}
		if err := os.Setenv(name, c.hostFile(value)); err != nil {
			return fmt.Errorf("env %s: %w", name, err)
		}
	}
	return nil
}

// hostAuditPath returns the options of a file audit device with its path on the
// host; "stdout" and "discard" keep their meaning.
func (c *config) hostAuditPath(options map[string]string) map[string]string {
	mapped := maps.Clone(options)
	for _, key := range []string{"file_path", "path"} {
		if p := mapped[key]; path.IsAbs(p) {
			mapped[key] = c.hostPath(p)
		}
	}
	return mapped
}
