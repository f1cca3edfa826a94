package controller

import (
	"cmp"
	"fmt"
	"time"

	"sigs.k8s.io/yaml"
)

// A Config is the part of the controller's config.yaml that the stand-in uses.
type Config struct {
	ControllerName string        // IngressClasses with this controller are ours
	SyncPeriod     time.Duration // everything is written again this often
	// DisableGatewayAPI leaves the Gateway API alone.
	DisableGatewayAPI bool
	WebhookPort       int    // container port of the webhook; 0 when it is off
	WebhookDir        string // directory of tls.crt and tls.key
}

// ParseConfig reads config.yaml. Omitted keys have the controller's own
// defaults.
func ParseConfig(text []byte) (Config, error) {
	var file struct {
		ControllerName    string `json:"controller_name"`
		DisableGatewayAPI bool   `json:"disable_gateway_api"`
		Provider          struct {
			Type       string `json:"type"`
			SyncPeriod string `json:"sync_period"`
		} `json:"provider"`
		Webhook struct {
			Enable bool   `json:"enable"`
			Port   int    `json:"port"`
			Dir    string `json:"tls_cert_dir"`
		} `json:"webhook"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return Config{}, fmt.Errorf("config.yaml: %w", err)
	}
	if kind := cmp.Or(file.Provider.Type, "apisix"); kind != "apisix" {
		return Config{}, fmt.Errorf("config.yaml: provider.type %q: the lab's stand-in has apisix only", kind)
	}
	period, err := time.ParseDuration(cmp.Or(file.Provider.SyncPeriod, "1h"))
	if err != nil || period <= 0 {
		return Config{}, fmt.Errorf("config.yaml: provider.sync_period %q is not a positive duration", file.Provider.SyncPeriod)
	}
	config := Config{
		ControllerName: cmp.Or(file.ControllerName, "apisix.apache.org/apisix-ingress-controller"),
		SyncPeriod:     period,

		DisableGatewayAPI: file.DisableGatewayAPI,
	}
	if file.Webhook.Enable {
		config.WebhookPort = cmp.Or(file.Webhook.Port, 9443)
		config.WebhookDir = cmp.Or(file.Webhook.Dir, "/certs")
	}
	return config, nil
}
