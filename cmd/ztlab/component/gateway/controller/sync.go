package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// Bounds in time of writing to the gateways.
const (
	gather   = 10 * time.Millisecond  // events that come together are written together
	retryMin = 100 * time.Millisecond // after a failure; doubles
	retryMax = 10 * time.Second
)

// syncLoop writes to the gateways of each GatewayProxy that is due, and to all
// of them once in a sync period, until ctx ends.
func (c *controller) syncLoop(ctx context.Context) {
	ticker := time.NewTicker(c.SyncPeriod)
	defer ticker.Stop()
	retries := map[types.NamespacedName]time.Duration{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			for _, proxy := range list[gatewayProxy](c.proxies) {
				c.schedule(named(proxy.Namespace, proxy.Name))
			}
			continue
		case <-c.wake:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(gather):
		}
		c.mu.Lock()
		due := slices.Collect(maps.Keys(c.due))
		clear(c.due)
		c.mu.Unlock()
		for _, proxy := range due {
			again, err := c.sync(ctx, proxy)
			if ctx.Err() != nil {
				return
			}
			c.note(proxy, err)
			if !again {
				delete(retries, proxy)
				continue
			}
			wait := min(max(2*retries[proxy], retryMin), retryMax)
			retries[proxy] = wait
			time.AfterFunc(wait, func() { c.schedule(proxy) })
		}
	}
}

// note keeps the result of a sync. When it differs from the last, the objects that go to
// these gateways get it into their status.
func (c *controller) note(proxy types.NamespacedName, err error) {
	message := ""
	if err != nil {
		message = err.Error()
		c.Log.Error("sync failed", "gatewayproxy", proxy.String(), "error", err)
	}
	c.mu.Lock()
	changed := c.refused[proxy] != message
	if message == "" {
		delete(c.refused, proxy)
	} else {
		c.refused[proxy] = message
	}
	var affected []object
	if changed {
		for key, want := range c.wanted {
			if want.proxy == proxy {
				affected = append(affected, key)
			}
		}
	}
	c.mu.Unlock()
	for _, key := range affected {
		c.queue.Add(key)
	}
}

// sync writes everything that is wanted behind a GatewayProxy to its gateways.
// again: some gateway could not be written to; the error is that of
// all of them.
func (c *controller) sync(ctx context.Context, name types.NamespacedName) (again bool, err error) {
	if ours, err := c.ours(name); err != nil || !ours {
		return false, err
	}
	proxy, err := get[gatewayProxy](c.proxies, name)
	if err != nil || proxy == nil {
		return false, err
	}
	key, err := c.adminKey(proxy)
	if err != nil {
		return false, err
	}
	bases, err := c.gateways(proxy)
	if err != nil {
		return false, err
	}
	if len(bases) == 0 {
		c.Log.Info("no gateway to write to yet", "gatewayproxy", name.String())
		return false, nil // its endpoints' appearance is an event
	}
	var all wanted
	c.mu.Lock()
	for _, want := range c.wanted {
		if want.proxy == name {
			all.ssls = append(all.ssls, want.ssls...)
			all.routes = append(all.routes, want.routes...)
		}
	}
	c.mu.Unlock()
	bugs := c.bugs(proxy)
	var failed []error
	for _, base := range bases {
		endpoint := adminapi.Endpoint{Base: base, Key: key, HTTP: c.http}
		if err := push(ctx, endpoint, all, bugs); err != nil {
			c.Log.Warn("gateway not written to", "gateway", base, "error", err)
			failed = append(failed, serverError(base, err))
		}
	}
	if len(failed) == len(bases) {
		return true, errors.Join(failed...)
	}
	return len(failed) > 0, nil
}

// serverError is a failed write as the status has it. The controller 2.2.0 hands
// on the answer of its ADC server, which has the Admin API's status and not its
// reason.
func serverError(base string, err error) error {
	var refused *adminapi.Refusal
	if errors.As(err, &refused) {
		return fmt.Errorf(`ServerAddr: %s, Err: HTTP 500: {"message":"AxiosError: Request failed with status code %d"}`, base, refused.Status)
	}
	return fmt.Errorf("ServerAddr: %s, Err: %w", base, err)
}

// adminKey finds the key to a GatewayProxy's Admin API.
func (c *controller) adminKey(proxy *gatewayProxy) (string, error) {
	plane := proxy.Spec.Provider.ControlPlane
	if plane == nil || plane.Auth.AdminKey == nil {
		return "", fmt.Errorf("gateway proxy %s/%s: no admin key", proxy.Namespace, proxy.Name)
	}
	name := keyReference(proxy)
	if name == nil {
		return plane.Auth.AdminKey.Value, nil
	}
	secret, err := c.secret(secretReference{Namespace: proxy.Namespace, Name: *name})
	if err != nil {
		return "", fmt.Errorf("gateway proxy %s/%s: admin key: %w", proxy.Namespace, proxy.Name, err)
	}
	return string(secret.Data[plane.Auth.AdminKey.ValueFrom.SecretKeyRef.Key]), nil
}

// gateways are the Admin APIs behind a GatewayProxy: the given endpoints, or
// each pod of its Service, ready or not, for a pod becomes ready when it has
// been written to.
func (c *controller) gateways(proxy *gatewayProxy) ([]string, error) {
	plane := proxy.Spec.Provider.ControlPlane
	if plane == nil || plane.Service == nil {
		if plane == nil {
			return nil, nil
		}
		return plane.Endpoints, nil
	}
	service, err := c.services.Services(proxy.Namespace).Get(plane.Service.Name)
	if err != nil {
		return nil, fmt.Errorf("gateway proxy %s/%s: %w", proxy.Namespace, proxy.Name, err)
	}
	i := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool {
		return plane.Service.Port == 0 || int(p.Port) == plane.Service.Port
	})
	if i < 0 {
		return nil, fmt.Errorf("gateway proxy %s/%s: service %s has no port %d", proxy.Namespace, proxy.Name, service.Name, plane.Service.Port)
	}
	pods, err := c.pods(named(proxy.Namespace, service.Name), service.Spec.Ports[i].Name, func(e discoveryv1.Endpoint) bool {
		return e.Conditions.Terminating == nil || !*e.Conditions.Terminating
	})
	var bases []string
	for _, pod := range pods {
		bases = append(bases, "http://"+pod.String())
	}
	return bases, err
}

// push writes the wanted objects to a gateway and deletes every other certificate. Routes that
// were made by hand stay: ADC finds the routes of a gateway by their services,
// and a route without a service by nothing. The stand-in has no services.
func push(ctx context.Context, endpoint adminapi.Endpoint, all wanted, bugs adminapi.Bugs) error {
	if err := putState(ctx, endpoint, adminapi.State{Bugs: bugs}); err != nil {
		return err
	}
	ssls, err := endpoint.SSLs(ctx)
	if err != nil {
		return err
	}
	err = difference(ctx, endpoint, adminapi.KindSSL, ssls, all.ssls,
		func(s adminapi.SSL) string { return s.ID },
		func(s adminapi.SSL) adminapi.SSL {
			s.Key, s.CreateTime, s.UpdateTime = adminapi.Encrypted(s.Key), 0, 0
			return s
		})
	if err != nil {
		return err
	}
	routes, err := endpoint.Routes(ctx)
	if err != nil {
		return err
	}
	routes = slices.DeleteFunc(routes, func(r adminapi.Route) bool { return r.Labels[adminapi.LabelManagedBy] != adminapi.ManagedBy })
	err = difference(ctx, endpoint, adminapi.KindRoute, routes, all.routes,
		func(r adminapi.Route) string { return r.ID },
		func(r adminapi.Route) adminapi.Route {
			r.CreateTime, r.UpdateTime = 0, 0
			return r
		})
	if err != nil {
		return err
	}
	return putState(ctx, endpoint, adminapi.State{Bugs: bugs, Synced: true})
}

// putState writes the control plane's state to a gateway stand-in. Another gateway does
// not know the path, and need not.
func putState(ctx context.Context, endpoint adminapi.Endpoint, state adminapi.State) error {
	err := endpoint.PutState(ctx, state)
	var refused *adminapi.Refusal
	if errors.As(err, &refused) && refused.Status == 404 {
		return nil
	}
	return err
}

// difference writes the objects that differ and deletes those that are not
// wanted. Objects are compared after comparable.
func difference[T any](ctx context.Context, endpoint adminapi.Endpoint, kind string, have, want []T, id func(T) string, comparable func(T) T) error {
	present := map[string]T{}
	for _, object := range have {
		present[id(object)] = comparable(object)
	}
	slices.SortFunc(want, func(a, b T) int { return cmp.Compare(id(a), id(b)) })
	for _, object := range want {
		before, ok := present[id(object)]
		delete(present, id(object))
		if ok && reflect.DeepEqual(before, comparable(object)) {
			continue
		}
		if err := endpoint.Put(ctx, kind, id(object), object); err != nil {
			return err
		}
	}
	for _, unwanted := range slices.Sorted(maps.Keys(present)) {
		if err := endpoint.Delete(ctx, kind, unwanted); err != nil {
			return err
		}
	}
	return nil
}
