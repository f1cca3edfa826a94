package assertrotation

import (
	"fmt"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/internal/certs"
)

// withDeadline adds to the detail of the first finding that does not hold until when
// clients are served in spite of it. The cause of the finding stays without that.
func (p *proof) withDeadline(findings []engine.Finding) {
	for i := range findings {
		if f := &findings[i]; !f.Holds {
			if text := p.deadline(p.env.Now()); text != "" {
				f.Cause = f.Reason()
				if f.Detail != "" {
					f.Detail += "; "
				}
				f.Detail += text
			}
			return
		}
	}
}

// until returns until when the certificate on the wire is valid, the first to expire of
// several; zero if the wire shows none.
func (p *proof) until() time.Time {
	if s := p.rec.FirstToExpire(); s != nil {
		return s.Current.NotAfter
	}
	return time.Time{}
}

// deadline renders until when the certificate on the wire is valid, the first
// to expire of several; if the wire shows none, that of the Secret. It is "" if
// neither is known.
func (p *proof) deadline(now time.Time) string {
	served := p.rec.FirstToExpire()
	switch {
	case served != nil:
		return fmt.Sprintf("the certificate that %s serves (serial %s) %s", served.Name, certs.Serial(served.Current), display.Holds(served.Current.NotAfter, now))
	case p.state.Secret != nil:
		return fmt.Sprintf("the certificate in the Secret (serial %s) %s", certs.Serial(p.state.Secret.Leaf()), display.Holds(p.state.Secret.Leaf().NotAfter, now))
	}
	return ""
}
