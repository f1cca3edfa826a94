package applymanifest

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
	"github.com/ztplan/ztplan/steps/internal/kubekit/refusal"
)

const (
	// kindPatience is how long an object waits for its kind to be served when
	// no CustomResourceDefinition of the step explains why it is not.
	kindPatience = 30 * time.Second

	firstPause = 100 * time.Millisecond
	longPause  = 2 * time.Second
)

// apply applies one object. It waits here for conditions of a few moments,
// because they need no new look and must not use up the step's attempts: the
// kind of a CustomResourceDefinition that has just been applied, and an
// admission webhook that does not answer yet.
func (r *run) apply(ctx context.Context, o *object) error {
	ctx = warnOnce(ctx, r.env)
	patience := time.Now().Add(kindPatience)
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := r.applyOnce(ctx, o)
		if err == nil {
			return nil
		}
		switch {
		case refusal.WebhookDown(err):
			r.env.Statusf("%s waits for an admission webhook: %s", o.ref, refusal.StatusOf(err).Message)
		case unserved(err):
			crd := r.crdOf(o.gvk())
			if crd == nil && time.Now().After(patience) {
				return engine.WithHint(fmt.Errorf("%s (%s): kind %s of %s is not served by the cluster", o.ref, o.source, o.gvk().Kind, o.gvk().GroupVersion()),
					"the CustomResourceDefinition is missing or not Established: install it in an earlier step")
			}
			if crd != nil {
				if err := r.crdFailed(ctx, crd); err != nil {
					return err
				}
			}
			r.env.Statusf("%s waits for the kind %s to be served", o.ref, o.gvk().Kind)
		case refusal.NamespaceEnding(err):
			r.env.Statusf("%s waits until namespace %s is deleted", o.ref, o.ref.Namespace)
		default:
			return r.explain(o, err)
		}
		if ended := engine.Pause(ctx, pause); ended != nil {
			return engine.WithoutEffect(r.explain(o, fmt.Errorf("%w; %w", ended, err)))
		}
	}
}

func (r *run) applyOnce(ctx context.Context, o *object) error {
	if _, err := r.resolve(o); err != nil {
		return err
	}
	resource, err := r.resource(o)
	if err != nil {
		return err
	}
	made, err := r.patch(ctx, resource, o, r.spec.Force)
	if madeAnew(err) {
		return fmt.Errorf("%s (%s): it was deleted and made anew since it was looked at", o.ref, o.source)
	}
	if err != nil || !kubestatus.Vanishes(o.obj) {
		return err
	}
	if r.spec.Wait.For == waitNone {
		return r.recordEnd(ctx, o, made.GetUID()) // its end is not waited for
	}
	seen, err := r.finishes(ctx)
	if err != nil {
		return err
	}
	seen.Store(o.ref.String(), made.GetUID())
	return r.keepVigil(ctx, o, made)
}

// madeAnew reports whether the API server refused the UID of a write: the object
// has another one.
func madeAnew(err error) bool {
	status := refusal.StatusOf(err)
	return status != nil && status.Details != nil && slices.ContainsFunc(status.Details.Causes, func(c metav1.StatusCause) bool {
		return c.Field == "metadata.uid"
	})
}

// unserved reports whether the API server does not know the kind (yet): it is
// not in discovery, or its handler is still missing.
func unserved(err error) bool {
	return kubekit.IsNoKind(err) || apierrors.IsNotFound(err) && !refusal.NamespaceMissing(err)
}

// crdFailed returns an error if the CustomResourceDefinition will never be
// Established.
func (r *run) crdFailed(ctx context.Context, crd *object) error {
	statuses, err := r.cluster.Status(ctx, crd.ref)
	if err != nil {
		return nil // asked again
	}
	if st := statuses[0]; st.Failed {
		return engine.Permanent(fmt.Errorf("%s (%s): %s", crd.ref, crd.source, st.Message))
	}
	return nil
}
