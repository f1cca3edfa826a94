package enginetest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
)

// petition is a step that writes a request, awaits the answer of a person, and files it;
// with one field per way to break the contract.
type petition struct {
	state *state
	sin   string
}

func (s *petition) Inspect(context.Context, *engine.Env) (facts, []engine.Edit, error) {
	s.state.looks++
	set := func(key string) func(context.Context) error {
		return func(context.Context) error { s.state.writes++; s.state.values[key] = "set"; return nil }
	}
	answer := engine.Edit{Path: "answer", Want: "filed"}
	switch {
	case s.state.values["filed"] != "":
		return facts{Count: 1}, nil, nil
	case s.state.values["answer"] != "" && s.sin != "does not see it":
		answer.Apply = set("filed")
		return facts{}, []engine.Edit{answer}, nil
	}
	answer.Awaits, answer.Hint = "answer", "answer the request"
	switch s.sin {
	case "does not say what to do":
		answer.Hint = ""
	case "would answer itself":
		answer.Apply = set("answer")
	case "awaits nothing":
		answer.Awaits, answer.Meanwhile = "", true
	case "awaits this and that":
		answer.Want = s.state.looks
	}
	if s.state.values["request"] == "" {
		return facts{}, []engine.Edit{{Path: "request", Want: "there", Apply: set("request")}, answer}, nil
	}
	return facts{}, []engine.Edit{answer}, nil
}

func petitionCase(sin string) Case {
	w := &state{values: make(map[string]string)}
	return Case{
		Kind:   engine.NewKind("petition", engine.DefaultPolicy(), func() *petition { return &petition{} }),
		Spec:   func() any { return &petition{state: w, sin: sin} },
		Env:    &engine.Env{},
		Reset:  func(context.Context) error { clear(w.values); return nil },
		Give:   func(context.Context) error { w.values["answer"] = "yes"; return nil },
		Writes: func() int { return w.writes },
	}
}

func TestRunAcceptsAStepThatAwaitsAPerson(t *testing.T) {
	Run(t, petitionCase(""))
}

func TestPartsFindSinsOfAwaiting(t *testing.T) {
	for sin, want := range map[string]string{
		"does not say what to do": "edit answer awaits answer and does not say what is to be done",
		"would answer itself":     "edit answer awaits what a person has to give, and has Apply",
		"awaits nothing":          "edit answer serves meanwhile and awaits nothing",
		"awaits this and that":    "awaits something else at the next look",
		"does not see it":         "still awaits what it was given",
	} {
		t.Run(sin, func(t *testing.T) {
			k := newChecker(petitionCase(sin))
			if err := errors.Join(k.inOneGo(t.Context()), k.leaks()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want it to contain %s", err, want)
			}
		})
	}
	k := newChecker(petitionCase(""))
	k.Give = nil
	if err := k.inOneGo(t.Context()); err == nil || !strings.Contains(err.Error(), "the case has no Give") {
		t.Errorf("got %v", err)
	}
}
