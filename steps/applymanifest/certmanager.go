package applymanifest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certmanager"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// issued returns when the Certificate or its request has changed, or when
// cert-manager was to have tried again.
func (r *run) issued(ctx context.Context, watches []kubekit.Watch, i certmanager.Issuance) error {
	if i.Watch.Ref.Kind != "" {
		watches = append(slices.Clone(watches), i.Watch)
	}
	var limit time.Time
	if !i.Next.IsZero() {
		limit = time.Now().Add(max(time.Until(i.Next), 0) + settleTime)
	}
	return r.changed(ctx, watches, limit)
}

// failedIssuance returns a permanent error for a Certificate whose issuance has
// failed since its last change, if cert-manager tries again only when the step's
// time is over: it sets Issuing=False and lastFailureTime, and then makes a pause
// (cert-manager/cert-manager#6201).
func (r *run) failedIssuance(ctx context.Context, o *object) error {
	end, limited := ctx.Deadline()
	if !limited || o.gvk().GroupKind() != certmanager.CertificateKind {
		return nil
	}
	f := certmanager.FailureOf(o.live)
	if f == nil {
		return nil
	}
	return o.givenUp(*f, certmanager.BackoffOf(ctx, r.env, r.cluster), end)
}

func (o *object) givenUp(f certmanager.Failure, b certmanager.Backoff, end time.Time) error {
	next := b.Next(f.At, f.Times)
	if next.Before(end) {
		return nil
	}
	return engine.Permanent(engine.WithHint(
		fmt.Errorf("%s (%s): issuance failed: %s", o.ref, o.source, f.Message),
		fmt.Sprintf("remove the cause, then cmctl renew %s -n %s, or kubectl delete certificate %s -n %s (its Secret stays) and run again; by itself cert-manager tries again at %s, when the step's timeout is over",
			o.ref.Name, o.ref.Namespace, o.ref.Name, o.ref.Namespace, certs.Stamp(next))))
}
