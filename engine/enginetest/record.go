package enginetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/ztplan/ztplan/engine"
)

// minSecret is the length from which a secret is looked for: shorter texts
// occur by chance.
const minSecret = 6

// record holds all texts that a step produced, to look for secrets in them.
type record struct {
	mu      sync.Mutex
	texts   []recorded
	secrets []string
}

type recorded struct{ where, text string }

func (r *record) plant(secrets ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range secrets {
		if len(s) >= minSecret && !slices.Contains(r.secrets, s) {
			r.secrets = append(r.secrets, s)
		}
	}
}

func (r *record) add(where, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts = append(r.texts, recorded{where, text})
}

// listen returns a copy of env that records all that the step reports through it.
func (r *record) listen(env *engine.Env) *engine.Env {
	recording := *env
	through := func(where string, to func(string, ...any)) func(string, ...any) {
		return func(format string, args ...any) {
			text := fmt.Sprintf(format, args...)
			r.add(where, text)
			if to != nil {
				to("%s", r.redact(text))
			}
		}
	}
	recording.Logf = through("log", env.Logf)
	recording.Statusf = through("status", env.Statusf)
	recording.Warnf = through("warning", env.Warnf)
	recording.Record = func(name string, data any) {
		r.data("record "+name, data)
		if env.Record != nil {
			env.Record(name, data)
		}
	}
	if env.Conceal == nil {
		recording.Conceal = func(...engine.Secret) {}
	}
	return &recording
}

func (r *record) edits(edits []engine.Edit) {
	for _, e := range edits {
		r.data("edit "+e.Path, e.Path, e.Have, e.Want, e.Note)
	}
}

func (r *record) findings(findings []engine.Finding) {
	for _, f := range findings {
		r.data("finding "+f.Rule, f.Rule, f.Have, f.Want, f.Detail)
	}
}

// data records values as texts, formatted and marshalled.
func (r *record) data(where string, values ...any) {
	r.add(where, fmt.Sprintf("%v %+v %#v", values, values, values))
	if b, err := json.Marshal(values); err == nil {
		r.add(where, string(b))
	}
}

func (r *record) err(err error) {
	if err != nil {
		r.add("error", fmt.Sprintf("%v %+v %#v", err, err, err))
		r.add("hint", engine.HintOf(err))
	}
}

// redact blanks the secrets: a failing test must not publish them either.
func (r *record) redact(text string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.secrets {
		text = strings.ReplaceAll(text, s, engine.Redacted)
	}
	return text
}

// leaks reports where secrets show, and empties the record.
func (k *checker) leaks() error {
	r := k.record
	r.mu.Lock()
	texts, secrets := r.texts, slices.Clone(r.secrets)
	r.texts = nil
	r.mu.Unlock()
	var where []string
	for _, u := range texts {
		for i, s := range secrets {
			if strings.Contains(u.text, s) {
				where = append(where, fmt.Sprintf("secret %d of %d characters shows in %s", i+1, len(s), u.where))
			}
		}
	}
	if len(where) > 0 {
		slices.Sort(where)
		return fmt.Errorf("%s", k.redact(strings.Join(slices.Compact(where), "\n")))
	}
	return nil
}

func (k *checker) redact(text string) string { return k.record.redact(text) }
