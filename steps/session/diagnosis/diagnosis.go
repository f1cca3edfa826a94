// Package diagnosis reads, after a failure, the things that an engineer looks at first:
// whether Vault is sealed, the conditions of the objects that the failed steps name, the
// pods and the recent events in their namespaces, and the last log lines of containers that
// are not well.
//
// It only reads, and only things that the steps are about: no Secrets, no specs. A read that
// fails is a remark of one line and never an error: it must not hide the failure of the run.
// Texts of components may hold anything: the caller has to redact the result.
package diagnosis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// Bounds of a diagnosis: it is read by people.
const (
	mostPods    = 40
	mostEvents  = 25
	mostLogs    = 6
	mostLines   = 12
	mostObjects = 40
	mostText    = 400 // runes of a message or a line
)

// recent is the age up to which events count.
const recent = time.Hour

// A reader collects a diagnosis from several goroutines.
type reader struct {
	cluster *kubekit.Cluster // nil if the run did not reach one
	env     *engine.Env

	mu  sync.Mutex
	out evidence.Diagnosis
	wg  engine.Group
}

// Read reads the diagnosis for the specs of the failed steps, and the seals of the Vaults
// of all steps. ctx bounds it; a read that it cut off is a remark.
func Read(ctx context.Context, env *engine.Env, failed, all []any) *evidence.Diagnosis {
	r := &reader{env: env}
	r.out.At = time.Now()
	r.cluster, _ = kubekit.Connected(env)
	scope := scopeOf(failed)
	if r.cluster == nil {
		r.out.Remarks = append(r.out.Remarks, "cluster: the run did not reach one")
	}
	for _, v := range vaultsOf(all) {
		if r.cluster == nil && v.InCluster() != "" {
			continue
		}
		r.read("seal of Vault", func() error { return r.vault(ctx, v) })
	}
	if r.cluster != nil {
		for _, ref := range scope.Objects[:min(len(scope.Objects), mostObjects)] {
			r.read(ref.String(), func() error { return r.object(ctx, ref) })
		}
		for _, ns := range scope.Namespaces {
			r.read("pods in "+ns, func() error { return r.pods(ctx, ns) })
			r.read("events in "+ns, func() error { return r.events(ctx, ns) })
		}
	}
	r.wg.Wait()
	r.sort()
	return &r.out
}

// read calls get and turns its error into a remark.
func (r *reader) read(what string, get func() error) {
	r.wg.Go(func() {
		if err := engine.Try(get); err != nil {
			r.remark(what + ": " + short(err.Error()))
		}
	})
}

func (r *reader) remark(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.Remarks = append(r.out.Remarks, text)
}

// scopeOf joins the scopes of specs. A Vault in the cluster adds its namespace.
func scopeOf(specs []any) (scope kubekit.Scope) {
	for _, spec := range specs {
		if s, ok := spec.(kubekit.Scoper); ok {
			one := s.Scope()
			scope.Namespaces = append(scope.Namespaces, one.Namespaces...)
			scope.Objects = append(scope.Objects, one.Objects...)
		}
		if u, ok := spec.(vaultkit.User); ok {
			ns, _, _ := strings.Cut(u.VaultServer().InCluster(), "/")
			scope.Namespaces = append(scope.Namespaces, ns)
		}
	}
	slices.Sort(scope.Namespaces)
	scope.Namespaces = slices.DeleteFunc(slices.Compact(scope.Namespaces), func(ns string) bool { return ns == "" })
	return scope
}

// vaultsOf returns the Vaults of specs, each once.
func vaultsOf(specs []any) (list []vaultkit.Server) {
	known := make(map[string]bool)
	for _, spec := range specs {
		if u, ok := spec.(vaultkit.User); ok && !known[u.VaultServer().ID()] {
			known[u.VaultServer().ID()] = true
			list = append(list, u.VaultServer())
		}
	}
	return list
}

// vault reads the state of a seal, which needs no token.
func (r *reader) vault(ctx context.Context, server vaultkit.Server) error {
	c, err := vaultkit.ConnectServer(ctx, r.env, server)
	if err != nil {
		return err
	}
	s, err := c.SealStatus(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.Vaults = append(r.out.Vaults, evidence.VaultState{
		Server: c.Where(), Initialized: s.Initialized, Sealed: s.Sealed, Progress: s.Progress, Threshold: s.T, Version: s.Version,
	})
	return nil
}

// object reads the conditions of an object.
func (r *reader) object(ctx context.Context, ref kubekit.Ref) error {
	list, err := r.cluster.Status(ctx, ref)
	if err != nil {
		return err
	}
	st := list[0]
	o := evidence.ObjectState{Object: ref.String(), Done: st.Done, Message: short(st.Message)}
	if st.Object != nil {
		o.Conditions = conditions(st.Object)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.Objects = append(r.out.Objects, o)
	return nil
}

// sort brings everything into an order that does not depend on which answer came first, and
// bounds it.
func (r *reader) sort() {
	d := &r.out
	d.Logs = slices.DeleteFunc(d.Logs, func(l evidence.LogTail) bool { return len(l.Lines) == 0 })
	slices.SortFunc(d.Vaults, func(a, b evidence.VaultState) int { return strings.Compare(a.Server, b.Server) })
	slices.SortFunc(d.Objects, func(a, b evidence.ObjectState) int {
		return strings.Compare(rank(a.Done)+a.Object, rank(b.Done)+b.Object)
	})
	slices.SortFunc(d.Pods, func(a, b evidence.PodState) int {
		return strings.Compare(rank(a.Ready)+a.Namespace+"/"+a.Name, rank(b.Ready)+b.Namespace+"/"+b.Name)
	})
	slices.SortFunc(d.Events, func(a, b evidence.ClusterNote) int {
		if c := b.At.Compare(a.At); c != 0 {
			return c
		}
		return strings.Compare(a.Object+a.Reason, b.Object+b.Reason)
	})
	slices.SortFunc(d.Logs, func(a, b evidence.LogTail) int { return strings.Compare(a.Pod+"/"+a.Container, b.Pod+"/"+b.Container) })
	d.Pods, d.Events = d.Pods[:min(len(d.Pods), mostPods)], d.Events[:min(len(d.Events), mostEvents)]
	slices.Sort(d.Remarks)
	d.Remarks = slices.Compact(d.Remarks)
}

func rank(well bool) string { return fmt.Sprint(well) } // "false" before "true"

// short returns the first line of a text, of a bounded length.
func short(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if r := []rune(line); len(r) > mostText {
		return string(r[:mostText]) + "…"
	}
	return line
}
