package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/checkout"
	"github.com/ztplan/ztplan/cmd/ztplan/cijob"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/helminstall"
	"github.com/ztplan/ztplan/steps/session"
	"github.com/ztplan/ztplan/steps/session/cluster"
)

// subjectTimeout bounds the reads for the record once the run is over.
const subjectTimeout = 10 * time.Second

// subject collects the evidence about where the plan was run and by
// whom. Nothing that it cannot read is an error: it is left out with a remark.
func (r *reporting) subject(ctx context.Context, res *run.Result) *evidence.Subject {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), subjectTimeout)
	defer cancel()
	defer context.AfterFunc(r.kill, cancel)()
	s := r.about
	facts := cluster.Read(ctx, &r.env, r.namespaces)
	s.User, s.Images, s.Remarks = facts.User, facts.Images, append(s.Remarks, facts.Missing...)
	if facts.Cluster.Server != "" {
		s.Cluster = &facts.Cluster
	}
	return redacted(&s, res.Redactor, func(err string) *evidence.Subject { return &evidence.Subject{Remarks: []string{err}} })
}

// redacted returns v without the secrets of the run, or failed with why that could not be
// done.
func redacted[T any](v *T, r *run.Redactor, failed func(string) *T) *T {
	data, err := json.Marshal(r.Value(v))
	out := new(T)
	if err == nil {
		err = json.Unmarshal(data, out)
	}
	if err != nil {
		return failed(r.Text(err.Error()))
	}
	return out
}

// aboutRun is the part of the subject that is known before the run: it is read then, since
// the run may change files in the checkout.
func (a *app) aboutRun(ctx context.Context, p *plan.Plan, mirrors []session.Mirror) evidence.Subject {
	s := evidence.Subject{
		Variables: make(map[string]any), Only: a.only, Skip: a.skip, Job: cijob.Read(os.LookupEnv),
	}
	for _, name := range slices.Sorted(maps.Keys(p.Vars)) {
		if _, secret := p.Vars[name].(engine.Secret); secret {
			s.Secret = append(s.Secret, name)
		} else {
			s.Variables[name] = p.Vars[name]
		}
	}
	for _, m := range mirrors {
		s.Mirrors = append(s.Mirrors, evidence.Mirror{From: cijob.WithoutPassword(m.From), To: cijob.WithoutPassword(m.To)})
	}
	slices.SortFunc(s.Mirrors, func(a, b evidence.Mirror) int { return strings.Compare(a.From, b.From) })
	missing := func(what string, err error) {
		if err != nil {
			s.Remarks = append(s.Remarks, what+": "+err.Error())
		}
	}
	var err error
	s.Host, err = os.Hostname()
	missing("host", err)
	s.Binary, err = ownDigest()
	missing("digest of ztplan", err)
	ctx, cancel := context.WithTimeout(ctx, subjectTimeout)
	defer cancel()
	s.Checkout, err = checkout.Read(ctx, p.Dir)
	if s.Checkout == nil && err == nil {
		err = errors.New("the plan is in none")
	}
	missing("Git checkout", err)
	return s
}

// ownDigest returns the SHA-256 of the running program's file. It reads the file
// once: that is most of the time of a short command.
var ownDigest = sync.OnceValues(func() (string, error) {
	name, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
})

// releaseNamespaces returns the namespaces of the plan's Helm releases, as far
// as they are in the plan.
func releaseNamespaces(p *plan.Plan) []string {
	var out []string
	for _, s := range p.Steps {
		draft, unknown := s.Draft()
		spec, ok := draft.(*helminstall.Spec)
		if ok && !slices.Contains(unknown, "namespace") && !slices.Contains(out, spec.Namespace) {
			out = append(out, spec.Namespace)
		}
	}
	slices.Sort(out)
	return out
}
