package helminstall_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/helminstall"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
)

// leaky is a chart that puts credentials into a Secret and then, as charts do,
// everywhere else.
func leaky() charttest.Chart {
	return charttest.Chart{Name: "leaky", Version: "1.0.0",
		Values: "secretKey: none\nauth: {passwords: [], superuserPassword: none, refreshToken: none, clientPasswords: none}\ncore: {xsrfKey: none, pepper: none}\ndatabase: {url: none}\nslackWebhook: none\nuser: none\n",
		Files: map[string]string{"templates/all.yaml": `
apiVersion: v1
kind: Secret
metadata: {name: leaky}
stringData:
  secretKey: {{ .Values.secretKey | quote }}
  pepper: {{ .Values.core.pepper | quote }}
  pin: x4711
  user: {{ .Values.user | quote }}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: leaky}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: leaky}
data:
  app.conf: |
    secret_key = {{ .Values.secretKey }}
    pepper = {{ .Values.core.pepper }}
    fernet_key = LEAK20aaaaaaaaaaaa
    all = {{ .Values | toJson }}
  user: {{ .Values.user | quote }}
  pin: x4711
  motto: "x4711 {{ .Values.user }}"
`}}
}

// dryRun returns all events of a dry run of the step, and its digest.
func (w *fixture) dryRun(s *helminstall.Spec) (said string, digest string) {
	w.t.Helper()
	w.again()
	var b strings.Builder
	res, err := run.Run(w.t.Context(), []run.Node{{
		ID: "leaky", Kind: helminstall.Kind, Policy: helminstall.Kind.Policy, Spec: func(run.Outputs) (any, error) { return s, nil }, Preview: func() any { return s },
	}}, run.Options{Mode: run.DryRun, Env: *w.env, Sink: func(e engine.Event) { _ = json.NewEncoder(&b).Encode(e) }})
	if err != nil {
		w.t.Fatal(err)
	}
	return b.String(), res.Summary.Digest
}

func TestSecretsByDataFlow(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, leaky()), "leaky", "1.0.0")
	values := func(pepper string) map[string]any {
		return map[string]any{
			"secretKey": "LEAK01aaaaaaaaaaaa", "user": "monitor",
			"auth": map[string]any{
				"passwords": []any{"LEAK05aaaaaaaaaaaa"}, "superuserPassword": "LEAK06aaaaaaaaaaaa", "refreshToken": "LEAK07aaaaaaaaaaaa", "clientPasswords": "LEAK08aaaaaaaaaaaa",
			},
			"core":         map[string]any{"xsrfKey": "LEAK03aaaaaaaaaaaa", "pepper": pepper},
			"database":     map[string]any{"url": "postgres://app:LEAK16aaaaaaaaaaaa@db/app"},
			"slackWebhook": "https://chat.example.org/LEAK17aaaaaaaaaaaa",
		}
	}
	s.Values = values("LEAK19aaaaaaaaaaaa")
	said, digest := w.dryRun(s)
	if strings.Contains(said, "LEAK") {
		t.Errorf("a secret is shown: %s", said)
	}
	for _, want := range []string{`"motto":"x4711 monitor"`, `"data/pin":"(secret)"`, `"data/user":"(secret)"`, `"ServiceAccount/` + w.namespace + `/leaky":"exists"`} {
		// In full: short values of a Secret are hidden under the same key only.
		if !strings.Contains(strings.ReplaceAll(said, `data/motto`, `motto`), want) {
			t.Errorf("%s is not in %s", want, said)
		}
	}
	if _, again := w.dryRun(s); again != digest {
		t.Errorf("digest %s, and again %s", digest, again)
	}
	s.Values = values("LEAK99aaaaaaaaaaaa")
	if _, other := w.dryRun(s); other == digest {
		t.Error("another secret value has the same digest")
	}
	s.Values = values("LEAK19aaaaaaaaaaaa")

	changed := leaky()
	changed.Files["templates/all.yaml"] = strings.Replace(changed.Files["templates/all.yaml"], "  pin: x4711", "  pin: x4712", 1)
	s.Repo = charttest.Serve(t, changed).URL
	if _, other := w.dryRun(s); other == digest {
		t.Error("a chart with another secret in a Secret has the same digest")
	}
	more := leaky()
	more.Files["templates/all.yaml"] += "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: more}\n"
	s.Repo = charttest.Serve(t, more).URL
	said, other := w.dryRun(s)
	if other == digest || !strings.Contains(said, "/more") {
		t.Errorf("an object without fields is not in the preview: %s", said)
	}
}
