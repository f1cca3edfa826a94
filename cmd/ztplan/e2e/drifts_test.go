package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
)

// drifts is the table, by kind of step.
var drifts = []drift{
	// helmInstall
	{
		kind: "helmInstall", name: "values changed with helm upgrade", quick: true,
		make: func(w *world) {
			config := w.helm("cert-manager")
			last, err := config.Releases.Last("cert-manager")
			if err != nil {
				w.t.Fatal(err)
			}
			up := action.NewUpgrade(config)
			up.Namespace, up.ReuseValues = "cert-manager", true
			if _, err := up.RunWithContext(w.t.Context(), "cert-manager", last.Chart, fields{"webhook": fields{"timeoutSeconds": 17}}); err != nil {
				w.t.Fatal(err)
			}
		},
		found: `^cert-manager release/cert-manager/cert-manager .*timeoutSeconds`,
	},
	{
		kind: "helmInstall", name: "object of the release deleted: Service for metrics",
		make:  func(w *world) { w.remove("Service/cert-manager/cert-manager") },
		found: `^cert-manager Service/cert-manager/cert-manager`,
	},
	{
		kind: "helmInstall", name: "object of the release deleted: Service",
		make:  func(w *world) { w.remove("Service/ingress-apisix/apisix-gateway") },
		found: `^apisix Service/ingress-apisix/apisix-gateway`,
	},
	{
		kind: "helmInstall", name: "object of the release deleted: Deployment",
		make:  func(w *world) { w.remove("Deployment/cert-manager/cert-manager-webhook") },
		found: `^cert-manager Deployment/cert-manager/cert-manager-webhook`,
	},
	{
		kind: "helmInstall", name: "CRD of the crds folder deleted, its objects with it",
		make:  func(w *world) { w.remove("CustomResourceDefinition/apisixroutes.apisix.apache.org") },
		found: `^apisix crds? .*apisixroutes`,
	},
	{
		kind: "helmInstall", name: "CRD of a template deleted, its objects with it",
		make:  func(w *world) { w.remove("CustomResourceDefinition/clusterissuers.cert-manager.io") },
		found: `^cert-manager CustomResourceDefinition/clusterissuers.cert-manager.io`,
	},
	{
		kind: "helmInstall", name: "Secrets with the release's record deleted",
		make: func(w *world) {
			config := w.helm("cert-manager")
			history, err := config.Releases.History("cert-manager")
			if err != nil {
				w.t.Fatal(err)
			}
			for _, r := range history {
				if _, err := config.Releases.Delete(r.Name, r.Version); err != nil {
					w.t.Fatal(err)
				}
			}
		},
		found: `^cert-manager release/cert-manager/cert-manager`,
	},
	{
		kind: "helmInstall", name: "a helm upgrade that failed",
		make: func(w *world) {
			config := w.helm("cert-manager")
			last, err := config.Releases.Last("cert-manager")
			if err != nil {
				w.t.Fatal(err)
			}
			next := *last
			info := *last.Info
			next.Version, next.Info = last.Version+1, &info
			next.Labels = nil // those of ztplan mark its own work
			info.Status, info.Description = release.StatusFailed, "Upgrade failed: timed out"
			if err := config.Releases.Create(&next); err != nil {
				w.t.Fatal(err)
			}
		},
		found: `^cert-manager release/cert-manager/cert-manager .*failed`,
	},
	{
		kind: "helmInstall", name: "replicas of a Deployment set to 0 by hand",
		make: func(w *world) {
			w.merge("Deployment/cert-manager/cert-manager-cainjector", `{"spec": {"replicas": 0}}`)
		},
		found: `^cert-manager Deployment/cert-manager/cert-manager-cainjector .*have {"spec/replicas":0} want {"spec/replicas":1}`,
	},
	{
		kind: "helmInstall", name: "rules of a Role widened by hand",
		make: func(w *world) {
			w.merge("Role/cert-manager/cert-manager-webhook:dynamic-serving", `{"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}]}`)
		},
		found: `^cert-manager Role/cert-manager/cert-manager-webhook:dynamic-serving .*rules`,
	},
	{
		kind: "helmInstall", name: "selector of a Service changed by hand",
		make: func(w *world) {
			w.merge("Service/ingress-apisix/apisix-admin", `{"spec": {"selector": {"app.kubernetes.io/name": "other"}}}`)
		},
		found: `^apisix Service/ingress-apisix/apisix-admin .*spec/selector/app.kubernetes.io/name`,
	},

	// vaultInit
	{
		kind: "vaultInit", name: "key file lost", quick: true,
		make:    func(w *world) { w.rename(w.keys(), w.keys()+".away") },
		refused: `^init .*initialised, and its keys are not there: .* does not exist`,
		after:   func(w *world) { w.rename(w.keys()+".away", w.keys()) },
	},
	{
		kind: "vaultInit", name: "key file readable by everybody", quick: true,
		make:    func(w *world) { w.chmod(w.keys(), 0o644) },
		refused: `^init .*open to others \(mode 0644\)`,
		after:   func(w *world) { w.chmod(w.keys(), 0o600) },
	},
	{
		kind: "vaultInit", name: "key file cut off",
		make: func(w *world) {
			w.edit(w.keys(), func(text []byte) []byte { return text[:len(text)/2] })
		},
		refused: `^init .*vault-cluster-keys.json.*restore the file`,
		after:   restore,
	},
	{
		kind: "vaultInit", name: "root token of another Vault in the key file",
		make: func(w *world) {
			w.edit(w.keys(), func(text []byte) []byte {
				return bytes.Replace(text, []byte(w.readKeys().RootToken), []byte("hvs.AAAAAAAAAAAAAAAAAAAAAAAA"), 1)
			})
		},
		warned: `^admin warns: vault does not know the token`,
		after:  restore,
	},

	// vaultUnseal
	{
		kind: "vaultUnseal", name: "Vault sealed",
		make: func(w *world) {
			if err := w.vault().Sys().SealWithContext(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
		},
		found: `^unseal sys/seal`,
	},
	{
		kind: "vaultUnseal", name: "Vault restarted",
		make:  func(w *world) { w.lab("restart", "vault"); w.look() },
		found: `^unseal sys/seal`,
	},
	{
		kind: "vaultUnseal", name: "Vault's pod deleted",
		make:  func(w *world) { w.remove("Pod/vault/vault-0") },
		found: `^(unseal sys/seal|vault StatefulSet/vault/vault)`,
		after: (*world).look,
	},
	{
		kind: "vaultUnseal", name: "Vault sealed, and the keys are another Vault's",
		make: func(w *world) {
			if err := w.vault().Sys().SealWithContext(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
			w.edit(w.keys(), foreignKeys)
		},
		found:   `^unseal sys/seal`,
		refused: `^unseal .*sys/seal`,
		after: func(w *world) {
			restore(w)
			must(w.t, "run", w.run(), 0)
		},
	},

	// pkiRoot
	{
		kind: "pkiRoot", name: "URLs cleared", quick: true,
		make: func(w *world) {
			w.write("pki/config/urls", fields{"issuing_certificates": "", "crl_distribution_points": ""})
		},
		found: `^root pki/config/urls/issuing_certificates .*pki/ca`,
	},
	{
		kind: "pkiRoot", name: "mount retuned", quick: true,
		make:  func(w *world) { w.write("sys/mounts/pki/tune", fields{"max_lease_ttl": "1h"}) },
		found: `^root sys/mounts/pki.*1h`,
	},
	{
		kind: "pkiRoot", name: "issuer renamed",
		make:    func(w *world) { w.write("pki/issuer/root-lab", fields{"issuer_name": "renamed"}) },
		refused: `^root .*renamed.*the plan calls it root-lab`,
		after:   func(w *world) { w.write("pki/issuer/renamed", fields{"issuer_name": "root-lab"}) },
	},
	{
		kind: "pkiRoot", name: "default issuer moved",
		make: func(w *world) {
			cert := w.read("pki_int/issuer/intermediate-lab")["certificate"]
			s := w.write("pki/issuers/import/cert", fields{"pem_bundle": cert})
			id := s.Data["imported_issuers"].([]any)[0].(string)
			w.write("pki/issuer/"+id, fields{"issuer_name": "stranger"})
			w.write("pki/config/issuers", fields{"default": id})
		},
		found: `^root pki/config/issuers.*root-lab`,
		after: func(w *world) { w.erase("pki/issuer/stranger") },
	},
	{
		kind: "pkiRoot", name: "a foreign root beside the plan's", quick: true,
		make: func(w *world) {
			w.write("pki/root/generate/internal", fields{"common_name": "Foreign Root", "issuer_name": "stranger", "key_name": "stranger", "ttl": "100h"})
		},
		warned: `^root warns: pki holds another root: .*stranger`,
		after:  func(w *world) { w.erase("pki/issuer/stranger"); w.erase("pki/key/stranger") },
	},
	{
		kind: "pkiRoot", name: "a foreign root in the place of the plan's",
		make: func(w *world) {
			w.erase("pki/issuer/root-lab")
			w.write("pki/root/generate/internal", fields{"common_name": "Foreign Root", "issuer_name": "stranger", "key_name": "stranger", "ttl": "100h"})
		},
		refused: `^root .*stranger`,
		after: func(w *world) {
			w.erase("pki/issuer/stranger")
			w.erase("pki/key/stranger")
			must(w.t, "run", w.run(), 0)
		},
	},
	{
		kind: "pkiRoot", name: "issuer deleted, its key left",
		make:  func(w *world) { w.erase("pki/issuer/root-lab") },
		found: `^root pki/issuer/root-lab`,
	},

	// pkiIntermediate
	{
		kind: "pkiIntermediate", name: "role TTL changed", quick: true,
		make: func(w *world) {
			w.write("pki_int/roles/example-dot-local", w.with("pki_int/roles/example-dot-local", "max_ttl", "72h"))
		},
		found: `^intermediate pki_int/roles/example-dot-local.*72h`,
	},
	{
		kind: "pkiIntermediate", name: "role allows any name",
		make: func(w *world) {
			w.write("pki_int/roles/example-dot-local", w.with("pki_int/roles/example-dot-local", "allow_any_name", true))
		},
		found: `^intermediate pki_int/roles/example-dot-local.*[aA]ny`,
	},
	{
		kind: "pkiIntermediate", name: "role deleted",
		make:  func(w *world) { w.erase("pki_int/roles/example-dot-local") },
		found: `^intermediate pki_int/roles/example-dot-local`,
	},
	{
		kind: "pkiIntermediate", name: "default issuer moved", quick: true,
		make: func(w *world) {
			w.write("pki_int/root/generate/internal", fields{"common_name": "Stranger", "issuer_name": "stranger", "key_name": "stranger", "ttl": "100h"})
			w.write("pki_int/config/issuers", fields{"default": "stranger"})
		},
		found: `^intermediate pki_int/config/issuers.*intermediate-lab`,
		after: func(w *world) { w.erase("pki_int/issuer/stranger"); w.erase("pki_int/key/stranger") },
	},
	{
		kind: "pkiIntermediate", name: "URLs cleared",
		make: func(w *world) {
			w.write("pki_int/config/urls", fields{"issuing_certificates": "", "crl_distribution_points": ""})
		},
		found: `^intermediate pki_int/config/urls/issuing_certificates .*pki_int/ca`,
	},
	{
		kind: "pkiIntermediate", name: "mount retuned",
		make:  func(w *world) { w.write("sys/mounts/pki_int/tune", fields{"max_lease_ttl": "2h"}) },
		found: `^intermediate sys/mounts/pki_int.*2h`,
	},
	{
		kind: "pkiIntermediate", name: "issuer renamed",
		make:    func(w *world) { w.write("pki_int/issuer/intermediate-lab", fields{"issuer_name": "renamed"}) },
		refused: `^intermediate .*under the name renamed, and the plan calls it intermediate-lab`,
		after:   func(w *world) { w.write("pki_int/issuer/renamed", fields{"issuer_name": "intermediate-lab"}) },
	},
	{
		kind: "pkiIntermediate", name: "issuer forbidden to sign",
		make: func(w *world) {
			w.write("pki_int/issuer/intermediate-lab", fields{"issuer_name": "intermediate-lab", "usage": "read-only,crl-signing"})
		},
		found: `^intermediate pki_int/issuer/intermediate-lab/usage .*issuing-certificates`,
	},
	{
		kind: "pkiIntermediate", name: "issuer deleted, its key left",
		make:  func(w *world) { w.erase("pki_int/issuer/intermediate-lab") },
		found: `^intermediate pki_int/issuer/intermediate-lab`,
	},
	{
		kind: "pkiIntermediate", name: "mount disabled",
		make:  func(w *world) { w.erase("sys/mounts/pki_int") },
		found: `^intermediate sys/mounts/pki_int`,
	},

	// k8sAuth
	{
		kind: "k8sAuth", name: "policy edited", quick: true,
		make: func(w *world) {
			w.write("sys/policies/acl/cert-manager-policy", fields{"policy": `path "pki_int/*" { capabilities = ["create", "update", "sudo"] }`})
		},
		found: `^auth sys/policies/acl/cert-manager-policy.*sudo`,
	},
	{
		kind: "k8sAuth", name: "policy deleted",
		make:  func(w *world) { w.erase("sys/policies/acl/cert-manager-policy") },
		found: `^auth sys/policies/acl/cert-manager-policy`,
	},
	{
		kind: "k8sAuth", name: "role without an audience", quick: true,
		make:  func(w *world) { w.write("auth/kubernetes/role/cert-manager", fields{"audience": ""}) },
		found: `^auth auth/kubernetes/role/cert-manager.*audience`,
	},
	{
		kind: "k8sAuth", name: "role open to every namespace",
		make: func(w *world) {
			w.write("auth/kubernetes/role/cert-manager", fields{"bound_service_account_namespaces": "*"})
		},
		found: `^auth auth/kubernetes/role/cert-manager.*\*`,
	},
	{
		kind: "k8sAuth", name: "role with another policy",
		make: func(w *world) {
			w.write("auth/kubernetes/role/cert-manager", fields{"token_policies": "cert-manager-policy,default,admin"})
		},
		found: `^auth auth/kubernetes/role/cert-manager.*admin`,
	},
	{
		kind: "k8sAuth", name: "reviewer token set",
		make: func(w *world) {
			w.write("auth/kubernetes/config", fields{"kubernetes_host": "https://kubernetes.default.svc:443", "token_reviewer_jwt": jwt})
		},
		found: `^admin auth/kubernetes/config.*[rR]eviewer`,
	},
	{
		kind: "k8sAuth", name: "host of another cluster",
		make: func(w *world) {
			w.write("auth/kubernetes/config", fields{"kubernetes_host": "https://192.0.2.1:6443"})
		},
		found: `^admin auth/kubernetes/config.*192\.0\.2\.1`,
	},
	{
		kind: "k8sAuth", name: "method disabled",
		make:  func(w *world) { w.erase("sys/auth/kubernetes") },
		found: `^admin sys/auth/kubernetes`,
	},
	{
		kind: "k8sAuth", name: "the plan's own policy edited",
		make: func(w *world) {
			w.write("sys/policies/acl/ztplan", fields{"policy": `path "*" { capabilities = ["sudo", "update"] }`})
		},
		found: `^admin sys/policies/acl/ztplan.*sudo`,
	},
	{
		kind: "k8sAuth", name: "ServiceAccount of the plan's own login deleted",
		make:  func(w *world) { w.remove("ServiceAccount/vault/ztplan") },
		found: `^admin ServiceAccount/vault/ztplan`,
	},
	{
		kind: "k8sAuth", name: "ServiceAccount deleted",
		make:  func(w *world) { w.remove("ServiceAccount/cert-manager/vault-issuer") },
		found: `^auth ServiceAccount/cert-manager/vault-issuer`,
	},
	{
		kind: "k8sAuth", name: "RoleBinding deleted",
		make:  func(w *world) { w.remove("RoleBinding/cert-manager/vault-issuer-tokenrequest") },
		found: `^auth RoleBinding/cert-manager/vault-issuer-tokenrequest`,
	},
	{
		kind: "k8sAuth", name: "Role deleted",
		make:  func(w *world) { w.remove("Role/cert-manager/vault-issuer-tokenrequest") },
		found: `^auth Role/cert-manager/vault-issuer-tokenrequest`,
	},

	// applyManifest
	{
		kind: "applyManifest", name: "Deployment scaled under ztplan's own name", quick: true,
		make: func(w *world) {
			d := w.get("Deployment/default/hello-app").Object
			w.applyAs("ztplan", "Deployment/default/hello-app", fields{
				"apiVersion": "apps/v1", "kind": "Deployment",
				"metadata": fields{"name": "hello-app", "namespace": "default"},
				"spec": fields{
					"replicas": 3, "selector": d["spec"].(fields)["selector"],
					"template": fields{
						"metadata": d["spec"].(fields)["template"].(fields)["metadata"],
						"spec":     fields{"containers": []any{fields{"name": "nginx", "image": "nginx:stable", "ports": []any{fields{"containerPort": 80}}}}},
					},
				},
			})
		},
		found: `^app Deployment/default/hello-app .*replicas`,
	},
	{
		kind: "applyManifest", name: "Deployment scaled by another manager",
		make:    func(w *world) { w.merge("Deployment/default/hello-app", `{"spec":{"replicas":2}}`) },
		found:   `^app Deployment/default/hello-app set by ` + harness,
		refused: `^app .*Deployment/default/hello-app.*` + harness,
		after:   func(w *world) { w.merge("Deployment/default/hello-app", `{"spec":{"replicas":1}}`) },
	},
	{
		kind: "applyManifest", name: "selector of a Service changed by another manager",
		make: func(w *world) {
			w.merge("Service/default/hello-app", `{"spec":{"selector":{"app":"elsewhere"}}}`)
		},
		found:   `^app Service/default/hello-app set by ` + harness,
		refused: `^app .*Service/default/hello-app.*` + harness,
		after: func(w *world) {
			w.merge("Service/default/hello-app", `{"spec":{"selector":{"app":"hello-app"}}}`)
		},
	},
	{
		kind: "applyManifest", name: "Service deleted", quick: true,
		make:  func(w *world) { w.remove("Service/default/hello-app") },
		found: `^app Service/default/hello-app`,
	},
	{
		kind: "applyManifest", name: "Deployment deleted",
		make:  func(w *world) { w.remove("Deployment/default/hello-app") },
		found: `^app Deployment/default/hello-app`,
	},
	{
		kind: "applyManifest", name: "ClusterIssuer deleted",
		make:  func(w *world) { w.remove("ClusterIssuer/vault-issuer") },
		found: `^issuer ClusterIssuer/vault-issuer`,
	},
	{
		kind: "applyManifest", name: "ClusterIssuer signs with another role",
		make: func(w *world) {
			w.merge("ClusterIssuer/vault-issuer", `{"spec":{"vault":{"path":"pki_int/sign/other"}}}`)
		},
		found:   `^issuer ClusterIssuer/vault-issuer set by ` + harness,
		refused: `^issuer .*ClusterIssuer/vault-issuer.*` + harness,
		after: func(w *world) {
			w.merge("ClusterIssuer/vault-issuer", `{"spec":{"vault":{"path":"pki_int/sign/example-dot-local"}}}`)
			must(w.t, "run", w.run(), 0) // waits until it is Ready again
		},
	},
	{
		kind: "applyManifest", name: "Certificate deleted",
		make:  func(w *world) { w.remove("Certificate/ingress-apisix/hello-cert") },
		found: `^certificate Certificate/ingress-apisix/hello-cert`,
	},
	{
		kind: "applyManifest", name: "route deleted",
		make:  func(w *world) { w.remove("ApisixRoute/default/hello-route") },
		found: `^route ApisixRoute/default/hello-route`,
	},
	{
		kind: "applyManifest", name: "hosts of the TLS object changed by another manager",
		make: func(w *world) {
			w.merge("ApisixTls/ingress-apisix/hello-tls", `{"spec":{"hosts":["elsewhere.example.local"]}}`)
		},
		found:   `^tls ApisixTls/ingress-apisix/hello-tls set by ` + harness,
		refused: `^tls .*ApisixTls/ingress-apisix/hello-tls.*` + harness,
		after: func(w *world) {
			w.merge("ApisixTls/ingress-apisix/hello-tls", `{"spec":{"hosts":["*.example.local"]}}`)
		},
	},

	// connections
	{
		kind: "connections", name: "kubeconfig points at a dead server", quick: true,
		make: func(w *world) {
			text, err := os.ReadFile(w.status.Kubeconfig)
			if err != nil {
				w.t.Fatal(err)
			}
			dead := serverLine.ReplaceAll(text, []byte("server: https://127.0.0.1:1"))
			if err := os.WriteFile(filepath.Join(w.home, "dead"), dead, 0o600); err != nil {
				w.t.Fatal(err)
			}
		},
		args:    func(w *world) []string { return []string{"--kubeconfig", filepath.Join(w.home, "dead")} },
		refused: `127\.0\.0\.1:1.*refused`,
	},
	{
		kind: "connections", name: "context of the kubeconfig is gone",
		make: func(*world) {},
		args: func(w *world) []string {
			return []string{"--kubeconfig", w.status.Kubeconfig, "--context", "production"}
		},
		refused: `context "production" does not exist`,
	},
	{
		kind: "connections", name: "kubeconfig is gone",
		make:    func(*world) {},
		args:    func(w *world) []string { return []string{"--kubeconfig", filepath.Join(w.home, "none")} },
		refused: `none.*no such file`,
	},
}

// with returns the data at a path of Vault with one field changed, because
// writing a role resets omitted fields to their defaults.
func (w *world) with(path, field string, value any) fields {
	w.t.Helper()
	data := w.read(path)
	data[field] = value
	return data
}

func (w *world) rename(from, to string) {
	w.t.Helper()
	if err := os.Rename(from, to); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) chmod(file string, mode os.FileMode) {
	w.t.Helper()
	if err := os.Chmod(file, mode); err != nil {
		w.t.Fatal(err)
	}
}

// edit rewrites a file and keeps the old content for restore.
func (w *world) edit(file string, change func([]byte) []byte) {
	w.t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		changed := change(text)
		w.rename(file, file+".away")
		err = os.WriteFile(file, changed, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func restore(w *world) { w.t.Helper(); w.rename(w.keys()+".away", w.keys()) }

// foreignKeys replaces the shares by others of the same length.
func foreignKeys(text []byte) []byte {
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return nil
	}
	for name, encode := range map[string]func([]byte) string{
		"unseal_keys_b64": base64.StdEncoding.EncodeToString, "unseal_keys_hex": hex.EncodeToString,
	} {
		list, _ := all[name].([]any)
		for i := range list {
			list[i] = encode(bytes.Repeat([]byte{byte(i + 1)}, 33))
		}
	}
	out, _ := json.Marshal(all)
	return out
}

var serverLine = regexp.MustCompile(`server: \S+`)

// jwt has the form of a token and is none.
var jwt = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." +
	base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"system:serviceaccount:vault:vault"}`)) + ".c2ln"
