package plan_test

import (
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine/plan"
)

// No excerpt shows a value that nothing has declared secret yet.
func TestExcerptsShowNoSecrets(t *testing.T) {
	for name, text := range map[string]string{
		"syntax":              "apiVersion: ztplan.dev/v1\npassword: canary\nkind: a: b\n",
		"the line itself":     "apiVersion: ztplan.dev/v1\npassword: canary: b\n",
		"quoted":              "a: 1\n\"db-password\": \"canary\"\nkind: a: b\n",
		"between braces":      "a: 1\nwith: {user: x, adminPassword: canary, url: y}\nkind: a: b\n",
		"block of text":       "a: 1\nclientSecret: |\n  canary\n  canary more\nkind: a: b\n",
		"list":                "a: 1\ntokens:\n- x\n- canary\nkind: a: b\n",
		"mapping":             "a: 1\npasswords:\n  db: canary\nkind: a: b\n",
		"environment":         "a: 1\nargs: PGPASSWORD=canary\nkind: a: b\n",
		"shape":               "a: 1\nnote: hvs.canary-0123456789\nkind: a: b\n",
		"address":             "a: 1\nurl: https://user:canary@example.org\nkind: a: b\n",
		"private key":         "-----BEGIN PRIVATE KEY-----\ncanary: a: b\n-----END PRIVATE KEY-----\n",
		"age":                 "# canary\nAGE-SECRET-KEY-1: a: b\n",
		"keys of Vault":       "{\"keys\": [\"canary\"],\n\"root_token\": \"canary\": x}\n",
		"misspelt":            "a: 1\npasword: canary\nkind: a: b\n",
		"misspelt at last":    "a: 1\nsecret:\n  name: x\ndbPasswort: canary\nkind: a: b\n",
		"a plan in one line":  `{"apiVersion": "ztplan.dev/v1", "metadata": {"name": "x"}, "vars": {"password": "canary"}}` + "\n",
		"a declared variable": "vars:\n  db:\n    secret: true\n    default: canary\nkind: [\n",
		"a tag":               "apiVersion: ztplan.dev/v1\npassword: !canary\n",
		"a comment":           "apiVersion: ztplan.dev/v1\npassword: #canary\n",
		"tabs":                "vars:\n\tpassword:\n\t\tdefault: canary\n",
		"a second problem":    "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: x}\nstps: 1\naccess_key: canary\n",
	} {
		_, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(text), Kinds: kinds(), Connections: connections()})
		if err == nil {
			t.Errorf("%s: valid", name)
			continue
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the excerpt shows it:\n%v", name, err)
		}
	}
}

// The place of a secret is shown.
func TestExcerptsShowWhatIsNoSecret(t *testing.T) {
	for _, line := range []string{"existingSecret: shown", "secretName: shown", "  name: shown", "publicKey: shown", "keys: {file: shown}", "passwordFile: shown", "broken: shown", "pastorate: shown"} {
		_, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte("secret:\n  namespace: x\n" + line + "\nkind: a: b\n"), Kinds: kinds(), Connections: connections()})
		if err == nil || !strings.Contains(err.Error(), "shown") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// A value under an unknown key is hidden if the key that is suggested is secret.
func TestMisspeltSecretIsHidden(t *testing.T) {
	for _, input := range []string{"tokenn: canary", "tken: {value: [canary]}", "token: x1234, toke: canary"} {
		text := "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: x}\nsteps:\n- {id: a, uses: pkiRoot, with: {commonName: x, vault: {address: \"http://a\", " + input + "}}}\n"
		_, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(text), Kinds: kinds(), Connections: connections()})
		if err == nil || !strings.Contains(err.Error(), "unknown key") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", input, err)
		}
	}
}
