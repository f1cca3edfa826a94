package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/redact"
	"github.com/ztplan/ztplan/steps/evidence"
)

// Texts of components have neither the secrets of the run nor texts that look like a
// secret which the run never knew.
func TestDiagnosisIsRedacted(t *testing.T) {
	const known, unknown = "correct-horse-battery", "hvs.CAESIJ1234567890abcdefABCDEF1234567890abcdef"
	var redactor redact.Redactor
	redactor.Add(engine.NewSecret(known))
	text := "login with " + known + " and " + unknown
	d := redacted(&evidence.Diagnosis{
		At:      time.Date(2026, 1, 18, 16, 0, 0, 0, time.UTC),
		Vaults:  []evidence.VaultState{{Server: text}},
		Objects: []evidence.ObjectState{{Object: text, Message: text, Conditions: []evidence.Condition{{Message: text}}}},
		Pods:    []evidence.PodState{{State: text}},
		Events:  []evidence.ClusterNote{{Message: text}},
		Logs:    []evidence.LogTail{{Lines: []string{text, "all is well"}}},
		Remarks: []string{text},
	}, &redactor, func(why string) *evidence.Diagnosis { t.Fatal(why); return nil })
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), known) || strings.Contains(string(b), unknown) || strings.Count(string(b), engine.Redacted) < 14 {
		t.Errorf("%s", b)
	}
	if !d.At.Equal(time.Date(2026, 1, 18, 16, 0, 0, 0, time.UTC)) || d.Logs[0].Lines[1] != "all is well" {
		t.Errorf("%+v", d)
	}
}
