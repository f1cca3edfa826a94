package certwatch

import "github.com/ztplan/ztplan/engine"

// Permissions are needed to watch a Certificate with its Secret and its requests, and
// to have it renewed if renew is set. The name of the Secret is in the Certificate, so
// that it counts for all of the namespace.
func Permissions(ref Ref, renew bool) []engine.Permission {
	const reason = "watches how a Certificate is issued"
	group := certificates.Group
	verbs := []string{"get", "list", "watch"}
	list := []engine.Permission{
		{Verbs: verbs, Group: group, Resource: certificates.Resource, Namespace: ref.Namespace, Name: ref.Name, Reason: reason},
		{Verbs: []string{"list", "watch"}, Group: group, Resource: requests.Resource, Namespace: ref.Namespace, Reason: reason},
		{Verbs: verbs, Resource: secrets.Resource, Namespace: ref.Namespace, Reason: reason},
	}
	if renew {
		list = append(list, engine.Permission{Verbs: []string{"update"}, Group: group, Resource: certificates.Resource + "/status", Namespace: ref.Namespace, Name: ref.Name,
			Reason: "asks cert-manager to issue a Certificate anew"})
	}
	return list
}
