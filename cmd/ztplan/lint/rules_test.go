package lint_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/rule"
)

const (
	service     = "    service: {namespace: vault, name: vault, port: 8200}\n"
	token       = "    token: ${steps.init.rootToken}\n"
	login       = token + "    login: {role: plan, serviceAccount: {namespace: vault, name: plan}}\n"
	authRole    = "          tokenTTL: 24h\n"
	planRole    = authRole + "        - {name: plan, serviceAccounts: [plan], namespaces: [vault], policies: [cert-manager-policy], audience: \"vault://plan\", tokenType: batch}\n"
	hostLine    = "        kubernetesHost: https://kubernetes.default.svc:443\n"
	ownReview   = hostLine + "        disableLocalCAJWT: true\n"
	accountLine = "                    name: cert-manager\n"
	issuerLine  = "        - apiVersion: cert-manager.io/v1\n          kind: ClusterIssuer\n"
	binding     = `        - apiVersion: rbac.authorization.k8s.io/v1
          kind: ClusterRoleBinding
          metadata: {name: reviews}
          roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:auth-delegator}
          subjects: [{kind: ServiceAccount, name: cert-manager, namespace: cert-manager}]
`
	signPath = `            path "pki_int/sign/example-dot-local" {`
	another  = `
        - apiVersion: cert-manager.io/v1
          kind: Certificate
          metadata: {name: other-cert, namespace: ingress-apisix}
          spec: {secretName: hello-tls, issuerRef: {name: vault-issuer, kind: ClusterIssuer}}
`
	tlsHosts  = "              name: hello-tls\n              namespace: ingress-apisix\n      wait:"
	secondTLS = `              name: hello-tls
              namespace: ingress-apisix
        - apiVersion: apisix.apache.org/v2
          kind: ApisixTls
          metadata: {name: second, namespace: ingress-apisix}
          spec: {ingressClassName: apisix, hosts: ["*.example.local"], secret: {name: SECRET, namespace: ingress-apisix}}
      wait:`
)

// ruleCases are those of the rules that no weak point of the guide is about.
func ruleCases() []ruleCase {
	forServer := func(login string) string {
		return strings.Replace(login, "serviceAccount:", "audiences: [https://kubernetes.default.svc], serviceAccount:", 1)
	}
	denying := func(names string) string {
		text := "      trust: ${steps.root.certificate}\n" + `
  - id: strangers
    uses: assertDenied
    with:
      login: {role: cert-manager, audience: "vault://vault-issuer", serviceAccount: {namespace: cert-manager, name: cert-manager}}
      sign: {path: pki_int/sign/example-dot-local, name: hello.example.local, maxTTL: 24h}
`
		if names != "" {
			text += "      attempts: [{name: a name, sign: {" + names + "}}]\n"
		}
		return text
	}
	second := func(secret string) []string {
		return []string{tlsHosts, strings.Replace(secondTLS, "SECRET", secret, 1)}
	}
	crossing := func(granted string) []string {
		text := strings.Replace(secondTLS, "      wait:", `        - apiVersion: gateway.networking.k8s.io/v1
          kind: Gateway
          metadata: {name: web, namespace: web}
          spec:
            gatewayClassName: any
            listeners: [{name: web, port: 443, protocol: HTTPS, hostname: x.local, tls: {certificateRefs: [{name: hello-tls, namespace: ingress-apisix}]}}]
      wait:`, 1)
		if granted != "" {
			text = strings.Replace(text, "      wait:", `        - apiVersion: gateway.networking.k8s.io/v1
          kind: ReferenceGrant
          metadata: {name: web, namespace: ingress-apisix}
          spec: {from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: web}], to: [{group: "", kind: Secret, name: `+granted+`}]}
      wait:`, 1)
		}
		return []string{tlsHosts, strings.Replace(text, "SECRET", "hello-tls", 1)}
	}
	key := func(admin, controller string) []string {
		return []string{"        apisix:\n          ssl:", "        apisix:\n          admin: {credentials: {admin: " + admin + "}}\n          ssl:",
			"            createDefault: true", "            createDefault: true\n            provider: {controlPlane: {auth: {adminKey: {value: " + controller + "}}}}"}
	}
	times := func(s string) []string {
		return []string{"            duration: 1h\n            renewBefore: 55m", s}
	}
	byReference := func(audience string) []string {
		return []string{"                  role: cert-manager", "                  role: ${steps.auth.roles[0]}", authRole, authRole + "          audience: " + audience + "\n"}
	}
	restarts := func(ha string) []string {
		const values = "      values:\n        server:\n          dev: {enabled: false}\n          ha: "
		return []string{values + "{enabled: false}", "      onDelete: restart\n" + values + ha}
	}
	outside := func(more ...string) []string {
		return append([]string{service, "    address: https://vault.example.com:8200\n", "chart: vault\n", "chart: other\n"}, more...)
	}
	both := func(login string, more ...string) []string {
		return append(outside(append(more, accountLine, accountLine+"                    audiences: [https://kubernetes.default.svc]\n")...), token, login, authRole, planRole)
	}
	const address = "http://vault.vault.svc.cluster.local:8200\n"
	private := func(trust string) []string {
		return []string{"              server: " + address, "              server: https://vault.example.com:8200\n" + trust,
			service, "    address: https://vault.example.com:8200\n    trustFrom: {secret: {namespace: vault, name: ca, key: ca.crt}}\n", "chart: vault\n", "chart: other\n"}
	}
	appRole := func(path string) []string {
		return []string{"                kubernetes:\n                  mountPath: /v1/auth/kubernetes\n                  role: cert-manager\n                  serviceAccountRef:\n                    name: cert-manager\n",
			"                appRole:\n                  path: " + path + "\n                  roleId: r\n"}
	}
	inNamespace := func(name string) []string {
		return []string{"          kind: ClusterIssuer\n          metadata:\n            name: vault-issuer\n", "          kind: Issuer\n          metadata:\n            name: vault-issuer\n            namespace: " + name + "\n"}
	}
	logins := func(role string) []string { return []string{token, login, authRole, role} }
	return []ruleCase{
		{"", "admin-key", nil, "chart: apisix", key("a-key-of-mine", "a-key-of-mine")},
		{"", "admin-key-mismatch", key("a-key-of-mine", "another-key"), "another-key", key("a-key-of-mine", "a-key-of-mine")},
		{"", "host-conflict", second("other-tls"), "- apiVersion: apisix.apache.org/v2\n          kind: ApisixTls\n          metadata: {name: second", second("hello-tls")},
		{"", "secret-unmade", second("hello-tlss"), "- apiVersion: apisix.apache.org/v2\n          kind: ApisixTls\n          metadata: {name: second", second("hello-tls")},
		{"", "reference-grant", crossing(""), "listeners: [{name: web", crossing("hello-tls")},
		{"", "reference-grant", crossing("other"), "listeners: [{name: web", nil},
		{"", "cert-manager-old", []string{"version: v1.21.2", "version: v1.15.5"}, "version: v1.15.5", nil},
		{"", "issuer-path", []string{"path: pki_int/sign/example-dot-local", "path: pki_int/sign/example"}, "path: pki_int/sign/example", nil},
		{"", "service-account", []string{"          serviceAccounts: [cert-manager]", "          serviceAccounts: [other]"}, "- name: cert-manager\n          serviceAccounts", nil},
		{"", "token-lifetime", nil, "tokenTTL: 24h", []string{"tokenTTL: 24h", "tokenTTL: 1m"}},
		{"", "certificate-duration", times("            duration: 30m"), "duration: 30m", times("            duration: 24h")},
		{"", "certificate-renewal", times("            duration: 1h\n            renewBefore: 4m"), "renewBefore: 4m", nil},
		{"", "duration-format", times("            duration: 90d"), "duration: 90d", times("            duration: 2160h")},
		{"", "renewal-loop", times("            duration: 48h\n            renewBefore: 30h"), "renewBefore: 30h", nil},
		{"", "lifetime-order", times("            duration: 48h"), "duration: 48h", nil},
		{"", "secret-conflict", []string{"              - \"example.local\"\n", "              - \"example.local\"" + another}, "spec: {secretName: hello-tls", []string{"              - \"example.local\"\n", "              - \"example.local\"" + strings.Replace(another, "hello-tls", "other-tls", 1)}},
		{"", "name-not-allowed", []string{"allowBareDomains: true", "allowBareDomains: false"}, "              - \"*.example.local\"\n              - \"example.local\"", nil},
		{"", "rsa-bits", []string{"            secretName: hello-tls", "            secretName: hello-tls\n            privateKey: {size: 16384}"}, "privateKey: {size: 16384}", []string{"            secretName: hello-tls", "            secretName: hello-tls\n            privateKey: {size: 8192}"}},
		{"", "rsa-bits", []string{"          maxTTL: 24h", "          keyBits: 16384"}, "keyBits: 16384", []string{"          maxTTL: 24h", "          keyBits: 4096"}},
		{"", "stored-certificates", nil, "- name: example-dot-local", []string{"          maxTTL: 24h", "          maxTTL: 24h\n          noStore: true"}},
		{"", "stored-certificates", []string{"            issuerRef:\n              name: vault-issuer", "            issuerRef:\n              name: other"}, "- name: example-dot-local", []string{"            issuerRef:\n              name: vault-issuer", "            issuerRef:\n              name: other", "          maxTTL: 24h", "          maxTTL: 25h"}},
		{"", "role-any-name", []string{"          maxTTL: 24h", "          extra: {allow_any_name: true}"}, "allow_any_name", nil},
		{"", "role-any-name", []string{"allowedDomains: [example.local]", "allowedDomains: ['*example.local']\n          allowGlobDomains: true"}, "allowedDomains", []string{"allowedDomains: [example.local]", "allowedDomains: ['*.example.local']\n          allowGlobDomains: true"}},
		{"", "unbounded-date", nil, "- name: cert-manager-policy", []string{"version: 0.31.0", "version: 0.34.1"}},
		{"", "policy-missing", []string{"policies: [cert-manager-policy]", "policies: [cert-manager]"}, "policies: [cert-manager]", nil},
		{"", "policy-duplicate", []string{signPath, signPath + "\n              capabilities = [\"read\"]"}, "rules: |", nil},
		{"", "policy-wildcard", []string{signPath, `            path "pki_int/sign/*" {`}, "- name: cert-manager-policy", nil},
		{"", "policy-wildcard", []string{signPath, `            path "+/sign/+" {`}, "- name: cert-manager-policy", []string{signPath, "            path \"pki_int/*\" {\n              capabilities = [\"create\", \"update\"]\n            }\n" + signPath}},
		{"", "template-wildcard", []string{signPath, `            path "secret/{{identity.entity.name}}/x" {`}, "- name: cert-manager-policy", []string{signPath, `            path "secret/{{identity.entity.id}}/x" {`}},
		{"", "template-wildcard", []string{signPath, `            path "secret/{{identity.entity.id}}*" {`}, "- name: cert-manager-policy", []string{signPath, `            path "secret/{{identity.entity.id}}/*" {`}},
		{"", "template-wildcard", []string{"          maxTTL: 24h", "          allowGlobDomains: true\n          extra: {allowed_domains_template: true}"}, "- name: example-dot-local", []string{"          maxTTL: 24h", "          extra: {allowed_domains_template: true}"}},
		{"", "api-server-name", []string{service, "    address: https://vault.example.com:8200\n", "chart: vault\n", "chart: other\n"}, "kubernetesHost: https://kubernetes.default", []string{service, "    address: https://vault.example.com:8200\n"}},
		{"", "audience", byReference("vault://other"), "- name: cert-manager\n          serviceAccounts", byReference("vault://vault-issuer")},
		{"", "issuer-path", []string{"path: pki_int/sign/example-dot-local", "path: \"${steps.intermediate.mount}/sign/example\""}, "path: \"${steps.intermediate.mount}/sign/example\"", []string{"path: pki_int/sign/example-dot-local", "path: \"${steps.intermediate.mount}/sign/${steps.intermediate.roles[0]}\""}},
		{"", "local-reviewer", outside(), hostLine, outside(hostLine, ownReview)},
		{"", "reviewer-permission", outside(), "- name: cert-manager\n          serviceAccounts", outside(issuerLine, binding+issuerLine)},
		{"", "reviewer-permission", outside(issuerLine, strings.Replace(binding, "name: cert-manager, namespace", "name: other, namespace", 1)+issuerLine), "- name: cert-manager\n          serviceAccounts", []string{issuerLine, issuerLine}},
		{"", "reviewer-audience", outside(), accountLine, outside(accountLine, accountLine+"                    audiences: [https://kubernetes.default.svc]\n")},
		{"", "reviewer-audience", []string{hostLine, ownReview}, accountLine, nil},
		{"", "reviewer-audience", both(login), "login: {role: plan", both(forServer(login))},
		{"", "reviewer-audience", both(forServer(login), curled, denying("")), "login: {role: cert-manager", both(forServer(login), curled, forServer(denying("")))},
		{"", "denied-role", []string{curled, strings.Replace(denying(""), "role: cert-manager", "role: other", 1)}, "login: {role: other", []string{curled, strings.NewReplacer("role: cert-manager", "mount: elsewhere, role: other").Replace(denying(""))}},
		{"", "denied-role", []string{curled, strings.Replace(denying(""), "example-dot", "other-dot", 1)}, "sign/other-dot-local", []string{curled, denying("")}},
		{"", "login-service-account", []string{curled, strings.Replace(denying(""), "name: cert-manager}", "name: other}", 1)}, "name: other}", []string{curled, denying("")}},
		{"", "name-not-allowed", []string{curled, strings.Replace(denying(""), "name: hello.example.local", "name: hello.local", 1)}, "name: hello.local", []string{curled, denying("")}},
		{"", "denied-allowed", []string{curled, denying("names: [a.example.local]")}, "names: [a.example.local]", []string{curled, denying("names: [a.example.local, b.example.org]")}},
		{"", "denied-allowed", []string{curled, strings.Replace(denying(""), "maxTTL: 24h", "maxTTL: 23h", 1)}, "maxTTL: 23h", []string{curled, denying("")}},
		{"", "denied-allowed", []string{curled, denying(""), "          namespaces: [cert-manager]", "          namespaces: ['*']"}, "login: {role: cert-manager", []string{curled, denying("")}},
		{"", "issuer-namespace", []string{service, service + "    namespace: teams/shop\n"}, "server: http://vault.vault", []string{service, service + "    namespace: teams/shop/\n", "path: pki_int/sign/example-dot-local", "path: pki_int/sign/example-dot-local\n              namespace: teams/shop"}},
		{"", "issuer-login", []string{"mountPath: /v1/auth/kubernetes", "mountPath: /v1/auth/k8s"}, "mountPath: /v1/auth/k8s", []string{"mountPath: /v1/auth/kubernetes", "mountPath: \"${steps.auth.mountPath}\""}},
		{"", "issuer-login", []string{"mountPath: /v1/auth/kubernetes", "mountPath: kubernetes"}, "mountPath: kubernetes", []string{"                  mountPath: /v1/auth/kubernetes\n", ""}},
		{"", "issuer-login", []string{"                  role: cert-manager\n", "                  role: cert-manger\n"}, "role: cert-manger", byReference("vault://vault-issuer")},
		{"", "issuer-login", append(outside(), "                  role: cert-manager\n", "                  role: cert-manger\n"), "role: cert-manger", append(outside(), "mountPath: /v1/auth/kubernetes", "mountPath: /v1/teams/shop/auth/kubernetes")},
		{"", "issuer-login", appRole("auth/approle"), "path: auth/approle", appRole("approle")},
		{"", "issuer-trust", private(""), "server: https://vault.example.com", private("              caBundleSecretRef: {name: vault-ca, key: ca.crt}\n")},
		{"", "issuer-trust", append(private("")[2:], "server: http://vault.vault", "server: https://vault.vault"), "server: https://vault.vault", []string{"server: http://vault.vault", "server: https://vault.vault"}},
		{"", "audience", []string{authRole, authRole + "          audience: https://other\n"}, "- name: cert-manager\n          serviceAccounts", []string{authRole, authRole + "          audience: https://other\n", accountLine, accountLine + "                    audiences: [https://other]\n"}},
		{"", "service-account", inNamespace("shop"), "- name: cert-manager\n          serviceAccounts", inNamespace("cert-manager")},
		{"", "unchecked-reference", []string{"                  role: cert-manager", "                  role: ${steps.init.keys}"}, "role: ${steps.init.keys}", byReference("vault://vault-issuer")},
		{"", "any-account", []string{"          serviceAccounts: [cert-manager]", "          serviceAccounts: ['*']"}, "serviceAccounts: ['*']", nil},
		{"", "any-account", []string{"          namespaces: [cert-manager]", "          namespaces: ['*']"}, "namespaces: ['*']", nil},
		{"", "login-no-secret", []string{token, "    login: {method: approle, roleID: ci, secretID: \"\"}\n"}, "login: {method: approle", []string{token, "    login: {method: approle, roleID: ci, secretIDFile: /nowhere/secret}\n"}},
		{"", "login-role", logins(authRole), "login: {role: plan", logins(planRole)},
		{"", "login-audience", logins(strings.Replace(planRole, "vault://plan", "vault://other", 1)), "- name: cert-manager\n          serviceAccounts", logins(planRole)},
		{"", "login-service-account", logins(strings.Replace(planRole, "[plan], namespaces: [vault]", "[plan], namespaces: [other]", 1)), "- name: cert-manager\n          serviceAccounts", logins(planRole)},
		{"", "login-leases", logins(strings.Replace(planRole, ", tokenType: batch", "", 1)), "- name: cert-manager\n          serviceAccounts", logins(planRole)},
		{"", "vault-restart-sealed", restarts("{enabled: true}"), "onDelete: restart", restarts("{enabled: false}")},
		{"", "vault-restart-sealed", restarts("{enabled: true, replicas: 2}"), "onDelete: restart", restarts("{enabled: true, replicas: 1}")},
		{"", "vault-restart-sealed", restarts("{enabled: true, raft: {config: 'storage \"raft\" {}'}}"), "onDelete: restart", restarts("{enabled: true, raft: {config: 'seal \"transit\" {}'}}")},
		{"", "one-share", []string{"      threshold: 3", "      threshold: 1"}, "threshold: 1", nil},
		{"", "root-token", nil, "- id: init", logins(planRole)},
		{"", "kept-token", []string{token, "    tokenFile: /nowhere/token\n"}, "tokenFile: /nowhere", []string{token, "    tokenFile: /nowhere/token\n" + strings.TrimPrefix(login, token)}},
		{"", "exposed-credential", []string{token, "    tokenFile: /etc/hosts\n"}, "tokenFile: /etc/hosts", []string{token, "    tokenFile: /nowhere/token\n"}},
		{"", "exposed-credential", []string{token, "    login: {method: jwt, role: ci, jwtFile: /etc/hosts}\n"}, "jwtFile: /etc/hosts", nil},
		{"", "plaintext-token", []string{service, "    address: http://vault.example.com:8200\n"}, "address: http://vault", []string{service, "    address: https://vault.example.com:8200\n"}},
		{"", "plaintext-listener", nil, "server: http://vault.vault", []string{"server: http://vault.vault", "server: https://vault.vault", "          dev: {enabled: false}", "          dev: {enabled: false}\n        global: {tlsDisable: false}",
			"        gateway:\n", "        service: {http: {enabled: false}}\n        gateway:\n"}},
		{"", "plaintext-listener", nil, "chart: vault", []string{"server: http://vault.vault", "server: https://vault.vault", "          dev: {enabled: false}", "          dev: {enabled: false}\n        global: {tlsDisable: false}",
			"              - name: hello\n", "              - name: hello\n                plugins: [{name: redirect, enable: true, config: {http_to_https: true}}]\n"}},
		{"", "no-proof", []string{"    uses: curlTLS\n    needs: [route, tls]\n    with:\n      url: https://hello.example.local\n      service: {namespace: ingress-apisix, name: apisix-gateway, port: 443}\n      insecure: true\n", "    uses: vaultUnseal\n    with: {keys: {file: vault-cluster-keys.json}}\n"}, "- id: curl", nil},
		{"", "rotation-unproved", nil, "name: hello-cert", []string{curled, proved}},
		{"", "rotation-unproved", []string{curled, anotherProved}, "name: hello-cert", []string{curled, anotherProved, "            secretName: hello-tls", "            secretName: hello-tls\n            usages: [client auth]"}},
		{"", "clients-undenied", []string{curled, presented}, "client: {secret", []string{curled, presented + refused}},
		{"", "clients-undenied", []string{asking, mutual}, "caSecret: {name: clients", []string{asking, mutual, curled, presented + refused}},
		{"", "skipped-mtls", []string{asking, mutual + "              skip_mtls_uri_regex: [/health]\n"}, "skip_mtls_uri_regex", []string{asking, mutual}},
		{"", "unknown-field", []string{"            replicas: 1", "            replicas: 1\n            inventedOfTomorrow: 1"}, "inventedOfTomorrow", nil},
		{"", "template-text", []string{"url: https://hello.example.local", "url: https://hello.{{ .Values.domain }}"}, "{{ .Values.domain }}", nil},
		{"", "template-text", []string{"            name: vault-issuer\n          spec", "            name: '{{ issuer }}'\n          spec"}, "{{ issuer }}", nil},
		{"", "template-text", []string{"path \"pki_int/sign/example-dot-local\"", "path \"{{ mount }}/sign/x\""}, "rules: |", []string{"path \"pki_int/sign/example-dot-local\"", "path \"pki_int/sign/{{identity.entity.name}}\""}},
		{"", "template-text", []string{"url: https://hello.example.local", "url: '{% raw %}'"}, "{% raw %}", []string{"          dev: {enabled: false}", "          dev: {enabled: false}\n        global: {tls: \"{{ .Release.Name }}\"}"}},
		{"", "unused-variable", []string{"metadata: {name: guide}", "metadata: {name: guide}\nvars: {domain: example.local}"}, "vars: {domain", []string{"metadata: {name: guide}", "metadata: {name: guide}\nvars: {domain: example.local}", "url: https://hello.example.local", "url: https://hello.${vars.domain}"}},
		{"", "ignore-reason", []string{"      shares: 5", "      shares: 5 # ztplan:ignore root-token-kept"}, "# ztplan:ignore", []string{"      shares: 5", "      shares: 5 # ztplan:ignore root-token-kept it is a lab"}},
		{"", "ignore-unknown", []string{"      shares: 5", "      shares: 5 # ztplan:ignore root-token-kep it is a lab"}, "# ztplan:ignore", nil},
		{"", "for-each-empty", []string{"  - id: unseal\n", "  - id: unseal\n    forEach: []\n"}, "forEach: []", nil},
		{"", "ignore-unused", []string{"      shares: 5", "      shares: 5 # ztplan:ignore plain-keys it is a lab"}, "# ztplan:ignore", []string{"      keys: {file: vault-cluster-keys.json}\n\n  - id: unseal", "      keys: {file: vault-cluster-keys.json} # ztplan:ignore plain-keys it is a lab\n\n  - id: unseal"}},
	}
}

func TestRules(t *testing.T) {
	for _, tt := range ruleCases() {
		t.Run(tt.rule+" "+tt.line, tt.check)
	}
}

// Every rule has a text for people, a source, and a test that it fires and that it does
// not.
func TestEveryRule(t *testing.T) {
	tested := map[string]bool{"invalid-plan": true} // by the script lint.txtar
	for _, c := range append(guideCases(), ruleCases()...) {
		tested[c.rule] = true
	}
	seen := map[string]bool{}
	for _, r := range rule.All() {
		if seen[r.ID] {
			t.Errorf("%s is there twice", r.ID)
		}
		seen[r.ID] = true
		if !tested[r.ID] {
			t.Errorf("%s has no test", r.ID)
		}
		if r.Title == "" || r.Why == "" || r.Fix == "" || r.Severity == "" || len(r.Sources) == 0 {
			t.Errorf("%s is not complete: %+v", r.ID, r)
		}
		for _, s := range r.Sources {
			if u, err := url.Parse(s); err != nil || u.Scheme != "https" || u.Host == "" {
				t.Errorf("%s: %s is no source", r.ID, s)
			}
		}
		if !strings.HasSuffix(r.Title, ".") || strings.HasSuffix(r.Why, ".") || strings.HasSuffix(r.Fix, ".") {
			t.Errorf("%s: the title is a sentence, and the others go on in one", r.ID)
		}
	}
	for id := range tested {
		if !seen[id] {
			t.Errorf("a test is about %s, which is no rule", id)
		}
	}
}
