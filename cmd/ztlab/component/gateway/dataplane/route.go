package dataplane

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// A route is one route object, ready for use.
type route struct {
	id       string
	off      bool // not served
	priority int
	hosts    []string // normal names, *. first for wildcards; none: every host
	paths    []string // a * at the end makes a prefix of it
	methods  []string // none: every method
	handler  http.Handler
}

// newRoute checks a route object. Requests that match go to handler.
func newRoute(r adminapi.Route, handler http.Handler) (*route, error) {
	if len(r.URIs) == 0 {
		return nil, errors.New("uris: at least one path is needed")
	}
	for _, path := range r.URIs {
		if !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("uris: %q does not start with /", path)
		}
	}
	if r.Upstream == nil {
		return nil, errors.New("upstream: a route of the stand-in needs one of its own")
	}
	compiled := &route{id: r.ID, off: off(r.Status), priority: r.Priority, paths: r.URIs, methods: r.Methods, handler: handler}
	for _, host := range r.Hosts {
		compiled.hosts = append(compiled.hosts, normal(host))
	}
	return compiled, nil
}

// Degrees of a match: how exactly a host or a path was named.
const (
	unmatched = iota
	byDefault // named by nothing
	byPattern
	byName
)

// host returns how exactly the route names a host.
func (r *route) host(name string) int {
	if len(r.hosts) == 0 {
		return byDefault
	}
	degree := unmatched
	for _, host := range r.hosts {
		if host == name {
			return byName
		}
		if suffix, ok := strings.CutPrefix(host, "*"); ok && strings.HasSuffix(name, suffix) && len(name) > len(suffix) {
			degree = byPattern
		}
	}
	return degree
}

// path returns how exactly the route names a path, and the length of the prefix.
func (r *route) path(path string) (degree, length int) {
	for _, pattern := range r.paths {
		if pattern == path {
			return byName, len(pattern)
		}
		prefix, ok := strings.CutSuffix(pattern, "*")
		if ok && strings.HasPrefix(path, prefix) && len(prefix) >= length {
			degree, length = byPattern, len(prefix)
		}
	}
	return degree, length
}

// route finds the route of a request, nil when there is none. The host weighs
// most (APISIX's radixtree_host_uri), then the path, then the priority.
func (s *snapshot) route(request *http.Request) *route {
	host := request.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = normal(host)
	var (
		best *route
		rank [4]int
	)
	for _, candidate := range s.routes {
		if len(candidate.methods) > 0 && !slices.Contains(candidate.methods, request.Method) {
			continue
		}
		byHost := candidate.host(host)
		byPath, length := candidate.path(request.URL.Path)
		if byHost == unmatched || byPath == unmatched {
			continue
		}
		this := [4]int{byHost, byPath, length, candidate.priority}
		if best == nil || slices.Compare(this[:], rank[:]) > 0 {
			best, rank = candidate, this
		}
	}
	return best
}

// sortRoutes puts routes in an order that does not depend on a map's.
func sortRoutes(routes []*route) {
	slices.SortFunc(routes, func(a, b *route) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.id, b.id))
	})
}
