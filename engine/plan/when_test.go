package plan_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
)

func TestWhen(t *testing.T) {
	const body = `
vars: {env: prod, count: 3, on: true, off: false}
steps:
  - {id: root, uses: pkiRoot, with: {commonName: x}}
  - id: next
    uses: pkiRoot
    when: %s
    with: {commonName: x}
`
	out := guideOutputs()
	for _, tt := range []struct {
		when        string
		want, known bool
	}{
		{`true`, true, true},
		{`"false"`, false, true},
		{`${vars.on}`, true, true},
		{`'!${vars.on}'`, false, true},
		{`'! ! ${vars.on}'`, true, true},
		{`${vars.env} == "prod"`, true, true},
		{`${vars.env} != 'prod'`, false, true},
		{`"prod" == ${vars.env}`, true, true}, // YAML ends the scalar after "prod"
		{`${vars.count} == 3 && ${vars.on}`, true, true},
		{`${vars.count} == 3.0`, true, true},
		{`${vars.on} == true`, true, true},
		{`${vars.off} || ${vars.on} && ${vars.off}`, false, true},
		{`(${vars.off} || ${vars.on}) && !${vars.off}`, true, true},
		{`${plan.name} == "test"`, true, true},
		{`${steps.root.ready}`, true, false},
		{`${steps.root.port} == 8443 && ${vars.env} == "prod"`, true, false},
		{`${steps.root.certificate} == "other"`, false, false},
		{`${steps.root.labels.app} == ${vars.env}`, false, false},
		{`${steps.root.serials[1]} == "e7"`, true, false},
	} {
		t.Run(tt.when, func(t *testing.T) {
			when := tt.when
			if strings.HasPrefix(when, `"prod"`) {
				when = "'" + when + "'"
			}
			s := load(t, fmt.Sprintf(body, when)).Step("next")
			if got, known := s.When.Known(); known != tt.known || known && got != tt.want {
				t.Errorf("Known = %v, %v; want %v, %v", got, known, tt.want, tt.known)
			}
			got, err := s.When.Eval(outputs(out))
			if err != nil || got != tt.want {
				t.Errorf("Eval = %v, %v; want %v", got, err, tt.want)
			}
		})
	}
	s := load(t, fmt.Sprintf(body, "${steps.root.ready}")).Step("next")
	var missing *plan.MissingOutputsError
	if _, err := s.When.Eval(outputs(nil)); !errors.As(err, &missing) {
		t.Errorf("without outputs: %v", err)
	}
	s = load(t, fmt.Sprintf(body, `${steps.root.labels.nope} == "x"`)).Step("next")
	if _, err := s.When.Eval(outputs(out)); !errors.Is(err, engine.ErrPermanent) {
		t.Errorf("unknown key: %v", err)
	}
}
