package hints_test

import (
	"strings"
	"testing"

	"github.com/ztplan/ztplan/steps/hints"
)

func TestFor(t *testing.T) {
	tests := []struct {
		message string
		want    string // part of the hint; "" means that there must be none
	}{
		{`serviceaccounts "cert-manager" is forbidden: User "system:serviceaccount:cert-manager:cert-manager" cannot create resource "serviceaccounts/token" in API group "" in the namespace "cert-manager"`, "cert-manager/cert-manager#7112"},
		{"Error making API request.\n\nURL: PUT http://vault:8200/v1/auth/kubernetes/login\nCode: 403. Errors:\n\n* permission denied", "token_reviewer_jwt"},
		{"invalid audience (aud) claim: audience claim does not match any expected audience", "vault://<clusterissuer>"},
		{"* service account name not authorized", "bound_service_account_names"},
		{"* namespace not authorized", "bound_service_account_names"},
		{`invalid role name "x"`, "k8sAuth"},
		{"could not load backend configuration", "k8sAuth"},
		{`no handler for route "pki_int/sign/x". route entry not found.`, "/v1/"},
		{"URL: GET http://127.0.0.1:8200/v1/pki\nCode: 503. Errors:\n\n* Vault is sealed", "unseal step"},
		{"Vault is not initialized", "init step"},
		{"URL: PUT http://vault.vault.svc:8200/v1/pki_int/sign/example-dot-local\nCode: 403. Errors:\n\n* 1 error occurred:\n\t* permission denied", "spec.vault.path"},
		{"common name foo.bar not allowed by this role", "allowed_domains"},
		{"the common_name field is required, or must be provided in a CSR", "require_cn=false"},
		{"role requires keys of type rsa", "key_type=any"},
		{"cannot satisfy request, as TTL would result in notAfter of 2036 beyond the expiration of the CA certificate at 2031", "renew the intermediate"},
		{"Backing off from issuance due to previously failed issuance(s)", "cmctl renew"},
		{`failed calling webhook "webhook.cert-manager.io": Post "https://x": tls: failed to verify certificate: x509: certificate signed by unknown authority`, "cainjector"},
		{`failed calling webhook "webhook.cert-manager.io": no endpoints available for service "cert-manager-webhook"`, "10250"},
		{`failed calling webhook "webhook.cert-manager.io": dial tcp 10.0.0.1:443: connect: connection refused`, "10250"},
		{`failed calling webhook "webhook.cert-manager.io": dial tcp 10.0.0.1:443: i/o timeout`, "10250"},
		{`failed calling webhook "webhook.cert-manager.io": context deadline exceeded`, "10250"},
		{"failed post-install: timed out waiting for the condition", "startupapicheck.timeout"},
		{"resource not ready, name: cert-manager-startupapicheck, kind: Job, status: InProgress", "startupapicheck.timeout"},
		{`no matches for kind "ClusterIssuer" in version "cert-manager.io/v1"`, "crds.enabled"},
		{`namespaces "ingress-apisix" not found`, "namespace first"},
		{`invalid apisix tls secret: failed to get secret`, "not been issued"},
		{`Secret "hello-tls" not found`, "not been issued"},
		{"no GatewayProxy configs provided", "createDefault"},
		{"failed to check token", "admin key"},
		{`SyncFailed: ServerAddr: http://apisix-admin:9180, Err: HTTP 500: {"message":"AxiosError: Request failed with status code 401"}`, "admin key"},
		{`admission webhook "validate.x.io" denied the request: panic: runtime error: index out of range [recovered]`, "defect of the webhook"},
		{`failed to find any SSL certificate by SNI: hello.example.local`, "ApisixTls"},
		{"remote error: tls: internal error", "ApisixTls"},
		{"remote error: tls: unrecognized name", "ApisixTls"},
		{"worker id: 0 has not received configuration", "apisix-helm-chart#847"},
		{"waiting for etcd", "StorageClass"},
		{`dial tcp 172.21.0.2:30443: i/o timeout`, "extraPortMappings"},
		{"another operation (install/upgrade/rollback) is in progress", "helm/helm#8987"},
		{"updates to statefulset spec for fields other than 'replicas' are forbidden", "--cascade=orphan"},
		{"rollout status is only available for RollingUpdate strategy type", "OnDelete"},
		{"path is already in use at pki/", "mounted"},
		{"Vault is already initialized", "key file"},

		{"VAULT IS SEALED", "unseal step"}, // case does not matter
		{"", ""},
		{"something nobody has seen", ""},
		{"permission denied", ""}, // a part of a pattern is not the pattern
		{"i/o timeout", ""},
	}
	for _, tt := range tests {
		got := hints.For(tt.message)
		if tt.want == "" && got != "" {
			t.Errorf("For(%q) = %q, want none", tt.message, got)
		}
		if !strings.Contains(got, tt.want) {
			t.Errorf("For(%q) = %q, want it to contain %q", tt.message, got, tt.want)
		}
		if strings.HasSuffix(got, ".") {
			t.Errorf("For(%q) ends with a full stop", tt.message)
		}
	}
}

func TestForNamesThreads(t *testing.T) {
	const want = "(see hashicorp/vault-helm#17, hashicorp/vault-helm#375)"
	if got := hints.For("Vault is sealed"); !strings.HasSuffix(got, want) {
		t.Errorf("For = %q, want suffix %q", got, want)
	}
}
