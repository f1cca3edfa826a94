package e2e

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// worldSecrets are those of the lab's world: those in Vault's answer to init, and all
// values in the cluster's Secrets but certificates.
func (w *world) worldSecrets() map[string]string {
	w.t.Helper()
	out := make(map[string]string)
	if _, err := os.Stat(w.keys()); err == nil {
		k := w.readKeys()
		k.secrets(out)
		w.first = cmp.Or(w.first, k.RootToken)
	}
	if w.first != "" {
		out[w.first] = "the root token"
	}
	list, err := w.kube().Resource(resources["Secret"]).List(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range list.Items {
		data, _ := s.Object["data"].(map[string]any)
		for key, v := range data {
			coded, _ := v.(string)
			text, err := base64.StdEncoding.DecodeString(coded)
			if err != nil || len(text) < 16 || strings.HasSuffix(key, ".crt") {
				continue
			}
			// The beginning of a long one is long enough to find it.
			out[string(text[:min(len(text), 600)])] = "Secret " + s.GetNamespace() + "/" + s.GetName() + " " + key
		}
	}
	return out
}

// shows runs ztplan once with an output of its own and scans all that comes of it.
func (w *world) shows(t *testing.T, code int, args ...string) {
	t.Helper()
	o := w.watched(t, w.work, nil, w.worldSecrets, func(started func(*os.Process)) *outcome {
		cmd := w.bare(t.Context(), append(args, "-v", "--lab", "--lab-dir", w.dir)...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		started(cmd.Process)
		if err := cmd.Wait(); err != nil {
			if _, ok := err.(*exec.ExitError); !ok {
				t.Fatal(err)
			}
		}
		return &outcome{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
	})
	if o.code != code {
		t.Errorf("ztplan %v: want exit status %d, got %v\n%s", args, code, o, o.stdout)
	}
}

// reported is a run of the plan with a report.
func (w *world) reported(more ...string) []string {
	return append([]string{"run", planFile, "--report", filepath.Join(w.work, "report")}, more...)
}

// secretBegin takes an empty world to a finished one and scans everything that ztplan shows
// and leaves on the way.
func (w *world) secretBegin(t *testing.T) {
	w.shows(t, 2, w.reported("--dry-run", "--output", "text")...)
	// Kept at first, so that the text to look for is known when it is revoked.
	w.shows(t, 0, w.reported("--output", "json", "--var", "rootToken=keep")...)
	w.look()
}

// secretive takes a finished world to a drifted and a sealed one, with every output and
// report, and scans all that is shown and left.
func (w *world) secretive(t *testing.T) {
	run := w.reported
	if w.first == "" {
		t.Error("nobody knows the root token to look for")
	}
	w.shows(t, 0, run("--output", "github", "--skip", "rotation,site-after")...)
	w.erase("pki_int/roles/example-dot-local")
	w.remove("Service/default/hello-app")
	w.shows(t, 2, "status", planFile, "--output", "json")
	w.shows(t, 2, run("--dry-run", "--output", "github")...)
	w.shows(t, 0, run("--output", "text", "--skip", "site,rotation,site-after")...)
	w.lab("restart", "vault")
	w.shows(t, 1, run("--output", "text", "--only", "root", "--skip", "vault,unseal")...)
	w.shows(t, 0, run("--output", "text", "--skip", "site,rotation,site-after")...)
	w.remove("Secret/ingress-apisix/hello-tls")
	w.shows(t, 0, run("--output", "json", "--skip", "rotation,site-after")...)
	w.look()
}
