// Package rule holds the rules of lint: their names, reasons, sources and remedies. The
// checks that find them are in package lint.
package rule

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/ztplan/ztplan/engine/plan/source"
)

// A Severity is the weight of a finding.
type Severity string

// The severities. An error is something that will fail or is unsafe as it
// stands; a warning is something to decide knowingly; a note is something to know.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// Rank orders severities, the heaviest first.
func (s Severity) Rank() int { return slices.Index([]Severity{Error, Warning, Note}, s) }

// A Rule is a reason for findings. `ztplan lint --explain` prints it.
type Rule struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"` // of most of its findings
	Title    string   `json:"title"`
	Why      string   `json:"why"`
	Sources  []string `json:"sources"` // addresses of documentation, standards, threads
	Fix      string   `json:"fix"`
}

// All returns the rules, by subject.
func All() []Rule {
	return slices.Concat(gatewayRules(), chartRules(), certManagerRules(), certificateRules(), authorityRules(),
		policyRules(), loginRules(), vaultRules(), proofRules(), planRules())
}

// Find returns the rule with an id.
func Find(id string) (Rule, bool) {
	all := All()
	i := slices.IndexFunc(all, func(r Rule) bool { return r.ID == id })
	if i < 0 {
		return Rule{}, false
	}
	return all[i], true
}

// Text returns the rule for people.
func (r Rule) Text() string {
	return fmt.Sprintf("%s (%s)\n\n%s\n\nwhy:     %s\nto do:   %s\nsource:  %s\nignore:  # ztplan:ignore %s REASON\n",
		r.ID, r.Severity, r.Title, r.Why, r.Fix, strings.Join(r.Sources, "\n         "), r.ID)
}

// WriteList writes a line for each rule.
func WriteList(w io.Writer, rules []Rule) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rules {
		fmt.Fprintf(table, "%s\t%s\t%s\n", r.ID, r.Severity, r.Title)
	}
	return table.Flush()
}

// Suggest returns `did you mean "x"?` for the rule whose id is closest, or "".
func Suggest(id string) string {
	var ids []string
	for _, r := range All() {
		ids = append(ids, r.ID)
	}
	return source.DidYouMean(id, ids)
}

const (
	gh          = "https://github.com/"
	certManager = "https://cert-manager.io/docs/"
	vaultDocs   = "https://developer.hashicorp.com/vault/docs/"
	vaultAPI    = "https://developer.hashicorp.com/vault/api-docs/"
	rfc5280     = "https://www.rfc-editor.org/rfc/rfc5280#section-"
)

func gatewayRules() []Rule {
	return []Rule{
		{"gateway-never-rotates", Error, "The gateway keeps the old certificate after every rotation.",
			"the ingress controllers 2.0.0-rc1 to rc5 never push a changed Secret",
			[]string{gh + "apache/apisix-ingress-controller/issues/2673", gh + "apache/apisix/issues/12790"},
			"use apisix 2.12.5 or newer"},
		{"gateway-event-loss", Warning, "One worker of the gateway can keep the old certificate for good.",
			"APISIX 3.14 to 3.17 can lose an event of etcd, in one worker and without a message",
			[]string{gh + "apache/apisix/issues/13067", gh + "apache/apisix/pull/13721"},
			"set image.tag to 3.18.0 or newer, and prove more than one rotation"},
		{"gateway-proxy", Error, "Nothing is ever pushed to the gateway.",
			"without a GatewayProxy the IngressClass has no parameters: the controller syncs nothing, and every status still says Accepted",
			[]string{gh + "apache/apisix-ingress-controller/issues/2654", gh + "apache/apisix-ingress-controller/issues/2591"},
			"set ingress-controller.gatewayProxy.createDefault: true"},
		{"admin-key", Warning, "The key of the gateway's Admin API is the published default.",
			"every copy of the chart has it, and the Admin API accepts every address in the cluster",
			[]string{gh + "apache/apisix-helm-chart/blob/master/charts/apisix/values.yaml", "https://apisix.apache.org/docs/apisix/admin-api/"},
			"set apisix.admin.credentials.admin and the same key in ingress-controller.gatewayProxy.provider.controlPlane.auth.adminKey"},
		{"admin-key-mismatch", Error, "The ingress controller has another key than the Admin API.",
			"the Admin API answers 401, failed to check token, and nothing is pushed",
			[]string{gh + "apache/apisix-helm-chart/issues/598"},
			"give both the same key"},
		{"host-conflict", Error, "Two objects of one gateway name the same host with different Secrets.",
			"two ApisixTls are both Accepted when the controller's webhook is off or does not answer; APISIX then serves the one that it inserted first, and after a restart the one with the lowest key; of two Ingresses the controller chooses one, and two listeners of a Gateway for one port and host are in conflict",
			[]string{gh + "apache/apisix/blob/master/apisix/ssl/router/radixtree_sni.lua", "https://gateway-api.sigs.k8s.io/reference/spec/#listener"},
			"let one object name the host, or give both the same Secret; an exact name beside a wildcard is no conflict, the exact one wins"},
		{"reference-grant", Warning, "A listener of a Gateway takes a Secret of another namespace, and nothing in the plan allows it.",
			"without a ReferenceGrant in the namespace of the Secret the listener has ResolvedRefs False, and shows no certificate or another one; the Gateway itself may be Programmed all the same",
			[]string{"https://gateway-api.sigs.k8s.io/api-types/referencegrant/", "https://gateway-api.sigs.k8s.io/guides/tls/"},
			"add a ReferenceGrant there, from the namespace of the Gateway to the Secret"},
		{"secret-unmade", Warning, "A gateway takes a Secret that nothing in the plan makes.",
			"the plan makes the certificates of that namespace, and not this one: a misspelt name leaves the listener or the host without a certificate, or with another one",
			[]string{"https://gateway-api.sigs.k8s.io/guides/tls/", "https://kubernetes.io/docs/concepts/services-networking/ingress/#tls"},
			"name the secretName of the Certificate, or ignore the rule if another party makes the Secret"},
	}
}

func chartRules() []Rule {
	return []Rule{
		{"unknown-value", Warning, "The chart does not know a value of the plan.",
			"Helm ignores it without a word, so that the plan asks for something that it does not get",
			[]string{"https://helm.sh/docs/chart_template_guide/values_files/", gh + "apache/apisix-helm-chart/blob/master/charts/apisix/values.yaml"},
			"correct or remove it; strict: true makes the run refuse it"},
		{"unused-value", Warning, "A value of the plan has a default in the chart, and no template reads it.",
			"it has no effect, though the chart's values.yaml has it",
			[]string{"https://helm.sh/docs/chart_template_guide/values_files/", gh + "apache/apisix-helm-chart/blob/master/charts/apisix-ingress-controller/templates/gatewayproxy.yaml"},
			"remove it"},
		{"floating-image", Warning, "An image is named by a tag that moves.",
			"two runs of one plan install different software, and a restart can bring another version",
			[]string{"https://kubernetes.io/docs/concepts/containers/images/#image-names", gh + "bitnami/containers/issues/83267"},
			"name a version, or better a digest: image: nginx@sha256:…"},
		{"helm-support", Note, "The Helm that installs the charts gets no fixes any more.",
			"Helm 3 has had no fixes of faults since 2026-07-08 and of security since 2026-11-11",
			[]string{gh + "helm/helm/blob/main/README.md"},
			"update ztplan when there is one with Helm 4; until then name charts by exact versions from repositories that you trust"},
	}
}

func certManagerRules() []Rule {
	return []Rule{
		{"cert-manager-old", Warning, "cert-manager takes a short failure of Vault for a final one.",
			"before v1.16 a login that Vault refuses for a moment fails the request, which then backs off for an hour",
			[]string{gh + "cert-manager/cert-manager/issues/7097"},
			"use v1.20 or newer"},
		{"token-permission", Error, "Nothing lets cert-manager request tokens of the issuer's ServiceAccount.",
			"the issuer is never ready: the chart has had a Role for that from v1.16 to v1.20 only, and only for cert-manager's own ServiceAccount",
			[]string{certManager + "releases/release-notes/release-notes-1.21/", gh + "cert-manager/cert-manager/pull/7213", certManager + "configuration/vault/"},
			"set tokenRequest in the k8sAuth step"},
		{"token-permission-upgrade", Note, "cert-manager may request tokens by a Role of its chart alone.",
			"the chart drops that Role in v1.21: the issuer fails after the upgrade",
			[]string{certManager + "releases/release-notes/release-notes-1.21/", certManager + "configuration/vault/"},
			"give the issuer a ServiceAccount of its own, and set tokenRequest in the k8sAuth step"},
		{"issuer-path", Error, "An issuer signs with a role that the plan does not make.",
			"every signing is refused", []string{certManager + "configuration/vault/"},
			"name a mount and a role that a pkiIntermediate step makes"},
		{"issuer-login", Error, "An issuer logs in at a mount or with a role that the plan does not make.",
			"the issuer is never ready: Vault answers 403 or 404 to the login, and cert-manager signs nothing", []string{certManager + "configuration/vault/", vaultAPI + "auth/kubernetes#login"},
			"name the mount of a k8sAuth step, /v1/auth/MOUNT, and one of its roles: ${steps.ID.mountPath} and ${steps.ID.role}"},
		{"issuer-trust", Error, "An issuer does not name the authority of Vault's own certificate.",
			"without caBundle and caBundleSecretRef cert-manager trusts the authorities of its image alone: x509, certificate signed by unknown authority", []string{certManager + "configuration/vault/"},
			"set spec.vault.caBundle, or caBundleSecretRef with a Secret beside the issuer; leave it out of a Vault with a public certificate, and from connections.vault"},
		{"issuer-namespace", Error, "An issuer signs in another namespace of Vault than the plan makes its role in.",
			"Vault finds no role there: every signing is refused", []string{vaultDocs + "enterprise/namespaces", certManager + "configuration/vault/"},
			"set spec.vault.namespace to the namespace of connections.vault"},
		{"audience", Error, "The role does not want the audience that cert-manager's token has.",
			"the token is made for vault:// and the name of the issuer; Vault answers 403, invalid audience, and a role without an audience admits tokens that were made for others",
			[]string{gh + "cert-manager/cert-manager/issues/6150", certManager + "configuration/vault/", vaultDocs + "auth/kubernetes"},
			"set audience to vault:// and the name of the ClusterIssuer, or the namespace and the name of the Issuer"},
		{"service-account", Error, "The role does not admit the ServiceAccount of the issuer.",
			"Vault answers 403, service account name not authorized", []string{vaultDocs + "auth/kubernetes"},
			"add it to serviceAccounts"},
		{"token-lifetime", Warning, "The tokens that cert-manager gets from Vault live long.",
			"cert-manager logs in for every signing and never revokes the token: Vault keeps a lease for each, and one that is stolen is good for as long",
			[]string{certManager + "configuration/vault/", gh + "cert-manager/cert-manager/blob/master/internal/vault/vault.go"},
			"set tokenTTL: 1m"},
	}
}

func certificateRules() []Rule {
	return []Rule{
		{"certificate-duration", Error, "A Certificate is shorter than cert-manager allows.",
			"cert-manager's webhook refuses less than 1h", []string{certManager + "reference/api-docs/#cert-manager.io/v1.CertificateSpec"},
			"lengthen duration"},
		{"certificate-renewal", Error, "The time of a renewal is one that cert-manager refuses.",
			"its webhook wants renewBefore of at least 5m and less than duration, or renewBeforePercentage from 1 to 99 and since v1.16, and not both",
			[]string{certManager + "reference/api-docs/#cert-manager.io/v1.CertificateSpec", certManager + "releases/release-notes/release-notes-1.16/"},
			"correct renewBefore or renewBeforePercentage"},
		{"duration-format", Error, "A duration has a unit that cert-manager cannot read.",
			"cert-manager reads durations as Go does, with the units h, m and s; the API server refuses others",
			[]string{"https://pkg.go.dev/time#ParseDuration", certManager + "reference/api-docs/#cert-manager.io/v1.CertificateSpec"},
			"write hours, such as 2160h for 90 days"},
		{"renewal-loop", Error, "A certificate is renewed as soon as it is issued.",
			"Vault shortens it to the role's maximum without saying so to cert-manager, which renews it at once, or at a time of its own",
			[]string{gh + "cert-manager/cert-manager/issues/4423"},
			"raise the role's maxTTL, or give a renewBefore that is shorter than it"},
		{"renewal-backoff", Error, "One failed signing outlives the certificate.",
			"after a failed signing cert-manager waits an hour before it tries again, and twice as long each further time; v1.20 made that configurable",
			[]string{gh + "cert-manager/cert-manager/issues/6201", gh + "cert-manager/cert-manager/issues/7097"},
			"lengthen duration and renewBefore"},
		{"lifetime-order", Error, "Something outlives the authority or the limit above it.",
			"a certificate must not be valid after its issuer; Vault shortens it silently or refuses, and cert-manager does not see the warning",
			[]string{rfc5280 + "6.1", vaultDocs + "secrets/pki/considerations"},
			"shorten it, or raise the limit"},
		{"secret-conflict", Error, "Two Certificates have one Secret.",
			"both write it: cert-manager holds one of them back, or they issue over each other again and again",
			[]string{gh + "cert-manager/cert-manager/issues/6992"},
			"give each Certificate a Secret of its own"},
		{"rotation-policy", Warning, "Whether a rotation changes the key is left to the version of cert-manager.",
			"the default is Never before cert-manager v1.18 and Always since",
			[]string{certManager + "releases/release-notes/release-notes-1.18/"},
			"set privateKey.rotationPolicy: Always"},
		{"name-not-allowed", Error, "The role does not allow a name of a Certificate.",
			"Vault answers 400, not allowed by this role, and cert-manager waits an hour before it tries again",
			[]string{gh + "hashicorp/vault/blob/main/builtin/logical/pki/issuing/issue_common.go", gh + "cert-manager/website/issues/955"},
			"add its domain to the role's allowedDomains, or set what allows names below, bare, with * or as a pattern"},
		{"rsa-bits", Error, "An RSA key is longer than 8192 bits.",
			"cert-manager and Vault refuse it, and so does every TLS client and server in Go, which takes seconds for such a key otherwise (CVE-2023-29409)",
			[]string{"https://pkg.go.dev/vuln/GO-2023-1987", vaultAPI + "secret/pki"},
			"use 2048 to 4096 bits, or an EC key"},
	}
}

func authorityRules() []Rule {
	return []Rule{
		{"issuer-name", Warning, "An authority has its name from the plan's.",
			"the name is its identity: under another name of the plan the step makes a second root or intermediate, with a key of its own, beside the one that is trusted",
			[]string{vaultAPI + "secret/pki#generate-root", vaultDocs + "secrets/pki/rotation-primitives"},
			"set issuerName"},
		{"stored-certificates", Warning, "Vault stores every one of many short-lived certificates.",
			"it keeps them after their end, in storage and in memory, until they are tidied",
			[]string{vaultDocs + "secrets/pki/considerations", vaultAPI + "secret/pki#configure-automatic-tidy"},
			"set noStore: true, since what lives so short need not be revoked by its serial number; or enable auto-tidy of the mount (MOUNT/config/auto-tidy)"},
		{"role-any-name", Warning, "A role signs for names that are not yours.",
			"a holder of such a token can pass for any server; a pattern that begins with * and no dot also fits names of other domains",
			[]string{vaultAPI + "secret/pki#create-update-role"},
			"name domains in allowedDomains, and set allowSubdomains"},
		{"unbounded-date", Warning, "A certificate of any lifetime can be had.",
			"Vault before 1.19.19, 1.20.13, 1.21.8 and 2.0.3 does not compare not_after with max_ttl",
			[]string{gh + "hashicorp/vault/issues/29928"},
			`deny the parameter in the policy: denied_parameters = { "not_after" = [] }; or use Vault 1.19.19, 1.20.13, 1.21.8, 2.0.3 or newer`},
	}
}

func policyRules() []Rule {
	return []Rule{
		{"policy-missing", Warning, "A role gives a policy that no step makes.",
			"Vault takes names of policies that do not exist, and the token may then do nothing",
			[]string{vaultDocs + "concepts/policies"},
			"add it to policies of a k8sAuth step; leave it if it is made elsewhere"},
		{"policy-duplicate", Error, "A policy has an attribute twice.",
			"up to Vault 1.20 the last one counts in silence; since 1.21 Vault refuses the policy unless its environment allows it, and since 2.1 always",
			[]string{gh + "hashicorp/vault/pull/31215", gh + "hashicorp/vault/pull/30386"},
			"merge the two"},
		{"policy-wildcard", Warning, "A policy lets its holder sign with every role of a mount.",
			"roles that are made later are in it as well, whatever names they allow",
			[]string{vaultDocs + "concepts/policies#policy-syntax"},
			"name the role in the path: MOUNT/sign/ROLE"},
		{"template-wildcard", Warning, "A template is filled with text that others choose.",
			"a name or metadata with * or + opens what belongs to others; newer releases of Vault deny all of the path instead",
			[]string{gh + "hashicorp/web-unified-docs/pull/2612", vaultDocs + "concepts/policies#templated-policies"},
			"use identity.entity.id or another value that Vault chooses, and end the segment after it"},
	}
}

func loginRules() []Rule {
	return []Rule{
		{"reviewer-token", Error, "The token that reviews logins dies with the pod that it is from.",
			"after a restart of Vault every login is refused with 403 and nothing is renewed; without it and kubernetes_ca_cert Vault reads the fresh files of its own pod",
			[]string{gh + "hashicorp/vault/issues/14072", certManager + "configuration/vault/", vaultDocs + "auth/kubernetes"},
			"leave token_reviewer_jwt and kubernetes_ca_cert out"},
		{"api-server-name", Warning, "A Vault that is reached by an address asks the API server by a name that pods resolve.",
			"outside of the cluster the name means nothing: every login is refused with 403, and Vault's log alone says why",
			[]string{vaultDocs + "auth/kubernetes#how-to-work-with-short-lived-kubernetes-tokens", gh + "cert-manager/cert-manager/issues/6150"},
			"set config.kubernetesHost, kubernetesCACert and disableLocalCAJWT (ztplan explain k8sAuth); ignore it for a Vault inside that has an address"},
		{"local-reviewer", Warning, "A Vault that is reached by an address looks for the token of its own pod.",
			"a Vault outside of the cluster has no pod there: without kubernetesCACert the configuration is refused, and in a pod of another cluster it would review the logins with the token of that cluster",
			[]string{vaultDocs + "auth/kubernetes#how-to-work-with-short-lived-kubernetes-tokens", vaultAPI + "auth/kubernetes#configure-method"},
			"set config.kubernetesCACert and config.disableLocalCAJWT: true; ignore it for a Vault inside that has an address"},
		{"reviewer-permission", Warning, "The ServiceAccount that logs in to a Vault outside of the cluster may not review its token.",
			"there is no other reviewer, so Vault asks the API server with the token that logs in: without system:auth-delegator the login is refused with 403, permission denied",
			[]string{vaultDocs + "auth/kubernetes#use-the-vault-client-s-jwt-as-the-reviewer-jwt", gh + "cert-manager/cert-manager/issues/6150"},
			"apply a ClusterRoleBinding to ClusterRole system:auth-delegator; ignore it if somebody else has made it"},
		{"reviewer-audience", Warning, "The token that an issuer, the plan or a proof brings to a Vault outside of the cluster is not for the API server.",
			"Vault asks the API server with that token, which takes only tokens of its own audience: the login is refused with 403, permission denied",
			[]string{gh + "cert-manager/cert-manager/issues/6274", gh + "cert-manager/cert-manager/issues/6150", certManager + "configuration/vault/"},
			"set serviceAccountRef.audiences to the audience of the API server (its --api-audiences, by default its issuer, such as https://kubernetes.default.svc.cluster.local)"},
		{"any-account", Warning, "A login admits every ServiceAccount, or those of every namespace.",
			"anyone who can make a Pod or a ServiceAccount somewhere in the cluster can log in",
			[]string{vaultAPI + "auth/kubernetes#create-update-role"},
			"name the ServiceAccounts and their namespaces"},
		{"login-audience", Error, "The role does not want the audience of the plan's login.",
			"Vault answers 403, invalid audience", []string{vaultDocs + "auth/kubernetes"}, "set the audience of connections.vault.login"},
		{"login-service-account", Error, "The role does not admit the ServiceAccount of the plan's login.",
			"Vault answers 403, service account name not authorized", []string{vaultDocs + "auth/kubernetes"},
			"add it to serviceAccounts and namespaces"},
		{"login-leases", Warning, "The plan's login gets tokens that Vault stores.",
			"every look, a dry run too, would make a lease and revoke it", []string{vaultDocs + "concepts/tokens#token-types"},
			"set tokenType: batch"},
		{"login-no-secret", Note, "An AppRole login brings no secret.",
			"the roleID, which is no secret, lets everyone in who knows it if the role has bind_secret_id=false; else Vault answers 400, missing secret_id",
			[]string{vaultDocs + "auth/approle", vaultAPI + "auth/approle#create-update-approle"},
			"give secretID or secretIDFile; ignore it if the value comes from the environment of the run, or if the role is bound to addresses instead"},
		{"login-role", Warning, "No step makes the role that the plan logs in to.",
			"until it is made, everything is done with the token that bootstraps", []string{vaultDocs + "auth/kubernetes"},
			"add the role to a k8sAuth step, or make it elsewhere before the root token is revoked"},
	}
}

func vaultRules() []Rule {
	return []Rule{
		{"plain-keys", Warning, "All shares of Vault's key are in one place, in the clear.",
			"a reader of them owns the CA", []string{vaultDocs + "concepts/seal", vaultDocs + "concepts/pgp-gpg-keybase"},
			"name keys.custodians, who get one encrypted share each, or use auto-unseal"},
		{"one-share", Warning, "One share alone opens Vault.",
			"that is a password with another name: one person, or one leak, is enough", []string{vaultDocs + "concepts/seal#shamir-seals"},
			"set shares: 5 and threshold: 3"},
		{"root-token", Warning, "The root token lets in the steps of every run.",
			"it may do everything and does not expire", []string{vaultDocs + "concepts/tokens#root-tokens"},
			"let a k8sAuth step make a role for the plan, and set connections.vault.login"},
		{"root-token-kept", Warning, "The root token is never revoked.",
			"its reader owns Vault; holders of the shares can make another when one is needed", []string{vaultDocs + "concepts/tokens#root-tokens"},
			"set rootToken: revoke, which needs connections.vault.login"},
		{"no-unseal", Warning, "Nothing unseals Vault again.",
			"a restart seals it: certificates are not renewed any more, and end", []string{vaultDocs + "concepts/seal", gh + "hashicorp/vault-helm/issues/17"},
			"add a vaultUnseal step with the same keys, or use auto-unseal"},
		{"vault-waits-sealed", Error, "The plan waits for a Vault that only a later step unseals.",
			"with RollingUpdate the release is ready when the pod is, and Vault's pod is ready when it is unsealed; with the chart's OnDelete it need only run",
			[]string{gh + "hashicorp/vault-helm/blob/main/values.yaml", gh + "helm/helm/blob/main/pkg/kube/ready.go"},
			"leave server.updateStrategyType at OnDelete, with onDelete: restart if pods shall follow an upgrade; or set wait: false"},
		{"vault-restart-sealed", Error, "An upgrade of Vault waits for a pod that only a later step unseals.",
			"helmInstall replaces one pod after another, each when all others are ready; with key shares the first comes back sealed, is never ready, and every run fails there before it reaches the step that unseals",
			[]string{vaultDocs + "platform/k8s/helm/run#upgrading-vault-on-kubernetes", vaultDocs + "concepts/seal", gh + "hashicorp/vault-helm/blob/main/values.yaml"},
			"set onDelete: restart in the vaultUnseal step, which unseals each pod before the next, and leave that of helmInstall at keep; or use auto-unseal"},
		{"kept-token", Warning, "A token that somebody keeps lets in the steps of every run.",
			"it is good until it ends or is revoked, for whoever reads the file or the variable that it is kept in",
			[]string{vaultDocs + "concepts/tokens", vaultDocs + "auth"},
			"set connections.vault.login: a CI job logs in with method: jwt and its own token, a cluster with a ServiceAccount, others with approle or cert"},
		{"exposed-credential", Error, "Others can read the file of a credential.",
			"every user of the machine can use it; the run refuses such a file, except one with a token of some minutes",
			[]string{vaultDocs + "concepts/production-hardening"},
			"chmod 600 the file, and make a new secret: the old one may have reached somebody"},
		{"plaintext-token", Error, "A token of Vault crosses the network unencrypted.",
			"everyone on the way can read it and use it", []string{vaultDocs + "concepts/production-hardening", "https://datatracker.ietf.org/doc/html/rfc8446#section-1"},
			"give an https:// address, with caFile, caBundle or trustFrom if its authority is your own"},
		{"plaintext-listener", Warning, "A server answers without TLS.",
			"tokens, keys and requests can be read and changed on the way", []string{vaultDocs + "concepts/production-hardening", "https://datatracker.ietf.org/doc/html/rfc8446#section-1"},
			"serve TLS, or leave the port out"},
	}
}

func proofRules() []Rule {
	return []Rule{
		{"no-proof", Warning, "The plan proves nothing.",
			"Ready and Accepted conditions do not show what is on the wire",
			[]string{gh + "apache/apisix-ingress-controller/issues/2654"},
			"add assertRotation and curlTLS steps"},
		{"rotation-unproved", Warning, "Nothing proves that a certificate is replaced.",
			"one request shows one certificate: that the next one is issued, reaches the gateway and breaks no connection shows in a rotation only",
			[]string{gh + "apache/apisix-ingress-controller/issues/2673", gh + "apache/apisix/issues/13067"},
			"add an assertRotation step for it"},
		{"stale-ready", Warning, "The plan takes the Ready condition of an issuer as proof.",
			"cert-manager checks the login once and then every ten hours, and never signs: the condition stays True when Vault is sealed or the policy is gone",
			[]string{gh + "cert-manager/cert-manager/blob/master/internal/vault/vault.go", certManager + "configuration/vault/"},
			"add an assertRotation step for a Certificate of the issuer"},
		{"early-accepted", Warning, "The plan takes an Accepted or Programmed condition as proof.",
			"the controller says so before it pushes anything, and even if it has nowhere to push to",
			[]string{gh + "apache/apisix-ingress-controller/issues/2654"},
			"add a curlTLS or assertRotation step that requests one of its hosts"},
		{"clients-undenied", Warning, "Nothing proves that clients without the right certificate are refused.",
			"a server that asks for certificates and lets every client in looks to the right client like one that verifies",
			[]string{"https://www.rfc-editor.org/rfc/rfc8446#section-4.4.2.4", gh + "apache/apisix/blob/master/docs/en/latest/mtls.md"},
			"add an assertDenied step with dial.client"},
		{"denied-role", Warning, "A proof of refusals begins with a role that no step makes.",
			"the legitimate request comes first and must be granted: without the role Vault refuses it, and the step fails before it proves anything",
			[]string{vaultAPI + "auth/kubernetes#login", vaultAPI + "secret/pki#sign-certificate"},
			"name a role that the plan makes; ignore it if the role is made elsewhere"},
		{"denied-allowed", Error, "A role of the plan allows what must be refused.",
			"Vault grants the attempt, so the step fails in every run",
			[]string{vaultAPI + "secret/pki#create-update-role", vaultAPI + "auth/kubernetes#create-update-role"},
			"narrow the role, or try something that it does not allow"},
		{"skipped-mtls", Warning, "Some paths need no client certificate.",
			"APISIX completes the handshake with any client then, and decides by the path of each request; a Gateway with AllowInsecureFallback and an Ingress with another auth-tls-verify-client than on leave it to the application",
			[]string{gh + "apache/apisix/blob/master/docs/en/latest/mtls.md", gh + "apache/apisix/blob/master/apisix/init.lua", "https://gateway-api.sigs.k8s.io/geps/gep-91/"},
			"give the paths a host of their own, or deny each of them in an assertDenied step"},
		{"unverified-tls", Error, "A connection is not to be verified.",
			"any machine on the way can answer then, and the answer proves nothing", []string{"https://curl.se/docs/sslcerts.html", "https://www.rfc-editor.org/rfc/rfc9525"},
			"remove it, and name the authority that is trusted: trust of a step, caFile or caBundle of a connection"},
	}
}

func planRules() []Rule {
	const own = gh + "ztplan/ztplan#lint"
	return []Rule{
		{"invalid-plan", Error, "The plan cannot be run.", "it has a problem that validate reports", []string{own}, "see ztplan validate"},
		{"unknown-field", Warning, "A manifest has a field that this ztplan does not know.",
			"the API server refuses a field that it does not know; this ztplan knows those of Kubernetes 1.36, and a newer server may have more",
			[]string{"https://kubernetes.io/docs/reference/using-api/api-concepts/#setting-the-field-validation-level"},
			"the dry run asks the server"},
		{"template-text", Warning, "An input holds a template of Helm or Jinja.",
			"a plan is no template: the server gets {{ … }} as it stands. Values of charts, manifests but for metadata.name and metadata.namespace, bodies of requests, and Vault's own {{identity.…}} do not count: others may expand these",
			[]string{own}, "declare a variable below vars, and write ${vars.NAME}"},
		{"unchecked-reference", Note, "A check needs a value that only a run knows.",
			"an output that does not follow from the inputs of its step is not known before a run", []string{own},
			"write the value, or refer to an output that follows from inputs, such as ${steps.auth.role}"},
		{"unused-variable", Warning, "Nothing refers to a variable.", "setting it changes nothing", []string{own}, "remove it, or use it: ${vars.NAME}"},
		{"for-each-empty", Warning, "The forEach of a step is empty.", "no instance runs: nothing is set up, and nothing is proved", []string{own},
			"give it items, or leave the step out with when"},
		{"ignore-reason", Warning, "A comment ignores a rule without a reason.", "a reader cannot tell a decision from a leftover: it has no effect", []string{own},
			"write # ztplan:ignore RULE and why"},
		{"ignore-unknown", Warning, "A comment ignores a rule that there is not.", "it has no effect", []string{own}, "ztplan lint --explain all lists the rules"},
		{"ignore-unused", Warning, "A comment ignores a rule that finds nothing there.", "it would hide the next finding", []string{own}, "remove it"},
	}
}
