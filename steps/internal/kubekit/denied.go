package kubekit

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ztplan/ztplan/engine"
)

// A Denial is the API server's answer that a user lacks a permission.
type Denial struct {
	User, Verb, Resource string
	Group                string // of the API, "" for the core
	Namespace            string // "" for the whole cluster
}

// The message of pkg/endpoints/handlers/responsewriters in k8s.io/apiserver.
var denied = regexp.MustCompile(`User "([^"]*)" cannot (\S+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?`)

// DenialOf returns the denial that err is, false if it is none: admission, for instance,
// refuses with the same code.
func DenialOf(err error) (Denial, bool) {
	var status apierrors.APIStatus
	if !apierrors.IsForbidden(err) || !errors.As(err, &status) {
		return Denial{}, false
	}
	m := denied.FindStringSubmatch(status.Status().Message)
	if m == nil {
		return Denial{}, false
	}
	return Denial{User: m[1], Verb: m[2], Resource: m[3], Group: m[4], Namespace: m[5]}, true
}

// String names the missing permission: "user ci may not patch deployments.apps in
// namespace web".
func (d Denial) String() string {
	resource := d.Resource
	if d.Group != "" {
		resource += "." + d.Group
	}
	text := fmt.Sprintf("user %s may not %s %s", d.User, d.Verb, resource)
	if d.Namespace != "" {
		text += " in namespace " + d.Namespace
	}
	return text
}

// DeniedHint is the hint for a denial.
const DeniedHint = "the user in the kubeconfig lacks this permission: ztplan rbac PLAN prints the roles that the plan needs, and ztplan doctor PLAN checks them all"

// Unasked warns, once in a run, that the API server could not be asked for the changes of
// a manifest, since it takes a dry run for a write.
func Unasked(ctx context.Context, env *engine.Env, d Denial) {
	_, _ = engine.Share(ctx, env.Session, "kubekit unasked", func(context.Context) (bool, error) {
		env.Warnf("%s, and the API server takes a dry run for a write: objects are compared by the fields of their manifests and by who manages them; defaults and webhooks take no part", d)
		return true, nil
	})
}
