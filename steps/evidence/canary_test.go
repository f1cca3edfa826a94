package evidence_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/evidence"
)

const canary = "hvs.canary-7c41d9f0-do-not-print"

// A leaky step shows its secret wherever it can.
type leaky struct{ Token engine.Secret }

func (l *leaky) Inspect(_ context.Context, env *engine.Env) (struct{ Root engine.Secret }, []engine.Edit, error) {
	env.Conceal(l.Token)
	text := "token " + canary
	env.Logf("%s", text)
	env.Warnf("%s", text)
	env.Record(evidence.RecordDenial, evidence.Denial{What: text, Answer: text, Refused: true, At: time.Now()})
	env.Record("free form", map[string]any{canary: []string{text, base64.StdEncoding.EncodeToString([]byte(canary))}})
	return struct{ Root engine.Secret }{l.Token}, []engine.Edit{{
		Path: "secret/" + canary, Have: text, Want: map[string]any{"token": l.Token, "text": text}, Note: text,
		Apply: func(context.Context) error { return engine.Permanent(engine.WithHint(errors.New(text), text)) },
	}}, nil
}

// Evidence has no secret that the run knows.
func TestNoSecrets(t *testing.T) {
	kind := engine.NewKind("leaky", engine.Policy{Timeout: time.Minute, Attempts: 1}, func() *leaky { return &leaky{engine.NewSecret(canary)} })
	c := evidence.NewCollector(evidence.Plan{Name: "p", File: "p.yaml"}, evidence.Run{Mode: evidence.ModeApply})
	node := run.Node{ID: "leak", Kind: kind, Policy: kind.Policy, Spec: func(run.Outputs) (any, error) { return kind.New(), nil }}
	if _, err := run.Run(t.Context(), []run.Node{node}, run.Options{Sink: c.Event}); err == nil {
		t.Fatal("the step did not fail")
	}
	d, err := c.Document(false)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if i := bytes.Index(b, []byte("canary")); i >= 0 {
		t.Errorf("evidence holds the secret: …%s…", b[max(0, i-80):min(len(b), i+60)])
	}
	if !bytes.Contains(b, []byte(engine.Redacted)) || len(d.Denials) != 1 || len(d.Records) != 1 || d.Steps[0].State != "failed" {
		t.Errorf("the step did not come through: %s", b)
	}
}
