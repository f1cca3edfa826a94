package hosting

// Annotations of ingress-nginx.
const (
	nginxAuthority = "nginx.ingress.kubernetes.io/auth-tls-secret"
	nginxVerify    = "nginx.ingress.kubernetes.io/auth-tls-verify-client"
)

// Clients returns the field by which an object of a gateway asks for client certificates, and
// the one by which it lets in clients without the right one; "" if it does not.
func (o Object) Clients() (asks, skips string) {
	switch {
	case o.isOf("ApisixTls", "apisix.apache.org/") && Dig(o.Fields, "spec", "client") != nil:
		asks = "spec.client"
		if Dig(o.Fields, "spec", "client", "skip_mtls_uri_regex") != nil {
			skips = "spec.client.skip_mtls_uri_regex"
		}
	case o.isOf("Ingress", "networking.k8s.io/") && o.Text("metadata", "annotations", nginxAuthority) != "":
		asks = "metadata.annotations"
		if verify := o.Text("metadata", "annotations", nginxVerify); verify != "" && verify != "on" {
			skips = "metadata.annotations"
		}
	case o.isOf("Gateway", "gateway.networking.k8s.io/"):
		validations := []any{Dig(o.Fields, "spec", "tls", "frontend", "default", "validation")}
		for _, port := range items(o.Fields, "spec", "tls", "frontend", "perPort") {
			validations = append(validations, Dig(port, "tls", "validation"))
		}
		for _, v := range validations {
			if v, ok := v.(map[string]any); ok {
				asks = "spec.tls.frontend"
				if v["mode"] == "AllowInsecureFallback" {
					skips = asks
				}
			}
		}
	}
	return asks, skips
}
