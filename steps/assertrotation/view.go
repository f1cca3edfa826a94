package assertrotation

import (
	"strings"
	"time"

	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/probe"
)

// view renders the state of the rotation: a line, and below it one for each address.
func (r *rotation) view() string {
	v := probe.View{Record: r.rec, Now: r.proof.env.Now().Sub(r.began), Old: certs.Fingerprint(r.before.Secret.Leaf())}
	if r.target != nil {
		v.New = certs.Fingerprint(r.target)
	}
	return strings.Join(append([]string{r.status()}, v.Lines()...), "\n")
}

// remaining renders a countdown from a moment on.
func remaining(limit time.Duration, since, now time.Time) time.Duration {
	return max(limit-now.Sub(since), 0).Round(time.Second)
}
