package lint

import (
	"regexp"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/versions"
)

// knownBadGateway: a changed Secret was never pushed by the ingress controller
// 2.0.0-rc1 to rc5.
func knownBadGateway(f *facts) []Finding {
	var out []Finding
	for _, c := range f.charts {
		if bad, ok := versions.NeverPushes[c.name]; ok && bad.Has(c.version) {
			out = append(out, at(c.step, "version", "gateway-never-rotates", "",
				"chart %s %s keeps serving the old certificate after a rotation", c.name, c.spec.Version))
		}
	}
	return out
}

var imageVersion = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)`)

// versionOf returns the version in the tag of an image, "v3.18.0", or "".
func versionOf(tag string) string {
	m := imageVersion.FindStringSubmatch(tag)
	if m == nil {
		return ""
	}
	return "v" + m[1]
}

// eventLoss: APISIX 3.14.0 to 3.17.0 can lose etcd events for good, in one
// worker, silently.
func eventLoss(f *facts) []Finding {
	c, ok := f.release("apisix")
	if !ok {
		return nil
	}
	program := versions.ProgramOf("apisix", c.version)
	if tag := c.text("image.tag"); tag != "" {
		program = versionOf(tag)
	}
	if !versions.LosesEvents.Has(program) {
		return nil
	}
	out := c.finding("image.tag", "gateway-event-loss", "",
		"chart apisix %s brings APISIX %s, of which one worker can keep the old certificate for good", c.spec.Version, strings.TrimPrefix(program, "v"))
	if c.text("image.tag") == "" {
		out.Place = c.step.PositionOf("version")
	}
	return []Finding{out}
}

// gatewayProxy: without a GatewayProxy the controller has nowhere to push to.
func gatewayProxy(f *facts) []Finding {
	var out []Finding
	for _, o := range f.objects {
		if o.kind == "GatewayProxy" {
			return nil // the plan wires it itself
		}
	}
	for _, c := range f.charts {
		prefix := "ingress-controller."
		if c.name == "apisix-ingress-controller" {
			prefix = ""
		} else if c.value("ingress-controller.enabled") != true {
			continue
		}
		wants, ok := versions.WantsGatewayProxy[c.name]
		if path := prefix + "gatewayProxy.createDefault"; ok && wants.Has(c.version) && c.value(path) != true {
			out = append(out, c.finding(path, "gateway-proxy", "set "+path+": true",
				"the controller of chart %s %s gets no GatewayProxy: no route and no certificate reaches the gateway", c.name, c.spec.Version))
		}
	}
	return out
}

// adminKey: the key of the Admin API that everybody knows, or two that differ.
func adminKey(f *facts) []Finding {
	const (
		known = "edd1c9f034335f136f87ad84b625c8f1"
		own   = "apisix.admin.credentials.admin"
		other = "ingress-controller.gatewayProxy.provider.controlPlane.auth.adminKey"
	)
	c, ok := f.release("apisix")
	if !ok || c.text("apisix.admin.credentials.secretName") != "" {
		return nil
	}
	key, set := c.value(own).(string)
	if !set || strings.EqualFold(key, known) {
		return []Finding{c.finding(own, "admin-key", "", "the gateway's Admin API can be used by anyone in the cluster with the well-known key")}
	}
	controller, _ := c.value(other + ".value").(string)
	if c.value("ingress-controller.enabled") != true || c.value(other+".valueFrom") != nil || controller == key {
		return nil
	}
	return []Finding{c.finding(other+".value", "admin-key-mismatch", "", "the Admin API has a key of the plan, and the ingress controller sends another")}
}
