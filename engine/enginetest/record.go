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

// record holds everything that a step said, to look for secrets in it.
type record struct {
	mu      sync.Mutex
	said    []utterance
	secrets []string
}

type utterance struct{ where, text string }

func (r *record) plant(secrets ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range secrets {
		if len(s) >= minSecret && !slices.Contains(r.secrets, s) {
			r.secrets = append(r.secrets, s)
		}
	}
}

func (r *record) say(where, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, utterance{where, text})
}

// listen returns a copy of env that records what the step reports through it.
func (r *record) listen(env *engine.Env) *engine.Env {
	heard := *env
	tap := func(where string, to func(string, ...any)) func(string, ...any) {
		return func(format string, args ...any) {
			text := fmt.Sprintf(format, args...)
			r.say(where, text)
			if to != nil {
				to("%s", r.redact(text))
			}
		}
	}
	heard.Logf = tap("log", env.Logf)
	heard.Statusf = tap("status", env.Statusf)
	heard.Warnf = tap("warning", env.Warnf)
	heard.Record = func(name string, data any) {
		r.data("record "+name, data)
		if env.Record != nil {
			env.Record(name, data)
		}
	}
	if env.Conceal == nil {
		heard.Conceal = func(...engine.Secret) {}
	}
	return &heard
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
	r.say(where, fmt.Sprintf("%v %+v %#v", values, values, values))
	if b, err := json.Marshal(values); err == nil {
		r.say(where, string(b))
	}
}

func (r *record) err(err error) {
	if err != nil {
		r.say("error", fmt.Sprintf("%v %+v %#v", err, err, err))
		r.say("hint", engine.HintOf(err))
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

// leaks reports where secrets show, and forgets what was said.
func (k *checker) leaks() error {
	r := k.record
	r.mu.Lock()
	said, secrets := r.said, slices.Clone(r.secrets)
	r.said = nil
	r.mu.Unlock()
	var where []string
	for _, u := range said {
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
