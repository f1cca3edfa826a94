package vaultinit

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
	"github.com/ztplan/ztplan/steps/session"
)

// Detached is the name of the process that asks Vault; it runs [Serve].
const Detached = "vaultInit"

// An order is the input of that process. The spec has no secrets: those of the
// connections are in files that both can read.
type order struct {
	Plan, Step, Dir, StateDir, CacheDir string

	Settings  session.Settings
	Pod, Seal string
	Spec      Spec
}

// A message is the output of that process: a line, or at its end the answer.
type message struct {
	Log, Warning string

	Done bool

	Error, Hint string
	Permanent   bool

	Document       []byte // the answer as it is kept, nil without one
	Shares, Opened []string
	RootToken      string
}

// errNotDetached is a process that could not be started.
var errNotDetached = errors.New("no process of its own")

// detached has a process of its own ask, which goes on if this one is killed. That
// process holds note, nil for none, as long as it lives. detached stops waiting for
// it when ctx ends.
func (s *Spec) detached(ctx context.Context, env *engine.Env, node vaultkit.State, note *os.File) (*unsealkeys.Answer, error) {
	if env.Detach == nil {
		return nil, errNotDetached
	}
	conn, err := env.Detach(Detached, note)
	if err != nil {
		env.Warnf("vault is asked for its keys by this process, and they are lost if it is killed before they are stored: %v", err)
		return nil, errNotDetached
	}
	type end struct {
		message
		err error
	}
	ended := make(chan end, 1)
	lines := make(chan message)
	go func() {
		var m message
		err := engine.Try(func() error {
			err := gob.NewEncoder(conn).Encode(order{
				Plan: env.Plan, Step: env.Step, Dir: env.Dir, StateDir: env.StateDir, CacheDir: env.CacheDir,
				Settings: session.Of(env), Pod: node.Pod, Seal: node.Type, Spec: *s,
			})
			for in := gob.NewDecoder(conn); err == nil && !m.Done; {
				m = message{} // gob leaves fields that are not sent as they are
				if err = in.Decode(&m); err != nil || m.Done {
					break
				}
				select {
				case lines <- m:
				case <-ctx.Done():
				}
			}
			return err
		})
		_ = conn.Close() // when the process is over, and its lock
		ended <- end{m, err}
	}()
	for {
		select {
		case m := <-lines:
			if m.Warning != "" {
				env.Warnf("%s", m.Warning)
			} else {
				env.Logf("%s", m.Log)
			}
		case m := <-ended:
			if m.err != nil {
				return nil, fmt.Errorf("the process that asked Vault ended without a word (%w): looking at what it did", m.err)
			}
			answer, err := m.answer()
			if answer != nil {
				env.Conceal(answer.Secrets()...)
			}
			return answer, err
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: a process of its own goes on with it and stores the keys", context.Cause(ctx))
		}
	}
}

// answer returns the answer and the error in the message.
func (m message) answer() (*unsealkeys.Answer, error) {
	var err error
	if m.Error != "" {
		err = errors.New(m.Error)
		if m.Permanent {
			err = engine.Permanent(err)
		}
		if m.Hint != "" {
			err = engine.WithHint(err, m.Hint)
		}
	}
	if m.Document == nil {
		return nil, err
	}
	a, damaged := unsealkeys.Decode(m.Document)
	if damaged != nil {
		return nil, errors.Join(err, damaged)
	}
	if len(a.Sealed) > 0 {
		a.Opened, a.RootToken = m.Opened, engine.NewSecret(m.RootToken)
		for _, s := range m.Shares {
			a.Shares = append(a.Shares, engine.NewSecret(s))
		}
	}
	return a, err
}

// serveTimeout bounds the life of the process that asks: the first contact, the
// request and the storing each have their own limits, which are shorter.
const serveTimeout = 5 * time.Minute

// Serve is the body of the process that asks Vault: it reads its order from conn and
// writes its messages there, as long as the run reads them. last gets the keys if
// they can be stored in no file.
func Serve(conn io.ReadWriter, last io.Writer) error {
	var o order
	if err := gob.NewDecoder(conn).Decode(&o); err != nil {
		return fmt.Errorf("this command is for ztplan itself: %w", err)
	}
	out := gob.NewEncoder(conn)
	var shared engine.Session
	defer shared.Close()
	send := func(m message) { _ = out.Encode(m) } // the run may be gone
	env := &engine.Env{
		Plan: o.Plan, Step: o.Step, Dir: o.Dir, StateDir: o.StateDir, CacheDir: o.CacheDir,
		Settings: o.Settings, Session: &shared, Now: time.Now,
		Logf:    func(format string, args ...any) { send(message{Log: fmt.Sprintf(format, args...)}) },
		Warnf:   func(format string, args ...any) { send(message{Warning: fmt.Sprintf(format, args...)}) },
		Statusf: func(string, ...any) {},
		Record:  func(string, any) {},
		Conceal: func(...engine.Secret) {}, // the run, which shows the messages, conceals
	}
	ctx, cancel := context.WithTimeout(engine.AllowWrites(context.Background()), serveTimeout)
	defer cancel()
	answer, err := o.Spec.ask(ctx, env, o.Pod, o.Seal, last)
	m := message{Done: true}
	if err != nil {
		m.Error, m.Hint, m.Permanent = err.Error(), engine.HintOf(err), errors.Is(err, engine.ErrPermanent)
	}
	if answer != nil {
		m.Document, m.Opened, m.RootToken = answer.Encode(), answer.Opened, answer.RootToken.Reveal()
		for _, s := range answer.Shares {
			m.Shares = append(m.Shares, s.Reveal())
		}
	}
	send(m)
	return nil
}
