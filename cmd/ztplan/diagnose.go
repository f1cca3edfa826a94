package main

import (
	"context"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/session/diagnosis"
)

// diagnosisTimeout bounds the reads of the diagnosis, beside those of [subjectTimeout].
// The second signal of a CI system that cancels a job ends both.
const diagnosisTimeout = 5 * time.Second

// diagnose reads the state of the world that the failed steps are about; nil if none
// failed. An interrupt does not end it, a second one does.
func (r *reporting) diagnose(ctx context.Context, res *run.Result) *evidence.Diagnosis {
	var failed, all []any
	for i, s := range res.Steps { // in the plan's order
		spec, _ := r.plan.Steps[i].Draft()
		all = append(all, spec)
		if s.State == run.Failed {
			failed = append(failed, spec)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), diagnosisTimeout)
	defer cancel()
	defer context.AfterFunc(r.kill, cancel)()
	var d *evidence.Diagnosis
	unread := func(why string) *evidence.Diagnosis {
		return &evidence.Diagnosis{At: time.Now(), Remarks: []string{why}}
	}
	if err := engine.Try(func() error { d = diagnosis.Read(ctx, &r.env, failed, all); return nil }); err != nil {
		d = unread(display.FirstLine(err.Error())) // the failure is reported without it
	}
	return redacted(d, res.Redactor, unread)
}
