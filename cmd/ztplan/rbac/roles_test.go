package rbac_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/cmd/ztplan/rbac"
	"github.com/ztplan/ztplan/engine"
)

func may(verbs, group, resource, namespace, name string) engine.Permission {
	return engine.Permission{Verbs: strings.Fields(verbs), Group: group, Resource: resource, Namespace: namespace, Name: name, Reason: "looks"}
}

func writes(p engine.Permission) engine.Permission {
	p.Write = true
	return p
}

// Permissions become the fewest rules that give no more than them, those of a view
// without any that only a write needs.
func TestRoles(t *testing.T) {
	needs := []rbac.Need{
		{Who: "step a", Permissions: []engine.Permission{
			may("get", "apps", "deployments", "x", "one"),
			may("get", "apps", "deployments", "x", "two"),
			writes(may("create", "apps", "deployments", "x", "")),
			writes(may("patch create", "", "services", "x", "one")), // create for any name covers it
			writes(may("create", "", "services", "x", "")),
			writes(may("create", "", "namespaces", "", "")), // the namespaces are printed
			may("get", "", "namespaces", "", "x"),
		}},
		{Who: "step b", Permissions: []engine.Permission{
			may("get list", "", "pods", "x", ""),
			writes(may("get watch", "", "pods", "", "")), // covers get in every namespace
			writes(engine.Permission{Verbs: []string{"get"}, Path: "/metrics", Reason: "gives it"}),
		}},
	}
	rules := func(set string) []string {
		var list []string
		for _, r := range rbac.Roles("ztplan-p", set, needs) {
			for _, one := range r.Rules {
				list = append(list, r.Name+" in "+r.Namespace+": "+strings.Join(one.Verbs, ",")+" "+strings.Join(one.Groups, ",")+"/"+strings.Join(append(one.Resources, one.Paths...), ",")+" "+strings.Join(one.Names, ","))
			}
		}
		return list
	}
	if d := cmp.Diff([]string{
		"ztplan-p-view in : get /namespaces x",
		"ztplan-p-view in x: get,list /pods ",
		"ztplan-p-view in x: get apps/deployments one,two",
	}, rules(rbac.View)); d != "" {
		t.Errorf("view (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{
		"ztplan-p-run in : get //metrics ",
		"ztplan-p-run in : get /namespaces x",
		"ztplan-p-run in : get,watch /pods ",
		"ztplan-p-run in x: list /pods ",
		"ztplan-p-run in x: create /services ",
		"ztplan-p-run in x: patch /services one",
		"ztplan-p-run in x: create apps/deployments ",
		"ztplan-p-run in x: get apps/deployments one,two",
	}, rules(rbac.Run)); d != "" {
		t.Errorf("run (-want +got):\n%s", d)
	}
}

// A permission that a step uses and does not need is listed, and no role gives it.
func TestUseful(t *testing.T) {
	useful := may("list", "networking.k8s.io", "ingresses", "", "")
	needs := []rbac.Need{{Who: "step a", Useful: []engine.Permission{useful}}, {Who: "step b", Useful: []engine.Permission{useful}}}
	if roles := rbac.Roles("p", rbac.Run, needs); len(roles) != 0 {
		t.Errorf("roles %v", roles)
	}
	var b strings.Builder
	if err := (rbac.Document{Plan: "p", Needs: needs}).YAML(&b); err != nil {
		t.Fatal(err)
	}
	const want = "# Of use, and not needed; the roles do not give it:\n#   - step a, step b: list networking.k8s.io/ingresses in all namespaces, which looks\n"
	if !strings.HasSuffix(b.String(), want) {
		t.Errorf("got\n%s\nwant at its end\n%s", b.String(), want)
	}
}
