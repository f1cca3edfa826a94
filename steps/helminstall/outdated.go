package helminstall

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/release"
)

// outdated returns the edits that delete pods which an upgrade has not reached, if the plan
// wants that, and warns about them otherwise. If the release is not settled, they come later:
// their revision may change again.
func (w *installation) outdated(ctx context.Context, env *engine.Env, state *release.State, settled bool) ([]engine.Edit, error) {
	if !settled {
		return nil, nil
	}
	pods, err := state.Outdated(ctx)
	if apierrors.IsForbidden(err) && w.spec.OnDelete == onDeleteKeep {
		return nil, nil // without the permission to list pods there is no warning
	}
	if err != nil {
		return nil, err
	}
	if w.spec.OnDelete == onDeleteRestart {
		edits := make([]engine.Edit, len(pods))
		for i, p := range pods {
			edits[i] = p.Restart(w.spec.Wait)
		}
		return edits, nil
	}
	for _, p := range pods {
		_, err := engine.Share(ctx, env.Session, "helmInstall outdated "+env.Step+" "+p.String(), func(context.Context) (bool, error) {
			env.Warnf("%s: delete it, or set onDelete: restart", p)
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}
