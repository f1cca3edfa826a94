package values

import (
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// replacements holds, by chart and dotted path, the replacements of keys that charts
// once knew and that guides still use. The text completes "KEY is unknown".
//
// Sources: the upgrade notes and values.yaml of apache/apisix-helm-chart
// (gateway.* became service.* in 2.0.0, the 1.x keys of the ingress controller
// went in 2.11.1, the dashboard in 2.11.3), the values.yaml of
// cert-manager/cert-manager (the ServiceMonitor's port and path went in v1.21).
//
// Each begins with the version from which it holds: see [replacedSince].
var replacements = map[string]map[string]string{
	"apisix": {
		"gateway.type":                  "since chart 2.0.0: service.type",
		"gateway.externalTrafficPolicy": "since chart 2.0.0: service.externalTrafficPolicy",
		"gateway.externalIPs":           "since chart 2.0.0: service.externalIPs",
		"gateway.http.enabled":          "since chart 2.0.0: service.http.enabled",
		"gateway.http.servicePort":      "since chart 2.0.0: service.http.servicePort",
		"gateway.http.containerPort":    "since chart 2.0.0: service.http.containerPort",
		"gateway.http.nodePort":         "since chart 2.0.0: service.http.nodePort",
		"gateway.tls.enabled":           "since chart 2.0.0 the TLS port comes with apisix.ssl.enabled",
		"gateway.tls.servicePort":       "since chart 2.0.0: service.tls.servicePort",
		"gateway.tls.containerPort":     "since chart 2.0.0: apisix.ssl.containerPort",
		"gateway.tls.nodePort":          "since chart 2.0.0: service.tls.nodePort",
		"apisix.customLuaSharedDicts":   "since chart 2.0.0: apisix.nginx.customLuaSharedDicts",

		"ingress-controller.config.kubernetes.ingressVersion":           "since chart 2.11.1 there is none: the controller knows one version",
		"ingress-controller.config.kubernetes.watchNamespace":           "since chart 2.11.1 there is none: all namespaces are watched",
		"ingress-controller.config.kubernetes.enableNamespaceSelector":  "since chart 2.11.1 there is none: all namespaces are watched",
		"ingress-controller.config.kubernetes.namespaces":               "since chart 2.11.1 there is none: all namespaces are watched",
		"ingress-controller.config.kubernetes.namespaceSelector":        "since chart 2.11.1 there is none: all namespaces are watched",
		"ingress-controller.config.kubernetes.apisixRouteRootNamespace": "since chart 2.11.1 there is none: all namespaces are watched",
		"ingress-controller.apisix.adminServerAddress":                  "since chart 2.11.1: ingress-controller.gatewayProxy.provider.controlPlane.endpoints or .service",
		"ingress-controller.apisix.adminKey":                            "since chart 2.11.1: ingress-controller.gatewayProxy.provider.controlPlane.auth.adminKey, equal to apisix.admin.credentials.admin",
		"ingress-controller.config.apisix.serviceNamespace":             "since chart 2.11.1: ingress-controller.gatewayProxy.provider.controlPlane.service",
		"ingress-controller.config.apisix.adminKey":                     "since chart 2.11.1: ingress-controller.gatewayProxy.provider.controlPlane.auth.adminKey",

		"dashboard":         "since chart 2.11.3 there is no dashboard chart: apisix.admin.enable_admin_ui",
		"dashboard.enabled": "since chart 2.11.3 there is no dashboard chart: apisix.admin.enable_admin_ui",
	},
	"cert-manager": {
		"prometheus.servicemonitor.targetPort": "gone since v1.21: there is one port",
		"prometheus.servicemonitor.path":       "gone since v1.21: there is one path",
	},
}

// unread holds, by chart and dotted path, values that a chart has a default for and
// that none of its templates reads, for charts that are not at hand: source
// apache/apisix-helm-chart:charts/apisix-ingress-controller/templates/gatewayproxy.yaml.
var unread = map[string]map[string]string{
	"apisix": {
		"ingress-controller.apisix.adminService.namespace": "since chart 2.11.1 the GatewayProxy is in the namespace of the release",
	},
}

// Replaced returns the values that a version of a chart ignores, as far as that is known
// without the chart. The version is exact, such as 1.2.3.
func Replaced(chart, version string, v Values) []Unknown {
	var out []Unknown
	for path := range Flatten(map[string]any(v), "") {
		for _, known := range []struct {
			list   map[string]string
			unread bool
		}{{replacements[chart], false}, {unread[chart], true}} {
			if advice, ok := known.list[path]; ok && !older(version, replacedSince.FindString(advice)) {
				out = append(out, Unknown{Path: path, Advice: advice, Unread: known.unread})
			}
		}
	}
	slices.SortFunc(out, func(a, b Unknown) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// replacedSince finds the first version in the text of a replacement.
var replacedSince = regexp.MustCompile(`\d+\.\d+(\.\d+)?`)

// older reports whether a version is before another; one that cannot be read is not.
func older(version, limit string) bool {
	a, errA := semver.NewVersion(version)
	b, errB := semver.NewVersion(limit)
	return errA == nil && errB == nil && a.LessThan(b)
}
