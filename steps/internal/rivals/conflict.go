package rivals

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/client-go/dynamic"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
)

// A Conflict is a finding that does not hold: other objects give the host another Secret.
type Conflict struct {
	engine.Finding
	Hint string
	Next string // the command that lists the objects
}

// Find looks in all namespaces for objects that give the host another Secret and name it as
// closely as those that give it this one; nil if there are none. If none gives it this
// Secret the others count only while the wire is wrong: else another gateway serves the
// host. While the wire is right only those count of which a restart of their gateway may
// choose another one.
//
// A kind that it may not list, or that is not served, counts as absent: the proof does not
// need the permission. It warns if a list cannot be read for another reason.
func Find(ctx context.Context, client dynamic.Interface, env *engine.Env, host string, secret certwatch.Ref, wireIsRight bool) *Conflict {
	return find(list(ctx, client, env, host), strings.ToLower(host), secret, wireIsRight)
}

func find(all []*object, host string, secret certwatch.Ref, wireIsRight bool) *Conflict {
	var ours, rivals []*object
	for _, o := range all {
		switch {
		case o.Secret == secret && (o.rank(host) >= 0 || len(o.Hosts) == 0):
			ours = append(ours, o)
		case o.Secret != secret && o.rank(host) >= 0:
			rivals = append(rivals, o)
		}
	}
	rivals = slices.DeleteFunc(rivals, func(r *object) bool {
		if wireIsRight && !r.Restless || slices.ContainsFunc(ours, r.is) {
			return true
		}
		sharing := slices.DeleteFunc(slices.Clone(ours), func(o *object) bool { return !o.sharesGateway(r) })
		if len(sharing) == 0 {
			return wireIsRight || len(ours) > 0
		}
		return slices.ContainsFunc(sharing, func(o *object) bool { return o.rank(host) > r.rank(host) })
	})
	if len(rivals) == 0 {
		return nil
	}
	return conflict(host, secret, slices.Concat(ours, rivals), rivals)
}

func conflict(host string, secret certwatch.Ref, all, rivals []*object) *Conflict {
	names := make([]string, len(rivals))
	for i, r := range rivals {
		names[i] = r.String()
	}
	slices.Sort(names)
	names = slices.Compact(names)
	c := &Conflict{
		Finding: engine.Finding{
			Rule:   fmt.Sprintf("one %s decides what %s shows", kindsOf(all), host),
			Have:   "also named by " + strings.Join(names, ", "),
			Want:   "secret " + secret.String() + " alone",
			Detail: "which of them is served may change with a restart of the gateway",
		},
		Hint: "let one ApisixTls name the host: of several, APISIX serves the one that it inserted first, and after a restart the one with the lowest key",
		Next: "kubectl get " + resourcesOf(all) + " -A",
	}
	if kindsOf(all) != kindApisixTLS {
		c.Hint = "let one object name the host, or give all of them one Secret: of several, APISIX serves the one that it inserted first, and another gateway the one that its own rule prefers"
	}
	if !slices.ContainsFunc(rivals, func(o *object) bool { return o.Restless }) {
		c.Detail = "the gateway chooses one of them"
	}
	return c
}

// kindsOf names the kind of all objects, "object" if there are several.
func kindsOf(all []*object) string {
	for _, o := range all {
		if o.Kind != all[0].Kind {
			return "object"
		}
	}
	return all[0].Kind
}

func resourcesOf(all []*object) string {
	var names []string
	for _, o := range all {
		names = append(names, o.plural())
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ",")
}
