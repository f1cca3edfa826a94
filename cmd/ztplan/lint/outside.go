package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/rule"
	"github.com/ztplan/ztplan/steps/hosting"
	"github.com/ztplan/ztplan/steps/k8sauth"
)

// outside visits the logins of a Vault that runs outside of the cluster. certain means that
// the plan states it, with disableLocalCAJWT. Otherwise Vault is reached by an address, and
// no step installs it.
func (f *facts) outside(visit func(a of[*k8sauth.Spec], certain bool)) {
	_, inside := f.release("vault")
	for _, a := range f.auths {
		known := isKnown(a.step, "config.disableLocalCAJWT") && isKnown(a.step, "vault.address")
		if own := a.spec.Config.DisableLocalCAJWT; known && (own || !inside && a.spec.Vault.Address != "") {
			visit(a, own)
		}
	}
}

// localReviewer: a Vault outside of the cluster that looks for the token of its pod.
func localReviewer(f *facts) []Finding {
	var out []Finding
	f.outside(func(a of[*k8sauth.Spec], certain bool) {
		if !certain {
			out = append(out, at(a.step, "config.kubernetesHost", "local-reviewer", "", "Vault at %s uses the token and the authority of its own pod", a.spec.Vault.Address))
		}
	})
	return out
}

// reviewerPermission: the token that logs in to a Vault outside of the cluster reviews
// itself.
func reviewerPermission(f *facts) []Finding {
	var out []Finding
	f.outside(func(a of[*k8sauth.Spec], _ bool) {
		for i, r := range a.spec.Roles {
			names, spaces := authRole{a, r, ""}.accounts()
			for _, name := range names {
				for _, space := range spaces {
					if !f.delegates(space, name) {
						out = append(out, at(a.step, fmt.Sprintf("roles[%d]", i), "reviewer-permission", "",
							"no object of the plan binds ServiceAccount %s/%s of role %s to system:auth-delegator", space, name, r.Name))
					}
				}
			}
		}
	})
	return out
}

// delegates reports whether a ClusterRoleBinding of the plan gives system:auth-delegator
// to a ServiceAccount, or has subjects that are not known.
func (f *facts) delegates(namespace, name string) bool {
	return slices.ContainsFunc(f.objects, func(o object) bool {
		if o.kind != "ClusterRoleBinding" || o.text("roleRef", "name") != "system:auth-delegator" {
			return false
		}
		if !o.knows("subjects") {
			return true
		}
		subjects, _ := o.fields["subjects"].([]any)
		return slices.ContainsFunc(subjects, func(s any) bool {
			m, _ := s.(map[string]any)
			switch m["kind"] {
			case "ServiceAccount":
				return m["namespace"] == namespace && m["name"] == name
			case "Group":
				return m["name"] == "system:serviceaccounts" || m["name"] == "system:serviceaccounts:"+namespace
			}
			return false
		})
	})
}

// reviewerAudience: the token that reviews itself is for the API server as well: that of an
// issuer, of the plan's own login and of the legitimate login of a proof.
func reviewerAudience(f *facts) []Finding {
	var out []Finding
	add := func(found Finding, certain bool) {
		if certain {
			found = found.as(rule.Error)
		}
		if !slices.Contains(out, found) {
			out = append(out, found)
		}
	}
	f.outside(func(a of[*k8sauth.Spec], certain bool) {
		f.issuerRoles(func(o object, r authRole) {
			const account = "spec.vault.auth.kubernetes.serviceAccountRef"
			ref, _ := hosting.Dig(o.fields, "spec", "vault", "auth", "kubernetes", "serviceAccountRef").(map[string]any)
			if r.step != a.step || ref == nil || !o.knows(account) {
				return
			}
			if list, _ := ref["audiences"].([]any); len(list) == 0 {
				add(o.finding(account, "reviewer-audience", "", "the token of %s %s is for Vault alone, and Vault asks the API server with it", o.kind, o.name), certain)
			}
		})
		for _, s := range f.plan.Steps {
			draft, _ := s.Draft()
			for _, l := range loginsOf(draft) {
				// An audience with https:// may be that of the API server.
				if l.alone && l.account != "" && l.mount == a.spec.Mount && isKnown(s, l.field+".audiences") && !strings.HasPrefix(l.audience, "https://") {
					add(at(s, l.field+".serviceAccount", "reviewer-audience", "add the audience of the API server to "+l.field+".audiences (its --api-audiences, by default its issuer)",
						"the token of ServiceAccount %s/%s is for %s alone, and Vault asks the API server with it", l.namespace, l.account, l.audience), certain)
				}
			}
		}
	})
	return out
}
