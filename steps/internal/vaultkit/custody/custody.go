// Package custody stores the key shares and the root token, which Vault gives once.
// The document that it stores is the subject of package unsealkeys.
//
// A plan names one or more sinks. Before Vault is initialised, each is empty and has
// room for the whole answer, written and synced; the answer is stored durably and
// read back before anything else happens. If every sink fails after the answer, it
// goes to an emergency file or, at last, to standard error, and the next run moves it
// to the sinks.
//
// A process may end between any two of its system calls. A file that it leaves beside
// a sink is a [Stray]: one with keys, which the next run adopts; one without, which
// it removes; or an unreadable one, which it names and leaves alone.
//
// No library for atomic files serves here: they write when the content is known, and
// a disk that is full then would lose the keys. The room is reserved before the
// question, becomes the key file by a link that never replaces one, and is adopted
// from wherever a killed process left it.
//
// # Custodians
//
// With custodians, every share and the root token are encrypted before they
// reach a sink, and nothing is written in the clear anywhere, an emergency
// included.
//
// # The window
//
// Between Vault's answer and its durable storage the answer is in one process
// alone. BenchmarkWindow measures that time: see package vaultinit. A [Pending]
// note, written before Vault is asked and removed after the answer is stored, shows
// the next run that a process died in the window; its lock shows a process that is
// alive.
package custody

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
	"github.com/ztplan/ztplan/steps/session"
)

// Keys names the sinks of the key shares and the root token. At least one sink
// is needed; with several, each holds everything.
type Keys struct {
	// File is a file in the form of "vault operator init -format=json", readable
	// by its owner only. Its directory must exist. Inside a git work tree it must
	// be ignored.
	File engine.File `yaml:"file"`
	// Secret is a Secret in the plan's cluster. Its readers can unseal Vault and
	// act as root, and so can readers of etcd unless it is encrypted: it suits
	// clusters that are thrown away.
	Secret *Secret `yaml:"secret"`
	// Custodians keep one share each: as many as there are shares, all with age
	// or all with PGP. Nothing is in the clear in the sinks then, and a file may be
	// committed to git.
	Custodians []unsealkeys.Custodian `yaml:"custodians"`
	// RootToken names the readers of the root token. Needed with custodians.
	RootToken *unsealkeys.Readers `yaml:"rootToken"`
	// Identities are files of age identities, as age-keygen writes them and
	// readable by their owner only. The plan can use the parts that they decrypt. The
	// run that initialises Vault needs none.
	Identities []engine.File `yaml:"identities"`
}

// InCluster reports whether the keys may be in the cluster, given the inputs that
// are not known yet; field is the path of the input.
func (k Keys) InCluster(field string, unknown []string) bool {
	return k.Secret != nil || !engine.Known(field+".secret", unknown)
}

// A Secret names a Kubernetes Secret.
type Secret struct {
	// Namespace of the Secret. It must exist.
	Namespace string `yaml:"namespace" check:"required"`
	// Name of the Secret.
	Name string `yaml:"name" check:"required"`
	// Key inside the Secret. The default is vault-cluster-keys.json.
	Key string `yaml:"key"`
}

// Validate reports a plan without a sink, and keys of custodians that cannot be
// encrypted to; field is the path of the input.
func (k Keys) Validate(p *engine.Problems, field string) {
	if k.File.IsZero() && k.Secret == nil {
		p.AddProblem(engine.Problem{
			Field:   field,
			Message: "names no place for the key shares and the root token",
			Hint:    "set " + field + ".file, " + field + ".secret or both",
		})
	}
	unsealkeys.Validate(k.Custodians, k.RootToken, p, field)
}

// Encryption reads the keys of the custodians. Its error is permanent.
func (k Keys) Encryption() (*unsealkeys.Encryption, error) {
	return unsealkeys.NewEncryption(k.Custodians, k.RootToken)
}

// Fits returns a permanent error unless a is kept as k asks for: in the clear, or
// encrypted to the custodians of the plan.
func (k Keys) Fits(a *unsealkeys.Answer) error {
	e, err := k.Encryption()
	if err != nil {
		return err
	}
	return e.Fits(a, k)
}

// A Sink is one place where an Answer is kept.
type Sink interface {
	// String names the sink in messages.
	String() string
	// Load returns the keys in the sink, nil for one that does not exist. A sink that
	// cannot be read, has no keys or is open to others is a permanent error.
	Load(ctx context.Context) (*unsealkeys.Answer, error)
	// Reserve makes sure, as far as possible, that size bytes can be stored: the
	// sink is empty and can be written.
	Reserve(ctx context.Context, size int) (Reservation, error)
	// Forget takes token out of the sink and leaves everything else as it is,
	// byte for byte. It happens at once or not at all, and Forget returns only
	// after it was read back. A sink without a token is left alone; one that holds
	// another token is an error.
	Forget(ctx context.Context, token engine.Secret) error
}

// A Reservation is room for the keys in a sink.
type Reservation interface {
	// Store keeps a durably, and returns only after it was read back. It never
	// overwrites.
	Store(ctx context.Context, a *unsealkeys.Answer) error
	// Release gives up room that Store has not used.
	Release(ctx context.Context)
}

// Reserve makes room for size bytes in every sink, or in none.
func Reserve(ctx context.Context, sinks []Sink, size int) (Reservations, error) {
	var all Reservations
	for _, s := range sinks {
		r, err := s.Reserve(ctx, size)
		if err != nil {
			all.Release(ctx)
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// Reservations are rooms for the same keys.
type Reservations []Reservation

// Release gives up room that Store has not used.
func (all Reservations) Release(ctx context.Context) {
	for _, r := range all {
		r.Release(ctx)
	}
}

// storeTimeout bounds Store, so that Rescue has its turn.
const storeTimeout = time.Minute

// Store keeps a in every sink. Failing ones do not keep the others from being
// tried. stored reports whether a is safe in one.
func (all Reservations) Store(ctx context.Context, a *unsealkeys.Answer) (stored bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, storeTimeout, fmt.Errorf("not stored after %v", storeTimeout))
	defer cancel()
	var errs []error
	for _, r := range all {
		err := r.Store(ctx, a)
		stored = stored || err == nil
		errs = append(errs, err)
	}
	return stored, errors.Join(errs...)
}

// Sinks returns the sinks that k names, the file first. Without env they can
// only be named.
func (k Keys) Sinks(env *engine.Env) []Sink {
	var sinks []Sink
	if !k.File.IsZero() {
		sinks = append(sinks, k.fileSink(env))
	}
	if k.Secret != nil {
		sinks = append(sinks, secretSink{env: env, Secret: k.Secret.withDefault()})
	}
	return sinks
}

func (k Keys) fileSink(env *engine.Env) fileSink {
	path := k.File.Path
	if env != nil {
		path = session.Of(env).Sink(k.File)
	}
	return fileSink{name: k.File.Name, path: path, sealed: len(k.Custodians) > 0}
}

func (s Secret) withDefault() Secret {
	s.Key = cmp.Or(s.Key, "vault-cluster-keys.json")
	return s
}

// String names all sinks.
func (k Keys) String() string {
	var names []string
	for _, s := range k.Sinks(nil) {
		names = append(names, s.String())
	}
	return strings.Join(names, " and ")
}

// Absent is the part of a sentence for sinks that do not exist. An existing one is never
// empty: it holds keys, or Load returns an error.
func (k Keys) Absent() string {
	if len(k.Sinks(nil)) > 1 {
		return k.String() + " do not exist"
	}
	return k.String() + " does not exist"
}

// A Holding is a sink and the keys in it, nil for none.
type Holding struct {
	Sink
	Answer *unsealkeys.Answer
}

// Look loads every sink. Sinks that hold different keys are a permanent error: one of
// them belongs to another Vault. answer is their document, nil if all are empty, with
// the parts that this run can decrypt.
func (k Keys) Look(ctx context.Context, env *engine.Env) (answer *unsealkeys.Answer, all []Holding, err error) {
	var holder Sink
	for _, s := range k.Sinks(env) {
		a, err := s.Load(ctx)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, Holding{s, a})
		switch {
		case a == nil:
		case answer == nil:
			answer, holder = a, s
		case !answer.SameKeys(a):
			return nil, nil, twoVaults(holder, s)
		}
	}
	if answer != nil {
		if err := k.Open(ctx, env, answer); err != nil {
			return nil, nil, err
		}
	}
	return answer, all, nil
}

func twoVaults(a, b fmt.Stringer) error {
	return vaultkit.Refusal("move the one away that does not belong to this Vault",
		"%s and %s hold the keys of two different Vaults", a, b)
}

// Put keeps a in one sink that holds nothing.
func Put(ctx context.Context, s Sink, a *unsealkeys.Answer) error {
	room, err := Reserve(ctx, []Sink{s}, len(a.Encode()))
	if err != nil {
		return err
	}
	defer room.Release(ctx)
	_, err = room.Store(ctx, a)
	return err
}
