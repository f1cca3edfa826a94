package hints

import "slices"

// table lists the known messages, special cases first.
func table() []hint {
	return slices.Concat(certManager(), vaultLogin(), vault(), kubernetes(), apisix(), network())
}

// certManager lists messages of cert-manager and of admission webhooks.
func certManager() []hint {
	return []hint{
		{
			patterns: [][]string{{"webhook.cert-manager.io", "certificate signed by unknown authority"}},
			next:     "kubectl logs -A -l app.kubernetes.io/component=cainjector --tail=20",
			text: "cert-manager's cainjector has not written the webhook's CA bundle yet, or the bundle is left over from an " +
				"earlier installation: wait a minute; if it stays, look at the cainjector's log and restart it",
			threads: []string{"cert-manager/cert-manager#4713", "cert-manager/cert-manager#3338", "cert-manager/cert-manager#3258", "cert-manager/cert-manager#2920"},
		},
		{
			patterns: [][]string{
				{`no endpoints available for service "cert-manager-webhook"`},
				{"webhook.cert-manager.io", "connection refused"},
				{"webhook.cert-manager.io", "i/o timeout"},
				{"webhook.cert-manager.io", "context deadline exceeded"},
			},
			next: "kubectl get pods -A -o wide -l app.kubernetes.io/component=webhook",
			text: "cert-manager's webhook does not answer: its pod is not ready (image pull, scheduling), or the API server " +
				"cannot reach port 10250 of the pod (firewall, network policy)",
			threads: []string{"cert-manager/cert-manager#5483", "cert-manager/cert-manager#3445", "cert-manager/cert-manager#3133", "cert-manager/cert-manager#5667", "cert-manager/cert-manager#8331"},
		},
		{
			patterns: [][]string{{"startupapicheck"}},
			text:     "cert-manager's start-up check ran out of time on a slow cluster: set the chart value startupapicheck.timeout to 5m and the step's timeout to 10m",
			next:     "kubectl get jobs -A -l app.kubernetes.io/component=startupapicheck",
			threads:  []string{"cert-manager/cert-manager#4646", "cert-manager/cert-manager#5664", "cert-manager/cert-manager#5998"},
		},
		{
			patterns: [][]string{
				{`no matches for kind "ClusterIssuer"`}, {`no matches for kind "Issuer"`}, {`no matches for kind "Certificate"`},
				{"ensure CRDs are installed first"},
			},
			next:    "kubectl get crds",
			text:    "the CustomResourceDefinition is missing or not established yet: install the chart with crds.enabled=true and let the step need it",
			threads: []string{"cert-manager/cert-manager#3246", "cert-manager/cert-manager#5176", "cilium/cilium#42947"},
		},
		{
			patterns: [][]string{{`cannot create resource "serviceaccounts/token"`}},
			next:     "kubectl get rolebindings -A -o wide",
			text: "cert-manager may not ask for a token of this ServiceAccount: create the Role and RoleBinding for serviceaccounts/token " +
				"(step k8sAuth does); the chart has not brought them since v1.21",
			threads: []string{"cert-manager/cert-manager#7112", "cert-manager/cert-manager#6673"},
		},
		{
			patterns: [][]string{{"Backing off from issuance"}},
			next:     "kubectl get certificaterequests -A",
			text: "cert-manager waits 1h, doubling up to 32h, after a failed issuance: remove the cause, then renew by hand " +
				"(cmctl renew, or step assertRotation), which bypasses the wait",
			threads: []string{"cert-manager/cert-manager#6201", "cert-manager/cert-manager#6378"},
		},

		{
			patterns: [][]string{
				{"Failed to initialize Vault client", "dial tcp"}, {"Failed to verify Vault is initialized and unsealed", "dial tcp"},
				{"while requesting a Vault token", "dial tcp"},
			},
			text: "cert-manager does not reach Vault from its pod: compare the issuer's spec.vault.server with Vault's Service and port, and look for a network policy",
			next: "kubectl get clusterissuers,issuers -A -o wide",
		},

		// Admission webhooks of anything else.
		{
			patterns: [][]string{{"failed calling webhook"}},
			text:     "the admission webhook named here does not answer: is its pod ready, and does its configuration have the CA of the certificate that it shows?",
			next:     "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
		},
		{
			patterns: [][]string{{"admission webhook", "denied the request: panic"}},
			next:     "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
			text: "the admission webhook named here crashed over this object: that is a defect of the webhook, not of the API server; " +
				"read the log of its pod, which the webhook configuration's service leads to, and upgrade or restart it",
		},
	}
}

// vaultLogin lists messages of the login to Vault with a Kubernetes token.
func vaultLogin() []hint {
	return []hint{
		{
			patterns: [][]string{{"invalid audience (aud) claim"}},
			next:     "vault list auth/kubernetes/role",
			text:     "the Vault role's audience must be the one in cert-manager's token: vault://<clusterissuer>, or vault://<namespace>/<issuer>",
			threads:  []string{"cert-manager/cert-manager#6150", "cert-manager/cert-manager#6274"},
		},
		{
			patterns: [][]string{{"service account name not authorized"}, {"namespace not authorized"}},
			next:     "vault list auth/kubernetes/role",
			text: "the Vault role's bound_service_account_names and _namespaces must name the issuer's serviceAccountRef; " +
				"for a ClusterIssuer its namespace is cert-manager's own",
		},
		{
			patterns: [][]string{{"invalid role name"}, {"could not load backend configuration"}},
			next:     "vault list auth/kubernetes/role",
			text:     "the Kubernetes auth method's role or config is not written in Vault: run the k8sAuth step, and compare the role's name with the issuer's",
		},
		{
			patterns: [][]string{{"auth/kubernetes", "/login", "permission denied"}},
			next:     "vault read auth/kubernetes/config",
			text: "Vault could not review the token: the API server did not answer Vault just then, a token_reviewer_jwt from a pod that is gone, no system:auth-delegator for Vault's ServiceAccount " +
				"(ClusterRoleBinding vault-server-binding), or a wrong kubernetes_host or CA; `vault read auth/kubernetes/config` must say token_reviewer_jwt_set=false",
			threads: []string{"hashicorp/vault#14072", "hashicorp/vault#11953", "hashicorp/vault#13873", "cert-manager/cert-manager#5942", "cert-manager/cert-manager#2969", "hashicorp/vault-plugin-auth-kubernetes#121"},
		},
	}
}

// vault lists messages about the state of Vault and its engines.
func vault() []hint {
	return []hint{
		{
			patterns: [][]string{{"Vault is already initialized"}},
			next:     "kubectl get persistentvolumeclaims -A",
			text: "Vault was initialised before and its keys are not here: find the key file of that run; if it is lost, the data is lost " +
				"too, and only an empty storage gives a new Vault (of its chart the volume claim data-vault-0)",
			threads: []string{"hashicorp/vault-helm#17"},
		},
		{
			patterns: [][]string{{"Vault is sealed"}, {"sys/health", "Code: 503"}},
			text:     "Vault comes back sealed whenever it restarts: run the unseal step again",
			next:     "vault status",
			threads:  []string{"hashicorp/vault-helm#17", "hashicorp/vault-helm#375"},
		},
		{
			patterns: [][]string{{"Vault is not initialized"}, {"sys/health", "Code: 501"}},
			next:     "vault status",
			text:     "Vault has no keys yet: run the init step, then the unseal step",
			threads:  []string{"hashicorp/vault-helm#17", "hashicorp/vault-helm#375"},
		},
		{
			patterns: [][]string{{"no handler for route"}},
			next:     "vault secrets list",
			text:     "nothing is mounted at this path in Vault, or the issuer's mountPath lacks /v1/",
		},
		{
			patterns: [][]string{{"path is already in use at"}},
			next:     "vault secrets list",
			text:     "another engine is mounted there: choose another path, or check its type and keep it",
		},
		{
			patterns: [][]string{{"sign/", "permission denied"}},
			next:     "vault policy list",
			text:     "the policy does not cover this path: it must allow update on exactly the issuer's spec.vault.path",
			threads:  []string{"cert-manager/cert-manager#7097"},
		},
		{
			patterns: [][]string{{"not allowed by this role"}},
			text:     "the PKI role refuses a name of the request: look at its allowed_domains, allow_bare_domains, allow_subdomains and allow_wildcard_certificates",
			threads:  []string{"cert-manager/website#955", "hashicorp/vault#658"},
		},
		{
			patterns: [][]string{{"common_name field is required"}},
			text:     "the PKI role wants a common name: set require_cn=false on the role, or commonName on the Certificate",
			threads:  []string{"cert-manager/cert-manager#4965"},
		},
		{
			patterns: [][]string{{"role requires keys of type"}},
			text:     "the PKI role's key_type differs from the Certificate's privateKey.algorithm: set key_type=any on the role, or change the algorithm",
		},
		{
			patterns: [][]string{{"beyond the expiration of the CA certificate"}},
			text:     "the intermediate ends before the certificate would: renew the intermediate, or ask for a shorter duration",
			threads:  []string{"cert-manager/cert-manager#7741"},
		},
	}
}

// kubernetes lists messages of Helm and Kubernetes.
func kubernetes() []hint {
	return []hint{
		{
			patterns: [][]string{{"another operation (install/upgrade/rollback) is in progress"}},
			next:     "helm list -A --pending",
			text:     "an earlier run of Helm was killed and left the release pending: uninstall it if it was never deployed, else roll it back",
			threads:  []string{"helm/helm#8987", "helm/helm#10549"},
		},
		{
			patterns: [][]string{{"updates to statefulset spec", "forbidden"}},
			text:     "a StatefulSet's volume claims cannot be changed: delete it with --cascade=orphan and install again, or keep the old size",
			threads:  []string{"hashicorp/vault-helm#658", "hashicorp/vault-helm#122"},
		},
		{
			patterns: [][]string{{"failed post-install", "timed out"}, {"failed pre-install", "timed out"}, {"failed post-upgrade", "timed out"}, {"failed pre-upgrade", "timed out"}},
			text: "a hook of the chart, which is a Job as a rule, did not end in time: look at its pod; of cert-manager's chart it is the start-up check, " +
				"which a slow cluster gives more time with startupapicheck.timeout=5m and a longer timeout of the step",
			next:    "kubectl get jobs,pods -A",
			threads: []string{"cert-manager/cert-manager#4646", "cert-manager/cert-manager#5664", "cert-manager/cert-manager#5998"},
		},
		{
			patterns: [][]string{{"rollout status is only available for RollingUpdate"}},
			text:     "Vault's StatefulSet uses OnDelete: wait for the pod instead of the rollout",
		},
		{
			patterns: [][]string{{"bitnamilegacy", "pull"}, {"waiting for etcd"}, {"apisix-etcd", "CrashLoop"}},
			next:     "kubectl get pods,persistentvolumeclaims -A -l app.kubernetes.io/name=etcd",
			text:     "APISIX's etcd does not run: look for an unbound volume claim (default StorageClass), or an image registry that cannot be reached",
			threads:  []string{"apache/apisix-helm-chart#24", "apache/apisix-helm-chart#25", "apache/apisix-helm-chart#272"},
		},
		{
			patterns: [][]string{{"ImagePullBackOff"}, {"ErrImagePull"}, {"InvalidImageName"}, {"Back-off pulling image"}},
			text:     "an image cannot be pulled: check the name and the tag that are said here, whether the nodes reach its registry, and imagePullSecrets if it wants credentials",
			next:     "kubectl get events -A --field-selector reason=Failed",
		},
		{
			patterns: [][]string{{"CrashLoopBackOff"}},
			text:     "a container starts and ends: mend what it says in its log (kubectl logs --previous)",
			next:     "kubectl get pods -A",
		},
		{
			patterns: [][]string{{`namespaces "`, `" not found`}},
			next:     "kubectl get namespaces",
			text:     "create the namespace first: let the step need the one that makes it",
		},
	}
}

// apisix lists messages of Apache APISIX and its controller.
func apisix() []hint {
	return []hint{
		{
			patterns: [][]string{{"no GatewayProxy configs provided"}},
			next:     "kubectl get gatewayproxies -A",
			text:     "the IngressClass has no GatewayProxy, so nothing is ever pushed to the gateway: set ingress-controller.gatewayProxy.createDefault=true",
			threads:  []string{"apache/apisix-ingress-controller#2591", "apache/apisix-ingress-controller#2504", "apache/apisix-helm-chart#892"},
		},
		{
			patterns: [][]string{{"failed to check token"}, {"/apisix/admin", "401"}, {"AxiosError", "status code 401"}},
			next:     "kubectl get gatewayproxies -A",
			text:     "the ingress controller's admin key differs from the gateway's: gatewayProxy's adminKey must equal apisix.admin.credentials.admin",
			threads:  []string{"apache/apisix-helm-chart#598"},
		},
		{
			patterns: [][]string{{"invalid apisix tls secret"}, {`secret "`, "not found"}, {`secrets "`, "not found"}},
			text:     "the Secret is not there: if a Certificate makes it, that has not been issued yet, or writes to another name or namespace",
			next:     "kubectl get certificates -A",
			threads:  []string{"apache/apisix-ingress-controller#1711"},
		},
		{
			patterns: [][]string{{"has not received configuration"}},
			next:     "kubectl get pods -A -l app.kubernetes.io/name=apisix",
			text:     "a standalone APISIX is not ready before its first configuration, and gets none before it is ready: install without waiting, or use etcd",
			threads:  []string{"apache/apisix-helm-chart#847"},
		},
		{
			patterns: [][]string{
				{"failed to find any SSL certificate by SNI"}, {"failed to find SNI"},
				{"remote error: tls: internal error"}, {"remote error: tls: unrecognized name"},
				{"tls alert", "internal_error"}, {"tls alert", "unrecognized_name"},
			},
			next: "kubectl get apisixtlses -A",
			text: "the gateway has no certificate for this server name: compare it with the hosts of the ApisixTls (a wildcard covers one label only), of the Ingress's spec.tls or of the Gateway's listener, " +
				"whose condition ResolvedRefs tells of a Secret that is missing or not granted, or the object has not reached the gateway yet",
		},
	}
}

// network lists messages of the network, the most general ones.
func network() []hint {
	return []hint{
		{
			patterns: [][]string{{"dial tcp", "i/o timeout"}, {"dial tcp", "no route to host"}, {"dial tcp", "network is unreachable"}},
			text: "nothing answers at this address: look for a firewall, or a network policy inside the cluster; the address of a kind node cannot be reached " +
				"from a host with macOS or Windows: map the node port with extraPortMappings there, and give 127.0.0.1 as the address",
			next:    "kubectl get nodes -o wide",
			threads: []string{"kubernetes-sigs/kind#1890", "kubernetes-sigs/kind#808", "kubernetes-sigs/kind#449"},
		},
	}
}
