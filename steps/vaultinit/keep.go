package vaultinit

import (
	"context"
	"errors"
	"fmt"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
)

// spread returns the edits that store the answer where it is missing.
func (s *Spec) spread(env *engine.Env, answer *unsealkeys.Answer, sinks []custody.Holding, strays []custody.Stray) []engine.Edit {
	var edits []engine.Edit
	have := 0
	for _, h := range sinks {
		if h.Answer != nil {
			have++
			continue
		}
		edits = append(edits, engine.Edit{
			Path: "keys/" + h.String(),
			Want: engine.NewSecret("shares and root token"),
			Note: "from where they are already",
			Apply: func(ctx context.Context) error {
				if err := custody.Put(ctx, h, answer); err != nil {
					return err
				}
				if have++; have < len(sinks) {
					return nil
				}
				var err error
				for _, left := range strays {
					if left.Answer != nil {
						err = errors.Join(err, left.Remove(ctx))
					}
				}
				return errors.Join(err, s.Keys.Pending(env).End(ctx))
			},
		})
	}
	return edits
}

// tidy returns the edits that remove the files of a run that was killed after the
// answer was stored. Files with other keys stay.
func (s *Spec) tidy(ctx context.Context, env *engine.Env, answer *unsealkeys.Answer, strays []custody.Stray, note string) []engine.Edit {
	var edits []engine.Edit
	remove := func(name, note string, f func(context.Context) error) {
		edits = append(edits, engine.Edit{Path: "keys/" + name, Have: "left behind", Note: note, Apply: f})
	}
	for _, left := range strays {
		switch {
		case left.Err != nil:
			env.Warnf("%v", left.Err)
		case left.Blank:
			remove(left.String(), "it has no keys", left.Remove)
		case left.Answer.SameKeys(answer):
			remove(left.String(), "its keys are in "+s.Keys.String(), left.Remove)
		default:
			env.Warnf("%s holds the keys of another Vault", left)
		}
	}
	if note != "" {
		remove(note, "the keys are in "+s.Keys.String(), s.Keys.Pending(env).End)
	}
	const fact = "has other names"
	if path, more := s.Keys.ManyNames(env, strays); more > 0 && !s.Keys.Marked(ctx, env, fact) {
		s.Keys.Mark(ctx, env, fact)
		env.Warnf("%s has %d more names (hard links): a root token that is taken out of it stays in those; find DIRECTORY -samefile %s lists those in a directory", path, more, path)
	}
	return edits
}

// busy is the edit that waits for another process: one of an earlier run that was
// killed goes on.
func (s *Spec) busy(env *engine.Env, note *custody.Note) engine.Edit {
	return engine.Edit{
		Path: "sys/init", Want: "the keys in " + s.Keys.String(),
		Have:  fmt.Sprintf("%v, since %s", custody.ErrBusy, note.Began.Format("15:04:05")),
		Await: s.Keys.Pending(env).Await,
	}
}
