package assertrotation

import (
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
)

// Changes declares the edits of Prove.
func (s *Spec) Changes() []engine.Edit {
	var list []engine.Edit
	if s.During != nil {
		list = append(list, s.During.Changes()...)
	}
	if s.Trigger == triggerIntermediate && s.Intermediate != nil {
		list = append(list, s.Intermediate.Changes()...)
	}
	if s.Trigger != triggerWait {
		list = append(list, certwatch.Renewal(s.Certificate))
	}
	if s.Intermediate != nil {
		for _, ref := range s.Intermediate.Certificates {
			list = append(list, certwatch.Renewal(ref))
		}
	}
	return list
}
