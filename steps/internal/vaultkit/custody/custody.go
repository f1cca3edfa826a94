// Package custody keeps what Vault says once: the key shares and the root token.
//
// A plan names one or more sinks. Each is proven writable and empty before Vault
// is initialised; the answer is stored durably and read back before anything
// else happens. Should every sink fail at that moment, the answer goes to an
// emergency file rather than being lost, and the next run moves it to its sinks.
//
// The content of a sink is what "vault operator init -format=json" prints. The
// answer of Vault's API, which has other names for the same, is read as well.
//
// # Custodians
//
// With custodians, every share and the root token are encrypted before they
// reach a sink, and nothing is written in the clear anywhere, an emergency
// included. With age recipients this process encrypts, right after the answer;
// with PGP keys Vault does, and this process never has a share. All parts are in
// one document: it is there whole or not at all, so that no crash leaves the
// shares of some custodians and not of others. It holds nothing that is not
// public or encrypted: it may lie in git.
//
// # The window
//
// Between Vault's answer and its durable storage the answer is in this process
// alone. BenchmarkWindow measures that time: see the figures in package
// vaultinit. A [Pending] note, written before Vault is asked and removed after
// the answer is stored, tells the next run of a process that died in it.
package custody

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

// Keys says where the key shares and the root token are kept. At least one sink
// is needed; with several, each holds everything.
type Keys struct {
	// File is a file in the form of "vault operator init -format=json", readable
	// by its owner only. Its directory must exist. Inside a git work tree it must
	// be ignored.
	File engine.File `yaml:"file"`
	// Secret is a Secret in the plan's cluster. Whoever may read it can unseal
	// Vault and act as root, and so can whoever reads etcd unless it is
	// encrypted: it suits clusters that are thrown away.
	Secret *Secret `yaml:"secret"`
	// Custodians keep one share each: as many as there are shares, all with age
	// or all with PGP. Nothing is in the clear in the sinks then, and a file may be
	// committed to git.
	Custodians []Custodian `yaml:"custodians"`
	// RootToken says who can decrypt the root token. Needed with custodians.
	RootToken *Readers `yaml:"rootToken"`
	// Identities are files of age identities, as age-keygen writes them and
	// readable by their owner only: what they can decrypt, this plan can use. The
	// run that initialises Vault needs none.
	Identities []engine.File `yaml:"identities"`
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
	k.validateCustodians(p, field)
}

// A Sink is one place where an Answer is kept.
type Sink interface {
	// String names the sink in messages.
	String() string
	// Load returns what the sink holds, nil if nothing. What cannot be read or
	// is open to others is a permanent error.
	Load(ctx context.Context) (*Answer, error)
	// Prove makes sure that Store will succeed, as far as that can be known: the
	// sink is empty and takes what is written.
	Prove(ctx context.Context) error
	// Store keeps a durably, and returns only after it was read back. It never
	// overwrites.
	Store(ctx context.Context, a *Answer) error
}

// Sinks returns the sinks that k names, the file first. Without env they can
// only be named.
func (k Keys) Sinks(env *engine.Env) []Sink {
	var sinks []Sink
	if !k.File.IsZero() {
		path := k.File.Path
		if env != nil {
			path = env.Sink(k.File)
		}
		sinks = append(sinks, fileSink{name: k.File.Name, path: path, sealed: len(k.Custodians) > 0})
	}
	if k.Secret != nil {
		s := *k.Secret
		if s.Key == "" {
			s.Key = "vault-cluster-keys.json"
		}
		sinks = append(sinks, secretSink{env: env, Secret: s})
	}
	return sinks
}

// String names all sinks.
func (k Keys) String() string {
	var names []string
	for _, s := range k.Sinks(nil) {
		names = append(names, s.String())
	}
	return strings.Join(names, " and ")
}

// Emergency is the sink of last resort: a file beside the key file, or in the
// plan's directory.
func (k Keys) Emergency(env *engine.Env) Emergency {
	s := fileSink{name: k.File.Name + ".emergency", path: env.Sink(k.File) + ".emergency", emergency: true}
	if k.File.IsZero() {
		s.name = fmt.Sprintf("vault-keys-%s-%s.emergency", k.Secret.Namespace, k.Secret.Name)
		s.path = env.Sink(engine.File{Name: s.name, Path: filepath.Join(env.Dir, s.name)})
	}
	return Emergency{s}
}

// An Emergency is a Sink that can be given up again.
type Emergency struct{ fileSink }

// Free makes sure that the place is not taken: by keys that a run left there, most
// likely, which are not to be lost for others.
func (e Emergency) Free() error {
	if _, err := os.Lstat(e.path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return engine.WithHint(
		engine.Permanent(fmt.Errorf("%s: is there, and would be needed if the sinks failed", e)),
		"move it away, but keep it while the Vault that it is of exists, or a copy of that one's data")
}

// A Holding is a sink and what it holds, nil for nothing.
type Holding struct {
	Sink
	Answer *Answer
}

// Look loads every sink. Sinks that hold different keys are a permanent error:
// one of them belongs to another Vault. answer is what they hold, nil if none
// holds anything, with what this run can decrypt of it.
func (k Keys) Look(ctx context.Context, env *engine.Env) (answer *Answer, all []Holding, err error) {
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
			return nil, nil, engine.WithHint(
				engine.Permanent(fmt.Errorf("%s and %s hold the keys of two different Vaults", holder, s)),
				"move the one away that does not belong to this Vault")
		}
	}
	if answer != nil {
		if err := k.Open(ctx, env, answer); err != nil {
			return nil, nil, err
		}
	}
	return answer, all, nil
}

// StoreAll keeps a in every sink of all that holds nothing. Failing ones do not
// keep the others from being tried. stored says whether a is safe in one.
func StoreAll(ctx context.Context, all []Holding, a *Answer) (stored bool, err error) {
	var errs []error
	for _, h := range all {
		if h.Answer != nil {
			stored = true
			continue
		}
		if err := h.Store(ctx, a); err != nil {
			errs = append(errs, err)
			continue
		}
		stored = true
	}
	return stored, errors.Join(errs...)
}
