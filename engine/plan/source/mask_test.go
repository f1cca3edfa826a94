package source_test

import (
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// excerpts returns the excerpts of problems at all lines of a plan.
func excerpts(t *testing.T, text string, secrets ...string) string {
	t.Helper()
	c := source.NewCollector(engine.NewInputs(t.Context()), source.NewFile("plan.yaml", []byte(text)), "/dir", nil)
	for _, s := range secrets {
		c.KeepSecret(s)
	}
	for n := range strings.Count(text, "\n") {
		c.Add(&source.Problem{Position: source.Position{File: "plan.yaml", Line: n + 1, Column: 1}, Summary: "wrong"})
	}
	return c.Err().Error()
}

// TestMask: no excerpt shows a value whose key looks like that of a secret, wherever the
// value stands, and excerpts show what is beside it.
func TestMask(t *testing.T) {
	for name, text := range map[string]string{
		// In one line.
		"a plan in one line":                 `{"metadata": {"name": "shown"}, "vars": {"password": "canary"}}`,
		"behind a reference to a Secret":     `{ref: {name: shown}, token: canary}`,
		"a mapping":                          `{user: shown, secret: {name: shown, default: canary}}`,
		"a mapping in a mapping":             `password: {name: {name: shown, first: canary}}`,
		"a mapping in a list":                `{a: [shown, {token: {b: [{}, "}", 'it''s }'], c: canary}}]}`,
		"behind a mapping":                   `{secret: {name: shown, ref: [{name: x}]}, expect: shown}`,
		"a brace in quotes":                  `token: {url: "}", name: '}', default: canary}`,
		"behind a quoted text":               `{secret: {name: "{"}, expect: shown}`,
		"data":                               `{stringData: {name: canary}}`,
		"a declared variable":                `db: {secret: true, default: canary}`,
		"a declared variable, default first": `db: {default: canary, secret: true}`,
		"a named value":                      `{name: DB_PASSWORD, value: canary}`,
		"a Secret":                           `{"kind": "Secret", "data": {"name": "canary"}}`,
		"a second mark":                      `{metadata: {name: shown}, kind: Secret, data: {name: canary}}`,
		"no mark":                            `{secretName: true, kind: SecretStore, name: color, default: shown, value: shown, data: shown}`,
		"no declaration":                     `db: {secret: false, default: shown}`,
		"an anchor":                          `password: &name {default: canary}`,
		"a list":                             `passwords: [{name: canary}]`,
		"text that begins with a brace":      `password: {canary}`,
		"text that begins with #":            `password: #canary`,
		"a comment":                          `{token: # shown`,
		"a reference":                        `{token: ${vars.x}, password: "${vars.x}", secret: true, dsn: null, expect: shown}`,
		"a reference in text":                `password: ${vars.x}canary`,
		"two values":                         `{token: ${vars.x}, password: canary}`,
		"no space":                           `{"password":"canary"}`,
		"an equals sign":                     `args: [--color=shown, --password = canary]`,
		"an option":                          `command: serve --color shown --db-password canary`,
		"an option in a list":                `args: ["--color", "shown", '--token', 'canary']`,
		"an option without a value":          `text: [shown, a-token shown, --token]`,

		"an apostrophe":              `{note: it's, token: {name: 5', default: canary}}`,
		"a quote that is not closed": `{a: 'x, token: {default: canary}}`,
		"behind a value of a list":   `[token: null, {c: shown}]`,
		"text in other lines":        "token: | # shown\n  canary\n",

		"a name with an error":            "pasword: canary\n",
		"a name with an error at its end": "dbPasswort: canary\n",
		"a short name with an error":      "tokn: canary\n",
		"words like the ends of names":    "broken: shown\nmytokn: shown\npastorate: shown\npasswordFile: shown\ntok: shown\n",

		// Over several lines.
		"text below another key":             "a: x\n  shown words\npassword: canary\nb: |\n\n  more shown words\n",
		"a text with a comma":                "token: a, b\n  canary: c\n",
		"a value in closed quotes":           "token: \"canary\"\nexpect: shown\n",
		"a list of named values":             "env:\n- name: DB_PASSWORD\n  value: canary\n- value: shown\n  name: COLOR\n",
		"an option over lines":               "args:\n- --password\n# shown\n\n- canary\n- --color\n- shown\n",
		"an option of JSON":                  "[\n  \"--token\",\n  \"canary\",\n  \"--token\",\n  \"--shown\",\n  \"--token\"\n]\n",
		"an option and a reference":          "- --token\n- ${vars.x} # shown\n- shown\n",
		"an option in text that goes on":     "token: a\n  canary --name canary\n",
		"an option below a secret":           "secret:\n- --name canary\n",
		"a list in a list over lines":        "a: {token: [[b], c,\n  b: canary]}\n",
		"behind a mapping, over lines":       "- {a: {token: b}, c:\n    shown}\n",
		"a list with an apostrophe":          "a: {x: [don't, token: isn't],\n   expect: shown}\n",
		"tabs and four spaces":               "a:\n\tdb:\n\t\tsecret: true\n    default: canary\n",
		"tabs and no mark":                   "a:\n\tdb:\n\t\tdefault: shown\n",
		"spaces and a tab":                   "a:\n    db:\n        secret: true\n\tdefault: canary\n",
		"a block":                            "password:\n  - canary\n  -\n    canary\n\n  b:\n    c: canary\nexpect: shown",
		"a list as far in as its key":        "tokens:\n- canary\n- a: b\n  canary\nexpect: shown",
		"an item in the next line":           "tokens:\n-\n  - canary\n-\n  canary\n",
		"below a marked object":              "- name: token\n  kind: Secret\n  spec:\n    data: shown\n",
		"a comment in a list":                "tokens:\n# shown\n- canary\n# shown\n- canary\n",
		"a comment that is less far in":      "a:\n  password:\n# shown\n    default: canary\n",
		"keys that name no secret":           "secret:\n  name: shown\n  namespace: shown\n  value: canary",
		"a key that names none, and below":   "secret:\n  name:\n    first: canary\n",
		"text":                               "token: |\n  name: canary\n\n   # canary\n  canary\nexpect: shown",
		"text that is folded":                "token: >-2 # x\n    name: canary\n",
		"text with an anchor":                "token: &a !!str |\n  name: canary\n",
		"text without a header":              "token: canary\n  name canary\n",
		"text in quotes":                     "token: \"canary\n  name: canary\nname: canary \\\"\nname: canary\"\nexpect: shown",
		"text in other quotes":               "a: {token: 'canary\nname: canary ''\nname: canary'}\nexpect: shown",
		"a list over lines":                  "a: {x: shown, tokens: [b,\n  c,\n  canary]}\nexpect: shown",
		"a mapping over lines":               "a: {x: shown, token: {b: '}',\n  c: canary}}\nexpect: shown",
		"a value in the next line":           "a: {x: shown, token:\n    canary}\nexpect: shown",
		"a value that ends in its line":      "a: {tokens: [{b: ']'}, c], token: {a: b}, password: 'it''s',\n   expect: shown}",
		"a reference over an indented line":  "a:\n- token: ${vars.x}\n  expect: shown",
		"long text":                          "token: |\n" + strings.Repeat("\n", 600) + "  canary\n",
		"a tab below six spaces":             "a:\n      password: |\n\tname: canary\n",
		"tabs":                               "a:\n\tpassword:\n\t\tdefault: canary\n\texpect: shown",
		"a tab below two spaces":             "a:\n  password: |\n\tcanary\n",
		"four spaces below a tab":            "a:\n\tpassword: |\n    name: canary\n",
		"text that is not indented":          "password: canary\ncanary\n\ncanary\nexpect: shown\n",
		"a list that is not indented":        "{a: {tokens: [b,\n\n*canary]\n}\n# shown\n}\n- shown\n",
		"data below a key":                   "stringData:\n  name: canary\nexpect: shown",
		"a declared variable over lines":     "db:\n  secret: true\n  default: canary\n  description: shown\nport:\n  default: shown",
		"a declared variable with text":      "db:\n  default: |\n    name: canary\n  secret: true\nport:\n  default: shown",
		"a declared variable, half in lines": "db: {secret: true,\n  default: canary}\nport: {default: shown}",
		"a named value over lines":           "- name: DB_PASSWORD\n  value: canary\n- name: COLOR\n  value: shown\n- value: canary\n  name: \"DB_TOKEN\"",
		"a Secret over lines":                "- kind: Secret\n  data:\n    name: canary\n- kind: ConfigMap\n  data:\n    name: shown",
		"a Secret whose kind is last":        "- data:\n    name: canary\n  kind: 'Secret'\n- kind: ConfigMap\n  data: shown",
		"a Secret of JSON":                   "{\n  \"kind\": \"Secret\",\n  \"data\": {\n    \"name\": \"canary\"\n  }\n}",
	} {
		// The lines that follow belong to the first problems, too.
		got := excerpts(t, text+"\n")
		if strings.Contains(got, "canary") {
			t.Errorf("%s: an excerpt shows it:\n%s", name, got)
		}
		for line := range strings.Lines(text) {
			if key, _, ok := strings.Cut(line, "shown"); ok && !strings.Contains(key, "canary") && !strings.Contains(got, key+"shown") {
				t.Errorf("%s: no excerpt shows %s\n%s", name, line, got)
			}
		}
	}
}

// TestKnownSecrets: a secret that was read shows neither as it is nor as it is written.
func TestKnownSecrets(t *testing.T) {
	for name, tt := range map[string]struct{ text, secret string }{
		"as it is":          {"a: x-canary-y z", "canary"},
		"in single quotes":  {"a: 'it''s canary'", "it's canary"},
		"in double quotes":  {`a: "canary\\ \"canary\"\tcanary"`, "canary\\ \"canary\"\tcanary"},
		"a line of more":    {"a: |\n  canary\n  b", "b\n canary \n"},
		"a part of another": {"a: canary-1\nb: canary", "canary\ncanary-1"},
	} {
		if got := excerpts(t, tt.text+"\n", strings.SplitAfter(tt.secret, "\n")...); strings.Contains(got, "canary") || strings.Contains(got, "-1") {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := excerpts(t, "abc: 1\nd: 1234\n", "abc", "1234", ""); !strings.Contains(got, "abc: 1\n") || strings.Contains(got, "1234") {
		t.Errorf("a secret of three characters is hidden, or one of four is not: %s", got)
	}
}
