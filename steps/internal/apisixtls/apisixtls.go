// Package apisixtls finds the ApisixTls objects that give a host another Secret than
// the one of a proof: a restart of the gateway may change the certificate of the host.
package apisixtls

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

var resource = schema.GroupVersionResource{Group: "apisix.apache.org", Version: "v2", Resource: "apisixtlses"}

// limit bounds List: it must not keep a measurement that is over from its verdict.
const limit = 10 * time.Second

// Advice is the hint for a finding of Conflict.
const Advice = "let one ApisixTls name the host: of several, APISIX serves the one that it inserted first, and after a restart the one with the lowest key"

// An Object is the part of an apisix.apache.org/v2 ApisixTls that matters here.
type Object struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		IngressClassName string   `json:"ingressClassName"`
		Hosts            []string `json:"hosts"`
		Secret           struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"secret"`
	} `json:"spec"`
	Status struct {
		Conditions certwatch.Conditions `json:"conditions"`
	} `json:"status"`
}

// String names the object with its Secret.
func (o *Object) String() string {
	return fmt.Sprintf("%s/%s (secret %s)", o.Metadata.Namespace, o.Metadata.Name, o.secret())
}

func (o *Object) secret() certwatch.Ref { return certwatch.Ref(o.Spec.Secret) }

// taken reports whether a controller can have taken the object: one without a
// class belongs to the default class, and has no condition if there is none.
func (o *Object) taken() bool {
	return o.Spec.IngressClassName != "" || len(o.Status.Conditions) > 0
}

// sharesGateway reports whether both can be served by one gateway.
func (o *Object) sharesGateway(other *Object) bool {
	a, b := o.Spec.IngressClassName, other.Spec.IngressClassName
	return a == b || a == "" || b == ""
}

// rank is how closely the object names a host: -1 if it does not. APISIX serves
// the closest one: an exact name before wildcards, the longest wildcard before
// others. A wildcard stands for one label or a part of one, and * for any name.
func (o *Object) rank(host string) int {
	best := -1
	for _, name := range o.Spec.Hosts {
		name = strings.TrimSuffix(strings.ToLower(name), ".")
		tail, wild := strings.CutPrefix(name, "*")
		switch {
		case name == host:
			best = max(best, len(host)+1)
		case wild && strings.HasSuffix(host, tail) && (tail == "" || !strings.Contains(strings.TrimSuffix(host, tail), ".")):
			best = max(best, len(tail))
		}
	}
	return best
}

// List lists the ApisixTls objects of all namespaces. Where that is not allowed, or
// the kind is not served, there are none: the proof does not need the permission. It
// warns if the list cannot be read for another reason; host is for that text.
func List(ctx context.Context, client dynamic.Interface, env *engine.Env, host string) []*Object {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	list, err := client.Resource(resource).List(limited, metav1.ListOptions{})
	switch {
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err), ctx.Err() != nil:
		return nil
	case err != nil:
		env.Warnf("whether another ApisixTls names %s is not known: %v", host, kubekit.Classify(err))
		return nil
	}
	var all []*Object
	for i := range list.Items {
		o := new(Object)
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, o); err == nil {
			all = append(all, o)
		}
	}
	return all
}

// Conflict looks for ApisixTls objects that give the host another Secret and name
// it as closely as those that give it this one; ok reports whether there are any, and
// the finding does not hold then. If none gives it this Secret they count only while
// the wire is wrong: else another gateway serves the host.
func Conflict(all []*Object, host string, secret certwatch.Ref, wireIsRight bool) (_ engine.Finding, ok bool) {
	var ours, rivals []*Object
	for _, o := range all {
		switch {
		case o.rank(host) < 0 || !o.taken():
		case o.secret() == secret:
			ours = append(ours, o)
		default:
			rivals = append(rivals, o)
		}
	}
	rivals = slices.DeleteFunc(rivals, func(r *Object) bool {
		sharing := slices.DeleteFunc(slices.Clone(ours), func(o *Object) bool { return !o.sharesGateway(r) })
		if len(sharing) == 0 {
			return wireIsRight || len(ours) > 0
		}
		return slices.ContainsFunc(sharing, func(o *Object) bool { return o.rank(host) > r.rank(host) })
	})
	if len(rivals) == 0 {
		return engine.Finding{}, false
	}
	names := make([]string, len(rivals))
	for i, r := range rivals {
		names[i] = r.String()
	}
	slices.Sort(names)
	return engine.Finding{
		Rule:   fmt.Sprintf("one ApisixTls decides what %s shows", host),
		Have:   "also named by ApisixTls " + strings.Join(names, ", "),
		Want:   "secret " + secret.String() + " alone",
		Detail: "which of them is served may change with a restart of the gateway",
	}, true
}
