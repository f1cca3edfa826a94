package dataplane

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strconv"

	"sigs.k8s.io/yaml"
)

// A Config is the part of APISIX's config.yaml that the stand-in uses
// (https://github.com/apache/apisix/blob/master/conf/config.yaml.example).
type Config struct {
	HTTPPort    int    // container port of plain HTTP
	TLSPort     int    // container port of TLS; 0 when TLS is off
	AdminPort   int    // container port of the Admin API; 0 when it is off
	StatusPort  int    // container port of /status and /status/ready
	HTTP2       bool   // offer h2 on the TLS port
	Workers     int    // nginx workers; at least 1
	FallbackSNI string // served to clients that send no SNI; "" refuses them
	Keys        []Key  // who may use the Admin API
}

// A Key opens the Admin API.
type Key struct {
	Value    string
	ReadOnly bool // the viewer role
}

// Bounds for worker_processes: auto, for which nginx takes one worker for each
// processor. Four at least, on a machine with fewer processors too: among few
// workers a stale one is found too easily.
const minAutoWorkers, maxAutoWorkers = 4, 8

// file mirrors the parts of config.yaml that are read.
type file struct {
	Apisix struct {
		NodeListen  []nodeListen `json:"node_listen"`
		EnableAdmin *bool        `json:"enable_admin"`
		EnableHTTP2 *bool        `json:"enable_http2"`
		SSL         struct {
			Enable bool `json:"enable"`
			Listen []struct {
				Port int `json:"port"`
			} `json:"listen"`
			FallbackSNI string `json:"fallback_sni"`
		} `json:"ssl"`
		Status struct {
			Port int `json:"port"`
		} `json:"status"`
	} `json:"apisix"`
	Nginx struct {
		Workers any `json:"worker_processes"`
	} `json:"nginx_config"`
	Deployment struct {
		RoleTraditional struct {
			ConfigProvider string `json:"config_provider"`
		} `json:"role_traditional"`
		Admin struct {
			Listen struct {
				Port int `json:"port"`
			} `json:"admin_listen"`
			Keys []struct {
				Key  string `json:"key"`
				Role string `json:"role"`
			} `json:"admin_key"`
		} `json:"admin"`
	} `json:"deployment"`
}

// A nodeListen is a port, alone or as {port: N}.
type nodeListen int

func (n *nodeListen) UnmarshalJSON(data []byte) error {
	var mapping struct {
		Port int `json:"port"`
	}
	if yaml.Unmarshal(data, &mapping) == nil && mapping.Port != 0 {
		*n = nodeListen(mapping.Port)
		return nil
	}
	port, err := strconv.Atoi(string(data))
	if err != nil {
		return fmt.Errorf("node_listen: %s is neither a port nor {port: N}", data)
	}
	*n = nodeListen(port)
	return nil
}

// reference is APISIX's way to take a value from the environment.
var reference = regexp.MustCompile(`\$\{\{\s*([A-Za-z0-9_]+)\s*(?::=\s*(.*?)\s*)?\}\}`)

// ParseConfig reads config.yaml, with ${{NAME}} and ${{NAME:=default}} taken
// from env. Omitted keys have APISIX's defaults.
func ParseConfig(text []byte, env map[string]string) (Config, error) {
	var missing []error
	text = reference.ReplaceAllFunc(text, func(found []byte) []byte {
		parts := reference.FindSubmatch(found)
		if value, ok := env[string(parts[1])]; ok {
			return []byte(value)
		}
		if parts[2] == nil {
			missing = append(missing, fmt.Errorf("config.yaml: environment variable %s is not set", parts[1]))
		}
		return parts[2]
	})
	if len(missing) > 0 {
		return Config{}, errors.Join(missing...)
	}
	var f file
	if err := yaml.Unmarshal(text, &f); err != nil {
		return Config{}, fmt.Errorf("config.yaml: %w", err)
	}
	if provider := cmp.Or(f.Deployment.RoleTraditional.ConfigProvider, "etcd"); provider != "etcd" {
		return Config{}, fmt.Errorf("config.yaml: config_provider %q: the lab's gateway stand-in has the etcd way only", provider)
	}
	config := Config{
		HTTPPort:    9080,
		StatusPort:  cmp.Or(f.Apisix.Status.Port, 7085),
		HTTP2:       f.Apisix.EnableHTTP2 == nil || *f.Apisix.EnableHTTP2,
		FallbackSNI: f.Apisix.SSL.FallbackSNI,
	}
	if len(f.Apisix.NodeListen) > 0 {
		config.HTTPPort = int(f.Apisix.NodeListen[0])
	}
	if f.Apisix.SSL.Enable {
		config.TLSPort = 9443
		if len(f.Apisix.SSL.Listen) > 0 && f.Apisix.SSL.Listen[0].Port != 0 {
			config.TLSPort = f.Apisix.SSL.Listen[0].Port
		}
	}
	if f.Apisix.EnableAdmin == nil || *f.Apisix.EnableAdmin {
		config.AdminPort = cmp.Or(f.Deployment.Admin.Listen.Port, 9180)
	}
	for _, key := range f.Deployment.Admin.Keys {
		config.Keys = append(config.Keys, Key{Value: key.Key, ReadOnly: key.Role == "viewer"})
	}
	workers, err := workerCount(f.Nginx.Workers)
	if err != nil {
		return Config{}, err
	}
	config.Workers = workers
	return config, nil
}

func workerCount(value any) (int, error) {
	switch text := fmt.Sprint(value); {
	case value == nil || text == "auto":
		return min(max(runtime.NumCPU(), minAutoWorkers), maxAutoWorkers), nil
	default:
		count, err := strconv.Atoi(text)
		if err != nil || count < 1 {
			return 0, fmt.Errorf("config.yaml: worker_processes %q is neither auto nor a number of workers", text)
		}
		return count, nil
	}
}
