package helminstall_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/helminstall"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
)

// settings is a chart with values, a secret, and a hook that leaves a trace.
func settings(version string) charttest.Chart {
	return charttest.Chart{
		Name: "settings", Version: version, AppVersion: "v" + version,
		Values: "color: blue\nsize: 1\nadminKey: none\nextra: {}\nhook: {command: [sh]}\n",
		Files: map[string]string{
			"templates/configmap.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}"}
data:
  color: "{{ .Values.color }}"
  size: "{{ .Values.size }}"
  version: "{{ .Chart.Version }}"
`,
			"templates/random.yaml": `
apiVersion: v1
kind: Secret
metadata: {name: "{{ .Release.Name }}-random"}
stringData: {value: "{{ randAlphaNum 20 }}", key: "{{ .Values.adminKey }}"}
`,
			"templates/hook.yaml": `
apiVersion: v1
kind: ConfigMap
metadata:
  name: "{{ .Release.Name }}-hook"
  annotations: {helm.sh/hook: "post-install,post-upgrade"}
data: {revision: "{{ .Release.Revision }}", install: "{{ .Release.IsInstall }}"}
`,
		},
	}
}

// fixture is one test's part of the lab.
type fixture struct {
	t         *testing.T
	env       *engine.Env
	cluster   *kubekit.Cluster
	namespace string
	warnings  *lines
}

type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, fmt.Sprintf(format, args...))
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.text, "\n")
}

func newFixture(t *testing.T) *fixture {
	t.Parallel()
	env := labtest.Env(t)
	w := &fixture{t: t, env: env, namespace: labtest.Namespace(t, env), warnings: &lines{}}
	env.Warnf = w.warnings.add
	var err error
	if w.cluster, err = kubekit.Connect(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	return w
}

// spec is a step that installs chart from repo into the test's namespace.
func (w *fixture) spec(repo *charttest.Repository, chart, version string) *helminstall.Spec {
	s := helminstall.Kind.New().(*helminstall.Spec)
	s.Repo, s.Chart, s.Version, s.Namespace = repo.URL, chart, version, w.namespace
	return s
}

// again gives the following looks a session of their own, as another run has.
func (w *fixture) again() {
	session := &engine.Session{}
	w.t.Cleanup(func() {
		if err := session.Close(); err != nil {
			w.t.Error(err)
		}
	})
	env := *w.env
	env.Session = session
	w.env = &env
}

func (w *fixture) look(s *helminstall.Spec) (helminstall.Outputs, []engine.Edit, error) {
	w.t.Helper()
	return s.Inspect(w.t.Context(), w.env)
}

// edits looks and fails the test on an error.
func (w *fixture) edits(s *helminstall.Spec) []engine.Edit {
	w.t.Helper()
	_, edits, err := w.look(s)
	if err != nil {
		w.t.Fatalf("looking: %v", err)
	}
	return edits
}

func (w *fixture) apply(e engine.Edit) error {
	ctx, cancel := context.WithTimeout(engine.AllowWrites(w.t.Context()), 3*time.Minute)
	defer cancel()
	return e.Apply(ctx)
}

// converge applies and waits until nothing differs, and returns the paths of
// the edits.
func (w *fixture) converge(s *helminstall.Spec) (helminstall.Outputs, []string) {
	w.t.Helper()
	out, applied, err := w.settle(s)
	if err != nil {
		w.t.Fatal(err)
	}
	return out, applied
}

// settle is converge with an error.
func (w *fixture) settle(s *helminstall.Spec) (out helminstall.Outputs, applied []string, err error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Minute)
	defer cancel()
	for {
		out, edits, err := s.Inspect(ctx, w.env)
		if err != nil {
			return out, applied, fmt.Errorf("looking: %w", err)
		}
		if len(edits) == 0 {
			return out, applied, nil
		}
		if !slices.ContainsFunc(edits, func(e engine.Edit) bool { return e.Apply != nil }) {
			if err := edits[0].Await(ctx); err != nil && ctx.Err() != nil {
				return out, applied, fmt.Errorf("still waiting for %s: %v", edits[0].Path, edits[0].Have)
			}
			continue
		}
		for _, e := range edits {
			if e.Apply == nil {
				continue
			}
			if len(applied) > 20 {
				return out, applied, fmt.Errorf("does not converge: %v", applied)
			}
			applied = append(applied, e.Path)
			w.t.Logf("applying %s: have %v, want %v", e.Path, plain(e.Have), plain(e.Want))
			if err := w.apply(e); err != nil {
				return out, applied, fmt.Errorf("applying %s: %w", e.Path, err)
			}
		}
	}
}

// only returns the one edit that there must be.
func only(t *testing.T, edits []engine.Edit) engine.Edit {
	t.Helper()
	if len(edits) != 1 {
		t.Fatalf("got %d edits, want one: %v", len(edits), paths(edits))
	}
	return edits[0]
}

func paths(edits []engine.Edit) []string {
	var p []string
	for _, e := range edits {
		p = append(p, e.Path)
	}
	return p
}

// permanent requires a permanent error with all the given parts, in its text
// or in its hint.
func permanent(t *testing.T, err error, parts ...string) {
	t.Helper()
	if !errors.Is(err, engine.ErrPermanent) {
		t.Fatalf("got error %v, want a permanent one", err)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) && !strings.Contains(engine.HintOf(err), p) {
			t.Errorf("neither the error %q nor its hint %q says %q", err, engine.HintOf(err), p)
		}
	}
}

func TestMain(m *testing.M) {
	if os.Getenv(crashVariable) != "" {
		crash()
		return
	}
	os.Exit(m.Run())
}
