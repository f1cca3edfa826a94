// Package certmanager knows how long cert-manager waits between two tries.
//
// A request that the issuer cannot sign for now, because Vault is sealed or a login
// fails, is Pending: it is tried again after 5 s, twice as long each time, at most
// after 5 minutes, and at once when the CertificateRequest changes, if only by an
// annotation. A request that was refused is Failed: the Certificate gets a new one
// after a pause of an hour by default, twice as long each time. An annotation of
// the Certificate does not shorten that; a change of its spec does, and so does the
// condition Issuing in its status, which cmctl renew sets. Source:
// DefaultItemBasedRateLimiter and pkg/controller/certificates/trigger in
// github.com/cert-manager/cert-manager, and seen on v1.21.2.
package certmanager

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// LongestPending is the longest pause between two tries of a pending request.
const LongestPending = 5 * time.Minute

// NextPending returns the latest time of the next try of a request or an issuer
// that has been pending since a time. cert-manager does not publish its tries, but
// each pause is twice the one before: the next one is no longer than all of them
// so far and the first two.
func NextPending(since, now time.Time) time.Time {
	const first = 5 * time.Second
	return now.Add(min(max(now.Sub(since), 0)+2*first, LongestPending))
}

// A Backoff is the pause after an issuance that failed: the first one and the
// longest one.
type Backoff struct{ First, Longest time.Duration }

// Next returns when the next try is due after the nth failure in a row.
func (b Backoff) Next(last time.Time, n int) time.Time {
	pause := b.First
	for ; n > 1 && pause < b.Longest; n-- {
		pause *= 2
	}
	return last.Add(max(b.First, min(pause, b.Longest)))
}

// DefaultBackoff is the pause of a cert-manager without configuration.
func DefaultBackoff() Backoff { return Backoff{time.Hour, 32 * time.Hour} }

// BackoffOf returns the pause that the cluster's cert-manager is configured to make
// (certificateRequestMinimumBackoffDuration, since v1.20), as its chart stores
// that. It is read once a step. Where it cannot be read, it is the default.
func BackoffOf(ctx context.Context, env *engine.Env, cluster *kubekit.Cluster) Backoff {
	b, err := engine.Share(ctx, env.Session, "cert-manager back-off of step "+env.Step, func(ctx context.Context) (Backoff, error) {
		b := DefaultBackoff()
		list, err := cluster.Client().CoreV1().ConfigMaps("").List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=controller"})
		if apierrors.IsForbidden(err) {
			return b, nil // that stays so
		}
		if err != nil {
			return b, err
		}
		for _, m := range list.Items {
			b.configure(m.Data["config.yaml"])
		}
		return b, nil
	})
	if err != nil {
		return DefaultBackoff()
	}
	return b
}

// configure takes over the pauses in a configuration of cert-manager's controller.
func (b *Backoff) configure(text string) {
	var config struct {
		Kind    string          `json:"kind"`
		Minimum metav1.Duration `json:"certificateRequestMinimumBackoffDuration"`
		Maximum metav1.Duration `json:"certificateRequestMaximumBackoffDuration"`
	}
	if yaml.Unmarshal([]byte(text), &config) != nil || config.Kind != "ControllerConfiguration" {
		return
	}
	if config.Minimum.Duration > 0 {
		b.First = config.Minimum.Duration
	}
	if config.Maximum.Duration > 0 {
		b.Longest = config.Maximum.Duration
	}
}
