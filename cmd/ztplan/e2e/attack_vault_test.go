package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// offline runs ztplan without a cluster.
func (w *world) offline(t *testing.T, args ...string) *outcome {
	t.Helper()
	cmd := w.bare(t.Context(), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run()
	return &outcome{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stdout.String() + stderr.String()}
}

// vaultPlan writes a plan for the Vault at address, with its keys beside it and these
// steps after it is unsealed.
func (w *world) vaultPlan(name, address, custody string, steps ...string) string {
	w.t.Helper()
	steps = append([]string{
		"- {id: init, uses: vaultInit, with: {" + custody + "keys: {file: " + name + "-keys.json}}}",
		"- {id: unseal, uses: vaultUnseal, needs: [init], with: {keys: {file: " + name + "-keys.json}}}",
	}, steps...)
	return w.planOf(name, fmt.Sprintf("connections: {vault: {address: %q, token: \"${steps.init.rootToken}\"}}\n", address), steps...)
}

func rootStep(mount, name string) string {
	return fmt.Sprintf("- {id: root, uses: pkiRoot, needs: [unseal], with: {mount: %s, commonName: %s, issuerName: root, ttl: 87600h, maxLeaseTTL: 87600h}}", mount, name)
}

// ownFiles runs a script with a small file system of its own on the directory $1.
func (w *world) ownFiles(t *testing.T, size, script string, args ...string) (string, int) {
	t.Helper()
	path, err := exec.LookPath("unshare")
	if err != nil {
		t.Skip(err)
	}
	if err := exec.Command(path, "-Urm", "true").Run(); err != nil {
		t.Skip("no user namespace: ", err)
	}
	dir := t.TempDir()
	cmd := w.bare(t.Context(), args...)
	shell := exec.CommandContext(t.Context(), path, append([]string{"-Urm", "sh", "-c",
		`mount -t tmpfs -o size=` + size + `,mode=700 ztplan "$0" && cd "$0" || exit 99` + "\n" + script, dir}, cmd.Args...)...)
	shell.Env, shell.Dir = cmd.Env, w.work
	out, err := shell.CombinedOutput()
	if shell.ProcessState == nil {
		t.Fatal(err)
	}
	if code := shell.ProcessState.ExitCode(); code != 99 {
		return string(out), code
	}
	t.Skipf("no file system of its own: %s", out)
	return "", 0
}

// fullDisk leaves one block for the keys, and then room: Vault must not have been
// asked before.
func fullDisk(t *testing.T, w *world) string {
	v := startVault(t, w.ztlab)
	plan := w.vaultPlan("attack-full-disk", v.address, "shares: 60, threshold: 3, ")
	out, code := w.ownFiles(t, "128k", `cp "$4" plan.yaml
dd if=/dev/zero of=ballast bs=4096 2>/dev/null
truncate -s -4096 ballast
"$1" run plan.yaml && exit 90
rm ballast
"$1" run plan.yaml || exit 91
grep -q unseal_keys_b64 attack-full-disk-keys.json || exit 92
`, "run", "-", filepath.Join(w.work, plan))
	if code != 0 {
		return fmt.Sprintf("%d: %s", code, out)
	}
	return ""
}

// orphanedKeys leaves the files of a SIGKILL between the sync and the link of the key
// file, and a second name of it.
func orphanedKeys(t *testing.T, w *world) string {
	v := startVault(t, w.ztlab)
	plan := w.vaultPlan("attack-orphan", v.address, "")
	if o := w.offline(t, "run", plan); o.code != 0 {
		return o.String()
	}
	keys := filepath.Join(w.work, "attack-orphan-keys.json")
	if err := os.Rename(keys, keys+".tmp-4711"); err != nil {
		return err.Error()
	}
	if o := w.offline(t, "run", plan); o.code != 0 || strings.Contains(o.stderr, "delete its data") {
		return o.String()
	}
	if err := os.Link(keys, keys+".tmp-4712"); err != nil {
		return err.Error()
	}
	if o := w.offline(t, "run", plan); o.code != 0 {
		return o.String()
	}
	if left, err := filepath.Glob(keys + "*"); err != nil || len(left) != 1 {
		return fmt.Sprintf("there are %v", left)
	}
	return ""
}

// killedInit kills the run and its process group at each moment of init.
func killedInit(t *testing.T, _ *world) string {
	for _, m := range initMoments {
		killInit(t, m, true)
	}
	return ""
}

// hostileVariables sets each VAULT_* variable of the README to a value that would
// change requests or answers, on a plan that has converged.
func hostileVariables(t *testing.T, w *world) string {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		return err.Error()
	}
	names := make(map[string]bool)
	for _, name := range regexp.MustCompile("`(VAULT_[A-Z_]+)`").FindAllStringSubmatch(string(readme), -1) {
		names[name[1]] = true
	}
	if len(names) < 20 {
		return fmt.Sprintf("the README has %d variables", len(names))
	}
	v := startVault(t, w.ztlab)
	plan := w.vaultPlan("attack-variables", v.address, "", rootStep("variables", "Variables Root"))
	if o := w.offline(t, "run", plan); o.code != 0 {
		return o.String()
	}
	for _, value := range []string{"5m", "http://127.0.0.1:1", "/no/such/file", "true"} {
		for _, args := range [][]string{{"run", plan, "--dry-run"}, {"run", plan}} {
			cmd := w.bare(t.Context(), args...)
			for name := range names {
				cmd.Env = append(cmd.Env, name+"="+value)
			}
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "nothing differs") && !strings.Contains(string(out), "converged") {
				return fmt.Sprintf("%v with %s in each: %v\n%s", args, value, err, out)
			}
		}
	}
	client := v.client(t)
	client.SetToken(w.tokenIn("attack-variables-keys.json"))
	return oneRoot(client, "variables")
}

var rootToken = regexp.MustCompile(`"root_token": "([^"]+)"`)

func (w *world) tokenIn(keys string) string {
	w.t.Helper()
	found := rootToken.FindStringSubmatch(w.text(keys))
	if found == nil {
		w.t.Fatalf("%s has no root token", keys)
	}
	return found[1]
}

// oneRoot returns why a mount has not exactly one issuer and one key.
func oneRoot(c *api.Client, mount string) string {
	for _, what := range []string{"issuers", "keys"} {
		s, err := c.Logical().List(mount + "/" + what)
		if err != nil || s == nil {
			return fmt.Sprintf("%s/%s: %v %v", mount, what, s, err)
		}
		if all, _ := s.Data["keys"].([]any); len(all) != 1 {
			return fmt.Sprintf("%s has the %s %v", mount, what, all)
		}
	}
	return ""
}

// twoPlans runs two plans with the same root at once, on a Vault at an address, where
// no lock keeps them apart.
func twoPlans(t *testing.T, w *world) string {
	v := startVault(t, w.ztlab)
	plan := w.vaultPlan("attack-two", v.address, "")
	if o := w.offline(t, "run", plan); o.code != 0 {
		return o.String()
	}
	client := v.client(t)
	client.SetToken(w.tokenIn("attack-two-keys.json"))
	return w.race(t, client, w.text(plan), "attack-two")
}

// twoPlansInCluster does the same on the lab's Vault, which has a lock.
func twoPlansInCluster(t *testing.T, w *world) string {
	if o := w.run("--only", "unseal", "--var", "rootToken=keep"); o.code != 0 {
		return o.String()
	}
	w.look()
	const name = "attack-cluster"
	plan := w.planOf(name, "connections: {vault: {service: {namespace: vault, name: vault}, token: \"${steps.init.rootToken}\"}}\n",
		"- {id: init, uses: vaultInit, with: {shares: 5, threshold: 3, keys: {file: vault-cluster-keys.json}}}",
		"- {id: unseal, uses: vaultUnseal, needs: [init], with: {keys: {file: vault-cluster-keys.json}}}")
	return w.race(t, w.vault(), w.text(plan), name, "--lab", "--lab-dir", w.dir)
}

// race runs two plans, which are text and a root, at once, several times. Both must
// converge, and there must be one root.
func (w *world) race(t *testing.T, client *api.Client, text, name string, args ...string) string {
	t.Helper()
	for i := range 3 {
		mount := fmt.Sprintf("two-%d", i)
		var runs [2]*exec.Cmd
		var said [2]bytes.Buffer
		for j := range runs {
			own := fmt.Sprintf("%s-%d-%d", name, i, j)
			w.put(own+".yaml", strings.Replace(text, "{name: "+name+"}", "{name: "+own+"}", 1)+"  "+rootStep(mount, "Shared Root")+"\n")
			runs[j] = w.bare(t.Context(), append([]string{"run", own + ".yaml"}, args...)...)
			runs[j].Stdout, runs[j].Stderr = &said[j], &said[j]
			if err := runs[j].Start(); err != nil {
				return err.Error()
			}
		}
		for j := range runs {
			if err := runs[j].Wait(); err != nil {
				return fmt.Sprintf("plan %d: %v\n%s", j, err, said[j].String())
			}
		}
		if broke := oneRoot(client, mount); broke != "" {
			return broke
		}
	}
	return ""
}

// rootWithoutKey has a root of the plan's name in the mount, and its key elsewhere.
func rootWithoutKey(t *testing.T, w *world) string {
	v := startVault(t, w.ztlab)
	if o := w.offline(t, "run", w.vaultPlan("attack-no-key", v.address, "")); o.code != 0 {
		return o.String()
	}
	client := v.client(t)
	client.SetToken(w.tokenIn("attack-no-key-keys.json"))
	if err := client.Sys().Mount("nokey", &api.MountInput{Type: "pki", Config: api.MountConfigInput{MaxLeaseTTL: "87600h"}}); err != nil {
		return err.Error()
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err.Error()
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(4711), Subject: pkix.Name{CommonName: "Company Root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err.Error()
	}
	if _, err := client.Logical().Write("nokey/issuers/import/cert", map[string]any{"pem_bundle": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}); err != nil {
		return err.Error()
	}
	o := w.offline(t, "run", w.vaultPlan("attack-no-key", v.address, "", rootStep("nokey", "Company Root")))
	issuers, err := client.Logical().List("nokey/issuers")
	if err != nil || issuers == nil {
		return fmt.Sprint(issuers, err)
	}
	if all, _ := issuers.Data["keys"].([]any); o.code != 1 || len(all) != 1 || !strings.Contains(o.stderr, "import") {
		return fmt.Sprintf("there are the issuers %v, %v", issuers.Data["keys"], o)
	}
	return ""
}
