package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/checkout"
	"github.com/ztplan/ztplan/cmd/ztplan/cijob"
	"github.com/ztplan/ztplan/cmd/ztplan/report"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/redact"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/evidence"
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
func redacted[T any](v *T, r *redact.Redactor, failed func(string) *T) *T {
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
		Variables: make(map[string]any), Only: a.Only, Skip: a.Skip, Job: cijob.Read(os.LookupEnv),
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
	s.Binary, err = report.OwnDigest()
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
