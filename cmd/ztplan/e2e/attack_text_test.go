package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A form is a way to have something printed.
type form struct {
	name string
	args []string
	live bool // on a terminal
}

// forms are all the ways in which ztplan shows a plan and its runs. report is the
// folder of an earlier run.
func forms(plan, report string) []form {
	var all []form
	for _, output := range []string{"text", "json", "github"} {
		for _, args := range [][]string{{"run", plan, "--dry-run"}, {"run", plan, "--dry-run", "-v"}, {"status", plan, "-v"}, {"validate", plan}, {"lint", plan}} {
			all = append(all, form{name: strings.Join(args, " ") + " -o " + output, args: append(args, "-o", output)})
		}
	}
	for _, args := range [][]string{{"graph", plan}, {"graph", plan, "-o", "json"}, {"report", report, "-o", report + "-again"}, {"verify", report}, {"verify", report, "-o", "json"}, {"verify", report, "--plan", plan}, {"explain"}, {"explain", "helmInstall"}} {
		all = append(all, form{name: strings.Join(args, " "), args: args})
	}
	return append(all, form{name: "live run", args: []string{"run", plan, "-v", "--report", report + "-live"}, live: true},
		form{name: "live status", args: []string{"status", plan}, live: true})
}

// shown returns the output of a form on standard output and on standard error.
func (w *world) shown(f form) (stdout, stderr string) {
	w.t.Helper()
	args := f.args
	if args[0] == "run" || args[0] == "status" {
		args = append(args, "--lab", "--lab-dir", w.dir)
	}
	ctx, cancel := context.WithTimeout(context.Background(), w.limit)
	defer cancel()
	cmd := w.bare(ctx, args...)
	if f.live {
		// script gives the command a terminal.
		path, err := exec.LookPath("script")
		if err != nil {
			w.t.Skip(err)
		}
		env, dir := cmd.Env, cmd.Dir
		cmd = exec.CommandContext(ctx, path, "-qec", strings.Join(cmd.Args, " "), "/dev/null")
		cmd.Env, cmd.Dir = append(env, "TERM=xterm", "NO_COLOR="), dir
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if out.Len()+errs.Len() == 0 {
		w.t.Errorf("%s: shows nothing: %v", f.name, err)
	}
	if f.live && !strings.Contains(out.String(), "\x1b[") {
		w.t.Errorf("%s: there is no live view:\n%s", f.name, out.String())
	}
	return out.String(), errs.String()
}

// credentials are planted under names that charts use for them.
func credentials() map[string]string {
	known := make(map[string]string)
	for i := 1; i <= 20; i++ {
		known[fmt.Sprintf("LEAK%02daaaaaaaaaaaa", i)] = fmt.Sprintf("credential %d", i)
	}
	return known
}

const credentialValues = `secretKey: LEAK01aaaaaaaaaaaa
    adminPassword: LEAK02aaaaaaaaaaaa
    core: {xsrfKey: LEAK03aaaaaaaaaaaa, secret: LEAK04aaaaaaaaaaaa}
    auth: {passwords: [LEAK05aaaaaaaaaaaa], superuserPassword: LEAK06aaaaaaaaaaaa, refreshToken: LEAK07aaaaaaaaaaaa, clientPasswords: LEAK08aaaaaaaaaaaa}
    encryptionKey: LEAK09aaaaaaaaaaaa
    fernetKey: LEAK10aaaaaaaaaaaa
    webserverSecretKey: LEAK11aaaaaaaaaaaa
    s3: {accesskey: LEAK12aaaaaaaaaaaa, secretkey: LEAK13aaaaaaaaaaaa, accessKeyID: LEAK14aaaaaaaaaaaa, storageAccountKey: LEAK15aaaaaaaaaaaa}
    database: {url: "postgres://app:LEAK16aaaaaaaaaaaa@db/app"}
    slackWebhook: "https://chat.example.org/services/LEAK17aaaaaaaaaaaa"
    args: [serve, --db-password, LEAK18aaaaaaaaaaaa, --api-key=LEAK19aaaaaaaaaaaa]
    script: serve --auth-token LEAK20aaaaaaaaaaaa
`

// plantedSecrets installs a chart with credentials, and has all forms show it:
// before, failing, and afterwards.
func plantedSecrets(t *testing.T, w *world) string {
	if err := os.CopyFS(filepath.Join(w.work, "leaky"), os.DirFS("testdata/leaky")); err != nil {
		return err.Error()
	}
	write := func(name, more string) string {
		return w.planOf(name, "", "- id: chart\n    uses: helmInstall\n    with: {chart: ./leaky, release: leaky, namespace: attack-leaky, wait: false, valuesFiles: ["+name+"-values.yaml]}") +
			w.values(name, more)
	}
	plan, failing := write("attack-leaky", ""), write("attack-broken", "broken: true\n")
	s := newScan(t, credentials())
	scanned := func(f form) {
		stdout, stderr := w.shown(f)
		s.text(f.name, stdout+stderr)
	}
	for _, report := range []string{"report-leaky", "report-leaky-2"} {
		for _, output := range []string{"text", "github"} {
			scanned(form{name: "run -o " + output, args: []string{"run", plan, "-v", "-o", output, "--report", report}})
		}
		for _, f := range forms(plan, report) {
			scanned(f)
		}
		// Another value of each, so that both sides of a difference are shown.
		w.put("attack-leaky-values.yaml", strings.ReplaceAll(w.text("attack-leaky-values.yaml"), "aaaaaaaaaaaa", "bbbbbbbbbbbb"))
		for i := 1; i <= 20; i++ {
			s.known[fmt.Sprintf("LEAK%02dbbbbbbbbbbbb", i)] = fmt.Sprintf("credential %d, changed", i)
		}
	}
	scanned(form{name: "a run that fails", args: []string{"run", failing, "-v", "--report", "report-broken"}})
	s.tree(w.home, nil)
	s.tree(filepath.Join(w.dir, "runs"), nil)
	reports, err := filepath.Glob(filepath.Join(w.work, "report-*"))
	if err != nil {
		return err.Error()
	}
	for _, dir := range reports {
		s.tree(dir, nil)
	}
	if _, err := os.Stat(filepath.Join(w.work, "report-leaky-live/evidence.json")); err != nil {
		return err.Error()
	}
	return ""
}

// values writes the file of values with the planted credentials, and returns "".
func (w *world) values(name, more string) string {
	w.put(name+"-values.yaml", strings.ReplaceAll(credentialValues, "\n    ", "\n")+more)
	return ""
}

func (w *world) text(name string) string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.work, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// secretExcerpts has mistakes beside secrets in each kind of input.
func secretExcerpts(t *testing.T, w *world) string {
	const bad = "password: LEAK02aaaaaaaaaaaa\napiToken: \"LEAK07aaaaaaaaaaaa\nx: [y\n"
	s := newScan(t, credentials())
	look := func(what string, args ...string) {
		o := w.offline(t, args...)
		s.text(what, o.stderr)
		if o.code == 0 || o.code == 2 {
			t.Errorf("%s is taken: %v", what, o)
		}
	}
	look("a plan", "validate", w.planOf("attack-excerpt", "", "- id: a\n    uses: helmInstall\n    with: {chart: ./leaky, pasword: x, values: {password: LEAK02aaaaaaaaaaaa, password: LEAK07aaaaaaaaaaaa}}"))
	w.put("attack-broken-vars.yaml", bad)
	good := w.planOf("attack-vars", "", "- {id: a, uses: applyManifest, with: {files: [attack-broken-vars.yaml]}}")
	look("a file of variables", "validate", good, "--var-file", "attack-broken-vars.yaml")
	look("a manifest", "run", good, "--dry-run", "--kubeconfig", w.status.Kubeconfig)
	v := startVault(t, w.ztlab)
	w.put("excerpt-keys.json", `{"unseal_keys_b64": ["LEAK02aaaaaaaaaaaa", LEAK07aaaaaaaaaaaa], "root_token": "LEAK01aaaaaaaaaaaa"`)
	keys := w.planOf("attack-keyfile", "connections: {vault: {address: \""+v.address+"\"}}\n", "- {id: init, uses: vaultInit, with: {keys: {file: excerpt-keys.json}}}")
	look("a key file", "run", keys, "--dry-run", "-v")
	return ""
}

// hostile has commands that terminals and CI systems would execute.
const hostile = "owned\x1b[66;6H\x1b]0;owned\x07\u009b31m\u202eb\x7f\r::error::one\n::add-mask::two\n##[error]three\n"

var (
	cursor   = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`) // the live view's own sequences
	commands = regexp.MustCompile(`(?m)^\s*(::(error|add-mask)::(one|two)|.*##\[error\])`)
)

// executes names the commands in printed text that a terminal or a CI system would
// execute.
func executes(printed string, live bool) string {
	if strings.Contains(printed, "\x1b[66;6H") || strings.Contains(printed, "\x1b]") {
		return "a sequence for terminals"
	}
	if live {
		printed = strings.ReplaceAll(cursor.ReplaceAllString(printed, ""), "\r", "")
	}
	if i := strings.IndexFunc(printed, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == 0x202e
	}); i >= 0 {
		return fmt.Sprintf("a control character: %q", printed[max(0, i-40):min(len(printed), i+20)])
	}
	if strings.HasPrefix(printed, "{") {
		return "" // JSON: its values stand within a line
	}
	if line := commands.FindString(printed); line != "" {
		return "a command: " + line
	}
	return ""
}

// hostileServer answers with hostile texts: in the certificate's names, in headers
// and in the body.
func (w *world) hostileServer(t *testing.T) *httptest.Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: hostile, Organization: []string{hostile}}, DNSNames: []string{"example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	w.put("hostile.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("X-Hostile", "owned \u009b31m ::error::one ##[error]three \u202e")
		_, _ = rw.Write([]byte(hostile))
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// hostileText shows hostile text from a server and from the cluster in all forms.
func hostileText(t *testing.T, w *world) string {
	const name = "attack-hostile"
	objects, _ := w.object("ConfigMap/default/" + name)
	object := &unstructured.Unstructured{Object: fields{"apiVersion": "v1", "kind": "ConfigMap", "metadata": fields{"name": name, "namespace": "default"}, "data": fields{"of": hostile}}}
	if _, err := objects.Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		return err.Error()
	}
	server := w.hostileServer(t)
	quoted, err := json.Marshal(hostile)
	if err != nil {
		return err.Error()
	}
	// YAML takes no control character as it is.
	description := strings.NewReplacer("\x7f", `\u007f`, "\u009b", `\u009b`, "\u202e", `\u202e`).Replace(string(quoted))
	plan := w.planOf("attack-hostile", "",
		"- {id: object, uses: applyManifest, with: {manifests: "+strings.TrimSpace(configMap(name, "plan"))+"}}",
		"- {id: described, uses: applyManifest, with: {manifests: {apiVersion: v1, kind: ConfigMap, metadata: {name: "+name+"-2, namespace: default}, data: {of: "+description+"}}}}",
		fmt.Sprintf("- {id: proof, uses: curlTLS, timeout: 2s, with: {url: \"https://example.com/\", address: %q, trustFile: hostile.pem, expect: {body: good, headers: {X-Hostile: good}, certificate: {commonName: good}}}}", server.Listener.Addr()))
	shown := 0
	look := func(f form) {
		stdout, stderr := w.shown(f)
		if strings.Contains(stdout+stderr, "owned") {
			shown++
		}
		for _, text := range []string{stdout, stderr} {
			if did := executes(text, f.live); did != "" {
				t.Errorf("%s prints %s", f.name, did)
			}
		}
	}
	for _, output := range []string{"text", "json", "github"} {
		look(form{name: "run -o " + output, args: []string{"run", plan, "-v", "-o", output, "--report", "report-hostile"}})
	}
	for _, f := range forms(plan, "report-hostile") {
		look(f)
	}
	look(form{name: "a name", args: []string{"validate", hostile}})
	if shown < 8 {
		t.Errorf("only %d forms show the text at all", shown)
	}
	pages := 0
	for _, dir := range []string{"report-hostile", "report-hostile-live"} {
		err := filepath.WalkDir(filepath.Join(w.work, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			pages++
			if did := executes(string(text), false); did != "" {
				t.Errorf("%s holds %s", path, did)
			}
			return err
		})
		if err != nil {
			return err.Error()
		}
	}
	if pages < 6 {
		return fmt.Sprintf("only %d pages of reports", pages)
	}
	return ""
}
