package vaultinit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
)

// initialise returns the edit that initialises Vault.
func (s *Spec) initialise(ctx context.Context, env *engine.Env, node vaultkit.State, held *unsealkeys.Answer) (engine.Edit, error) {
	if held != nil {
		return engine.Edit{}, vaultkit.Refusal("move them away, but keep them while that Vault or a copy of its data exists",
			"vault is not initialised, but %s holds keys: they belong to another Vault", s.Keys)
	}
	// Keys that a run left are not to be lost for others.
	for _, left := range s.Keys.Strays(ctx, env, nil) {
		if !left.Blank {
			return engine.Edit{}, vaultkit.Refusal("move it away, but keep it while the Vault that it is of exists, or a copy of that one's data",
				"%s: is there, and would be needed if the sinks failed", left)
		}
	}
	encryption, err := s.Keys.Encryption()
	if err != nil {
		return engine.Edit{}, err
	}
	want := map[string]any{"shares": s.Shares, "threshold": s.Threshold, "keys": s.Keys.String()}
	if readers := encryption.Readers(); len(readers) > 0 {
		want["encryptedTo"] = readers
	}
	edit := engine.Edit{
		Path:  "sys/init",
		Want:  want,
		Apply: func(ctx context.Context) error { return s.begin(ctx, env, node) },
	}
	if node.Pod != "" {
		edit.Note = "in pod " + node.Pod + "; the others join it when they are unsealed"
	}
	return edit, nil
}

// begin leaves the note, has Vault initialised, and remembers the answer.
func (s *Spec) begin(ctx context.Context, env *engine.Env, node vaultkit.State) error {
	learned, err := s.learnedToken(ctx, env)
	if err != nil {
		return err
	}
	note, err := s.Keys.Pending(env).Begin(ctx, env, node.Where())
	switch {
	case errors.Is(err, custody.ErrBusy):
		return err
	case err != nil:
		// It only explains; all its places may be read-only.
		env.Logf("no note of the initialisation is left: %v", err)
	default:
		defer note.Close()
	}
	if err := ctx.Err(); err != nil {
		return errors.Join(context.Cause(ctx), s.Keys.Pending(env).End(ctx))
	}
	answer, err := s.detached(ctx, env, node, note)
	if errors.Is(err, errNotDetached) {
		// It must not be cut short: the answer comes once.
		answer, err = s.ask(context.WithoutCancel(ctx), env, node.Pod, node.Type, os.Stderr)
	}
	if answer == nil {
		return err
	}
	learned.Store(&answer.RootToken)
	if len(answer.Sealed) > 0 {
		// Even if nothing was stored: this run can still use the keys.
		err = errors.Join(err, s.Keys.Remember(ctx, env, answer))
	}
	return err
}

// ask makes room for the keys, initialises Vault in the pod ("" for the only server) and
// stores the answer; last gets the keys if no file can be written. The answer is not nil as
// soon as Vault has given it.
func (s *Spec) ask(ctx context.Context, env *engine.Env, pod, seal string, last io.Writer) (*unsealkeys.Answer, error) {
	pending := s.Keys.Pending(env)
	nothing := func(err error) (*unsealkeys.Answer, error) { return nil, errors.Join(err, pending.End(ctx)) }
	c, err := s.Vault.Node(ctx, env, pod)
	if err != nil {
		return nothing(err)
	}
	encryption, err := s.Keys.Encryption()
	if err != nil {
		return nothing(err)
	}
	size, err := encryption.Bound(s.Shares, s.Threshold)
	if err != nil {
		return nothing(err)
	}
	room, err := custody.Reserve(ctx, s.Keys.Sinks(env), size)
	if err != nil {
		return nothing(err)
	}
	defer room.Release(ctx)
	response, err := c.Init(ctx, seal, vaultkit.InitRequest{
		SecretShares: s.Shares, SecretThreshold: s.Threshold,
		PGPKeys: encryption.PGPKeys(), RootTokenPGPKey: encryption.RootTokenPGPKey(),
	})
	switch {
	case errors.Is(err, vaultkit.ErrAnswerLost):
		if s.looks(env, s.Keys.Strays(ctx, env, nil)) != nil {
			return nil, engine.WithHint(err, keepAll)
		}
		return nil, engine.WithHint(err, s.startOver())
	case refused(err):
		return nothing(err)
	case err != nil:
		return nil, err
	}
	env.Conceal(unsealkeys.NewAnswer(response, s.Shares, s.Threshold).Secrets()...)
	answer, err := encryption.Encrypt(response, s.Shares, s.Threshold)
	if err != nil {
		return answer, engine.WithHint(
			engine.Permanent(fmt.Errorf("vault is initialised, and its keys were not stored, since they are not encrypted: %w", err)), s.startOver())
	}
	if err := s.keep(ctx, env, answer, room, last); err != nil {
		return answer, err
	}
	return answer, pending.End(ctx)
}

// refused reports whether Vault has certainly not initialised itself.
func refused(err error) bool {
	var e *vaultkit.Error
	return errors.As(err, &e) && e.Status < http.StatusInternalServerError
}

// keep stores the answer in the sinks, and somewhere at all costs.
func (s *Spec) keep(ctx context.Context, env *engine.Env, answer *unsealkeys.Answer, room custody.Reservations, last io.Writer) error {
	stored, err := room.Store(ctx, answer)
	if stored {
		return err
	}
	where, lost := s.Keys.Rescue(ctx, env, room, answer, last)
	switch {
	case errors.Is(lost, custody.ErrLost):
		return engine.WithHint(
			engine.Permanent(fmt.Errorf("vault is initialised, and its keys could not be stored anywhere: %w", errors.Join(err, lost))), s.startOver())
	case lost != nil:
		return vaultkit.Refusal("save them from there, make room, put them where keys says, and run again; who can read that output knows what is in the clear there: rekey Vault then",
			"vault is initialised, its keys could be stored in no file, and were written to %s: %w", where, errors.Join(err, lost))
	}
	return vaultkit.Refusal("make room for them and run again: the next run moves them where they belong",
		"the keys could not be stored and are in %s: %w", where, err)
}
