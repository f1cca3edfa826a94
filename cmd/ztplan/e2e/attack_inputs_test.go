package e2e

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/ztplan/ztplan/cmd/ztplan/e2e/faultproxy"
)

// redirectedCredentials has a chart repository lead to another port.
func redirectedCredentials(t *testing.T, w *world) string {
	var asked, sent atomic.Int32
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "" {
			sent.Add(1)
		}
		http.NotFound(rw, r)
	}))
	t.Cleanup(elsewhere.Close)
	var known atomic.Bool
	repo := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if _, password, ok := r.BasicAuth(); ok && password == "sesame-open-4711" {
			known.Store(true)
		}
		http.Redirect(rw, r, elsewhere.URL+r.URL.Path, http.StatusFound)
	}))
	t.Cleanup(repo.Close)
	w.put("repo.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: repo.Certificate().Raw})))
	plan := w.planOf("attack-redirect", "", fmt.Sprintf("- {id: chart, uses: helmInstall, timeout: 5s, with: {repo: %q, chart: c, version: 1.0.0, caFile: repo.pem, username: me, password: sesame-open-4711}}", repo.URL))
	o := w.do(nil, "run", plan, "--dry-run")
	if o.code != 1 || !known.Load() || sent.Load() > 0 {
		return fmt.Sprintf("the repository knows the password: %t, another server got it %d times of %d, %v", known.Load(), sent.Load(), asked.Load(), o)
	}
	if strings.Contains(o.stderr+o.stdout, "sesame-open-4711") {
		return "the password is shown"
	}
	return ""
}

// twoOwners gives one object, and one path of Vault, two contents.
func twoOwners(t *testing.T, w *world) string {
	object := func(id, of string) string {
		return "- {id: " + id + ", uses: applyManifest, with: {manifests: " + strings.TrimSpace(configMap("attack-owned", of)) + "}}"
	}
	auth := func(id, path string) string {
		return "- {id: " + id + ", uses: k8sAuth, with: {mount: owned, config: {kubernetesHost: \"https://kubernetes.default.svc\"}, policies: [{name: owned, paths: {" + path + ": [read]}}]}}"
	}
	vault := "connections: {vault: {address: \"http://127.0.0.1:1\", token: t}}\n"
	for _, plan := range []string{
		w.planOf("attack-object", "", object("a", "one"), object("b", "two")),
		w.planOf("attack-path", vault, auth("a", "x/a"), auth("b", "x/b")),
	} {
		if o := w.offline(t, "validate", plan); o.code != 3 || !strings.Contains(o.stderr, "twice") && !strings.Contains(o.stderr, "both") && !strings.Contains(o.stderr, "step") {
			return plan + ": " + o.String()
		}
	}
	return ""
}

// openFiles gives files with secrets that others can read or change.
func openFiles(t *testing.T, w *world) string {
	plan := w.planOf("attack-open", "vars: {token: {secret: true, default: none}}\n", "- {id: a, uses: applyManifest, with: {manifests: "+strings.TrimSpace(configMap("attack-open", "x"))+"}}")
	w.put("open-vars.yaml", "token: planted-open-4711\n")
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err.Error()
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err.Error()
	}
	w.put("open.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	v := startVault(t, w.ztlab)
	w.put("open/"+w.vaultPlan("attack-open-keys", v.address, ""), w.text("attack-open-keys.yaml"))
	for name, mode := range map[string]os.FileMode{"open-vars.yaml": 0o666, "open.pem": 0o644, "open": 0o777} {
		if err := os.Chmod(filepath.Join(w.work, name), mode); err != nil {
			return err.Error()
		}
	}
	for _, c := range []struct {
		says string
		args []string
	}{
		{"is open to others", []string{"validate", plan, "--var-file", "open-vars.yaml"}},
		{"is open to others", []string{"run", plan, "--report", "report-open", "--sign-key", "open.pem", "--kubeconfig", "none"}},
		{"everybody may replace it", []string{"run", "open/attack-open-keys.yaml"}},
	} {
		if o := w.offline(t, c.args...); o.code == 0 || o.code == 2 || !strings.Contains(o.stderr, c.says) || strings.Contains(o.stderr, "planted-open-4711") {
			return fmt.Sprintf("%v: %v", c.args, o)
		}
	}
	if status, err := v.client(t).Sys().InitStatus(); err != nil || status {
		return fmt.Sprintf("Vault was initialised with keys in an open directory: %v", err)
	}
	return ""
}

// strangeFiles gives devices, pipes and files of 1 GiB, and interrupts a wait for a
// pipe that has no writer.
func strangeFiles(t *testing.T, w *world) string {
	w.put("large.yaml", "")
	if err := errors.Join(os.Truncate(filepath.Join(w.work, "large.yaml"), 1<<30), syscall.Mkfifo(filepath.Join(w.work, "silent"), 0o600)); err != nil {
		return err.Error()
	}
	for _, file := range []string{"/dev/zero", "large.yaml", "silent"} {
		plan := w.planOf("attack-strange", "", "- {id: a, uses: applyManifest, with: {files: ["+file+"]}}")
		for _, args := range [][]string{{"validate", plan}, {"validate", plan, "--var-file", file}, {"validate", file}, {"run", plan, "--expect", file}, {"verify", file}} {
			if file == "silent" && (args[1] != plan || len(args) > 2) {
				continue // the command line may name a pipe
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			out, err := w.bare(ctx, args...).CombinedOutput()
			cancel()
			if err == nil || ctx.Err() == context.DeadlineExceeded {
				return fmt.Sprintf("%v: %v %s", args, err, out)
			}
		}
	}
	cmd := w.bare(t.Context(), "validate", "silent")
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	// The writer's open returns when the program has the pipe open.
	f, err := os.OpenFile(filepath.Join(w.work, "silent"), os.O_WRONLY, 0)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	_ = cmd.Process.Signal(os.Interrupt)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(runLimit):
		_ = cmd.Process.Kill()
		return "an interrupt does not end the wait for a pipe"
	}
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		return fmt.Sprintf("%v, want exit status 130", cmd.ProcessState)
	}
	return ""
}

// grows returns why a command takes more processor time with its input than in
// proportion: four times as much for four times the input, or sixteen times where a
// step of it is quadratic. with returns the arguments for an input of n.
func (w *world) grows(t *testing.T, n int, with func(n int) []string) string {
	t.Helper()
	used := func(n int) (time.Duration, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		cmd := w.bare(ctx, with(n)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%d: %w\n%.1000s", n, err, out)
		}
		return cmd.ProcessState.UserTime(), nil
	}
	small, err := used(n / 4)
	if err != nil {
		return err.Error()
	}
	large, err := used(n)
	if err != nil {
		return err.Error()
	}
	if large > 8*small && large > 3*time.Second {
		return fmt.Sprintf("%v of a processor for %d, %v for %d", large, n, small, n/4)
	}
	return ""
}

// smallStep is a step without the large input.
func smallStep() string {
	return "- {id: a, uses: applyManifest, with: {manifests: " + strings.TrimSpace(configMap("attack-large", "x")) + "}}"
}

func manyReferences(t *testing.T, w *world) string {
	return w.grows(t, 100_000, func(n int) []string {
		all := strings.Repeat("${vars.x}", n)
		return []string{"validate", w.planOf("attack-references", "vars: {x: a, all: \""+all+"\"}\n", smallStep())}
	})
}

func largeMap(t *testing.T, w *world) string {
	return w.grows(t, 10<<20, func(n int) []string {
		var b strings.Builder
		b.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: attack-large, namespace: default}\ndata:\n")
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, "  k%d: \"0123456789\"\n", i)
		}
		w.put("large-map.yaml", b.String())
		return []string{"validate", w.planOf("attack-map", "", "- {id: a, uses: applyManifest, with: {files: [large-map.yaml]}}")}
	})
}

func longChain(t *testing.T, w *world) string {
	return w.grows(t, 50_000, func(n int) []string { return []string{"graph", w.chainFile("attack-chain", n)} })
}

// resealed changes evidence and computes its seal again, by taking that of a run
// that did something else.
func resealed(_ *testing.T, w *world) string {
	for _, name := range []string{"attack-sealed", "attack-resealed"} {
		if o := w.do(nil, "run", w.chainFile(name, 1), "--report", "report-"+name); o.code != 0 {
			return o.String()
		}
	}
	evidence := filepath.Join(w.work, "report-attack-sealed/evidence.json")
	text := w.text("report-attack-sealed/evidence.json")
	changed := strings.Replace(text, "attack-sealed-0", "attack-forged-0", 1)
	if changed == text {
		return "nothing to change"
	}
	w.put("report-attack-sealed/evidence.json", changed)
	if out, err := w.bare(context.Background(), "verify", "report-attack-sealed").CombinedOutput(); err == nil {
		return "careless changes hold: " + string(out)
	}
	w.put("report-attack-sealed/evidence.json", w.text("report-attack-resealed/evidence.json"))
	for demand, want := range map[string]bool{"": true, "--require-signed": false} {
		args := []string{"verify", evidence, "-o", "text"}
		if demand != "" {
			args = append(args, demand)
		}
		out, err := w.bare(context.Background(), args...).CombinedOutput()
		if (err == nil) != want || want && !strings.Contains(string(out), "UNSIGNED") {
			return fmt.Sprintf("%v: %v\n%s", args, err, out)
		}
	}
	return ""
}

// unboundedAttempts looks at a server that breaks the first connections, with
// attempts: 0, which bounds a step by its timeout alone.
func unboundedAttempts(t *testing.T, w *world) string {
	proxy, kubeconfig := w.apiProxy(t, time.Now().Add(-time.Minute))
	proxy.Set(faultproxy.Fault{Match: isAnswered, Times: 4, Effect: faultproxy.Reset()})
	plan := w.planOf("attack-attempts", "", "- {id: a, uses: applyManifest, timeout: 30s, retry: {attempts: 0, delay: 100ms}, with: {manifests: "+strings.TrimSpace(configMap("attack-attempts", "x"))+"}}")
	o := w.do(nil, "run", plan, "--dry-run", "--kubeconfig", kubeconfig)
	if met, _ := proxy.Happened(); o.code != 2 || met == 0 {
		return fmt.Sprintf("%d connections broken, %v", met, o)
	}
	return ""
}

// unverified gives a kubeconfig that does not verify the API server.
func unverified(_ *testing.T, w *world) string {
	config, err := clientcmd.LoadFromFile(w.status.Kubeconfig)
	if err != nil {
		return err.Error()
	}
	for _, c := range config.Clusters {
		c.InsecureSkipTLSVerify, c.CertificateAuthorityData, c.CertificateAuthority = true, nil, ""
	}
	file := filepath.Join(w.work, "insecure-kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		return err.Error()
	}
	o := w.do(nil, "run", w.chainFile("attack-insecure", 1), "--kubeconfig", file)
	if o.code == 0 || !strings.Contains(o.stderr+o.stdout, "insecure-skip-tls-verify") || o.summary().Edits > 0 {
		return o.String()
	}
	return ""
}

func manyProblems(t *testing.T, w *world) string {
	var b strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&b, "- {id: s%d, uses: nothing, with: {}}\n  ", i)
	}
	o := w.offline(t, "validate", w.planOf("attack-problems", "", b.String()))
	if o.code != 3 || len(o.stderr) > 100_000 || !strings.Contains(o.stderr, "20000 problems") {
		return fmt.Sprintf("exit status %d, %d bytes", o.code, len(o.stderr))
	}
	return ""
}

func noLab(t *testing.T, w *world) string {
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "other"), nil, 0o600), os.Chmod(dir, 0o755)); err != nil {
		return err.Error()
	}
	for _, verb := range []string{"status", "down"} {
		_ = exec.Command(w.ztlab, verb, "--lab-dir", dir).Run()
		entries, _ := os.ReadDir(dir)
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 || len(entries) != 1 {
			return fmt.Sprintf("ztlab %s: %v, %v, %v", verb, info.Mode(), entries, err)
		}
	}
	return ""
}

// pinned are references that nobody can move: a commit.
var pinned = regexp.MustCompile(`@[0-9a-f]{40}(\s|$)`)

func actionsByTag(_ *testing.T, _ *world) string {
	files, err := filepath.Glob("../../../.github/workflows/*.yml")
	if err != nil || len(files) == 0 {
		return fmt.Sprint("no workflows: ", err)
	}
	for _, file := range append(files, "../../../action.yml") {
		data, err := os.ReadFile(file)
		if err != nil {
			return err.Error()
		}
		for line := range strings.Lines(string(data)) {
			if _, uses, ok := strings.Cut(line, "uses: "); ok && strings.Contains(uses, "@") && !pinned.MatchString(uses) {
				return file + ": " + strings.TrimSpace(line)
			}
		}
	}
	return ""
}
