package lint

import (
	"regexp"
	"strings"
)

// knownBadGateway: a changed Secret was never pushed by the ingress controller
// 2.0.0-rc1 to rc5.
func knownBadGateway(f *facts) []Finding {
	var out []Finding
	for _, c := range f.charts {
		bad := c.name == "apisix" && within(c.version, "v2.11.1", "v2.12.4") ||
			c.name == "apisix-ingress-controller" && within(c.version, "v1.0.0", "v1.0.7")
		if bad {
			out = append(out, at(c.step, "version", Error, "gateway-never-rotates", "use apisix 2.12.5 or newer",
				"its ingress controller (2.0.0-rc1 to rc5) never pushes a changed Secret: apache/apisix-ingress-controller#2673",
				"chart %s %s keeps serving the old certificate after a rotation", c.name, c.spec.Version))
		}
	}
	return out
}

var imageVersion = regexp.MustCompile(`^(\d+\.\d+\.\d+)`)

// eventLoss: APISIX 3.14.0 to 3.17.0 can lose etcd events for good, in one
// worker, silently.
func eventLoss(f *facts) []Finding {
	c, ok := f.release("apisix")
	if !ok || !within(c.version, "v2.12.0", "v2.15.0") {
		return nil
	}
	if tag, _ := dig(c.values, "image", "tag").(string); tag != "" {
		m := imageVersion.FindString(tag)
		if m == "" || !within("v"+m, "v3.14.0", "v3.17.0") {
			return nil
		}
	}
	return []Finding{at(c.step, "version", Warning, "gateway-event-loss", "set image.tag to 3.18.0 or newer, and prove more than one rotation",
		"apache/apisix#13067, fixed in 3.18.0 by apache/apisix#13721",
		"chart apisix %s brings an APISIX (3.14 to 3.17) of which one worker can keep the old certificate for good", c.spec.Version)}
}

// knownBadCertManager: versions whose behaviour the rest of the plan cannot
// make up for.
func knownBadCertManager(f *facts) []Finding {
	c, ok := f.release("cert-manager")
	if !ok || !before(c.version, "v1.16.0") {
		return nil
	}
	return []Finding{at(c.step, "version", Warning, "cert-manager-old", "use v1.20 or newer",
		"before v1.16 a login that Vault refuses for a moment fails the request, which then backs off for an hour: cert-manager/cert-manager#7097",
		"cert-manager %s takes a short failure of Vault for a final one", c.spec.Version)}
}

// tokenPermission: since v1.21.0 the chart no longer allows cert-manager to
// request tokens, and up to v1.15 it never did.
func tokenPermission(f *facts) []Finding {
	uses := false
	for _, o := range f.objects {
		if (o.kind == "ClusterIssuer" || o.kind == "Issuer") && dig(o.fields, "spec", "vault", "auth", "kubernetes", "serviceAccountRef") != nil {
			uses = true
		}
	}
	c, ok := f.release("cert-manager")
	if !uses || !ok {
		return nil
	}
	for _, a := range f.auths {
		if a.spec.TokenRequest != nil {
			return nil
		}
	}
	for _, o := range f.objects {
		if o.kind == "Role" || o.kind == "ClusterRole" {
			rules, _ := o.fields["rules"].([]any)
			for _, r := range rules {
				m, _ := r.(map[string]any)
				resources, _ := m["resources"].([]any)
				for _, res := range resources {
					if res == "serviceaccounts/token" {
						return nil
					}
				}
			}
		}
	}
	return []Finding{at(c.step, "version", Error, "token-permission", "set tokenRequest in the k8sAuth step",
		"the chart dropped its Role in v1.21.0 (release notes 1.21) and had none up to v1.15: the issuer would never be ready",
		"nothing in the plan lets cert-manager request tokens (serviceaccounts/token)")}
}

// adminKey: the key of the Admin API that everybody knows.
func adminKey(f *facts) []Finding {
	const known = "edd1c9f034335f136f87ad84b625c8f1"
	c, ok := f.release("apisix")
	if !ok {
		return nil
	}
	if key, set := dig(c.values, "apisix", "admin", "credentials", "admin").(string); set && !strings.EqualFold(key, known) {
		return nil
	}
	return []Finding{at(c.step, "", Warning, "admin-key", "set apisix.admin.credentials.admin and the same key in ingress-controller.gatewayProxy.provider.controlPlane.auth.adminKey",
		"the chart's default is published, and its Admin API accepts every address in the cluster",
		"the gateway's Admin API can be used by anyone in the cluster with the well-known key")}
}
