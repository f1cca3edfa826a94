package dataplane

import (
	"slices"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// A key names an object.
type key struct{ kind, id string }

// A change is the new state of one object, as a watch on etcd delivers it.
type change struct {
	key      key
	object   any // *site or *route; nil: the object is gone
	revision int64
	initial  bool      // read by the gateway when it starts
	at       time.Time // when workers notice it; zero: at once
}

// A view is one worker's configuration: objects in the order in which they arrived.
// An update leaves an object where it is. APISIX keeps its objects so: seen on
// 3.16.0, where of two certificates for one name the first one inserted is
// served, and after a restart, when they are read in order, that of the lowest
// key.
type view []change

// take changes one object.
func (v *view) take(c change) {
	i := slices.IndexFunc(*v, func(known change) bool { return known.key == c.key })
	switch {
	case c.object == nil && i >= 0:
		*v = slices.Delete(*v, i, i+1)
	case c.object == nil:
	case i >= 0:
		(*v)[i] = c
	default:
		*v = append(*v, c)
	}
}

// snapshot makes the snapshot of a view, which serves requests and handshakes.
func (v view) snapshot() *snapshot {
	made := &snapshot{exact: map[string]*site{}, wildcard: map[string]*site{}}
	for _, known := range v {
		switch object := known.object.(type) {
		case *site:
			if !object.off {
				made.add(object)
			}
		case *route:
			if !object.off {
				made.routes = append(made.routes, object)
			}
		}
	}
	sortRoutes(made.routes)
	return made
}

// A hold keeps workers from objects until a time, by kind.
type hold struct{ certificates, routes time.Time }

// until is when workers may have a change.
func (h hold) until(c change) time.Time {
	if c.key.kind == adminapi.KindRoute {
		return h.routes
	}
	return h.certificates
}
