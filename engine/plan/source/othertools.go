package source

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A word is a key of another tool that a plan has under another name.
type word struct {
	key  string // as [plainKey] writes it
	here string // the key that is meant; the row counts only where there is one
	// hint is the advice; "" for `write HERE instead`. A row without a hint is for a key whose
	// value may stand as it is.
	hint string
}

// words are keys of the tools that the reader of a plan knows. More than one row may be
// for a key: the first whose key is known at the place counts. The sources are the
// references of the tools: GitHub Actions, "Workflow syntax" (if, name, run, strategy,
// matrix, timeout-minutes, jobs); GitLab CI, ".gitlab-ci.yml keywords" (dependencies,
// variables, retry: max); Azure Pipelines, "YAML schema" (condition, dependsOn,
// variables, inputs); Terraform, "Meta-arguments" (depends_on, count, for_each,
// providers, locals); Ansible, "Playbook keywords" (name, loop, with_items, until,
// retries, delay); Argo Workflows, "Field reference" (dependencies, withItems, template,
// retryStrategy: limit, duration, factor, maxDuration); Tekton, "Pipelines" (runAfter,
// params, tasks); manifests (kind, spec); values files (values); the
// settings of servers and of those who log in to them (server, auth, tls, ca).
var words = []word{
	{"if", "when", ""},
	{"condition", "when", ""},
	{"onlyif", "when", ""},
	{"unless", "when", "write when, with the condition negated: when: '!(…)'"},
	{"dependson", "needs", ""},
	{"dependencies", "needs", ""},
	{"runafter", "needs", ""},
	{"after", "needs", ""},
	{"requires", "needs", ""},
	{"name", "id", ""},
	{"loop", "forEach", ""},
	{"withitems", "forEach", ""},
	{"witheach", "forEach", ""},
	{"count", "forEach", "write forEach: [0, 1, 2] for several of a step, or when: … for one that is not always there"},
	{"matrix", "forEach", "write forEach: a list or a mapping"},
	{"strategy", "forEach", "write forEach: a list or a mapping"},
	{"parallel", "forEach", "write forEach: a list or a mapping; steps that do not need each other run at the same time"},
	{"kind", "uses", ""},
	{"type", "uses", ""},
	{"action", "uses", ""},
	{"module", "uses", ""},
	{"task", "uses", ""},
	{"template", "uses", ""},
	{"run", "uses", "a step has uses: KIND, and runs no commands; ztplan explain lists the kinds"},
	{"script", "uses", "a step has uses: KIND, and runs no commands; ztplan explain lists the kinds"},
	{"inputs", "with", ""},
	{"args", "with", ""},
	{"params", "with", ""},
	{"parameters", "with", ""},
	{"properties", "with", ""},
	{"spec", "with", ""},
	{"timeoutminutes", "timeout", "write timeout, with a unit: timeout: 5m"},
	{"timeoutseconds", "timeout", "write timeout, with a unit: timeout: 30s"},
	{"activedeadlineseconds", "timeout", "write timeout, with a unit: timeout: 30s"},
	{"retries", "retry", "write retry: {attempts: 5}"},
	{"attempts", "retry", "write retry: {attempts: 5}"},
	{"retrystrategy", "retry", "write retry: {attempts: 5}"},
	{"backofflimit", "retry", "write retry: {attempts: 5}"},

	{"count", "attempts", ""},
	{"limit", "attempts", ""},
	{"max", "attempts", ""},
	{"retries", "attempts", ""},
	{"maxattempts", "attempts", ""},
	{"interval", "delay", ""},
	{"wait", "delay", ""},
	{"pause", "delay", ""},
	{"factor", "backoff", ""},
	{"multiplier", "backoff", ""},
	{"maxinterval", "maxDelay", ""},
	{"maxduration", "maxDelay", ""},

	{"variables", "vars", ""},
	{"inputs", "vars", ""},
	{"params", "vars", ""},
	{"parameters", "vars", ""},
	{"values", "vars", ""},
	{"locals", "vars", ""},
	{"env", "vars", "a variable may take its value from the environment: vars: {NAME: {env: NAME}}"},
	{"tasks", "steps", ""},
	{"jobs", "steps", "write steps: a list, each with an id"},
	{"stages", "steps", "write steps: a list, each with an id"},
	{"resources", "steps", "write steps: a list, each with an id"},
	{"provider", "connections", "write connections: how the plan reaches its servers"},
	{"providers", "connections", "write connections: how the plan reaches its servers"},
	{"name", "metadata", "write metadata: {name: …}"},

	{"sensitive", "secret", ""},
	{"value", "default", ""},

	{"auth", "login", "write login: {method: …, …}"},
	{"authmethod", "login", "write login: {method: …, …}"},
	{"server", "address", ""},
	{"url", "address", ""},
	{"host", "address", "write address, with its scheme: address: https://HOST"},
	{"tls", "caFile", "its keys are beside address: caFile or caBundle, certFile and keyFile, serverName"},
	{"ca", "caFile", "write caFile for a file, or caBundle for the certificates themselves"},
	{"cacert", "caFile", "write caFile for a file, or caBundle for the certificates themselves"},
	{"clientcert", "certFile", ""},
	{"clientkey", "keyFile", ""},
}

// values are words of other tools for values of keys.
var values = []word{
	{"oidc", "jwt", "write jwt: it logs in with the OIDC token of a CI job; the method oidc of Vault is for browsers"},
	{"github", "jwt", "write jwt: it logs in with the OIDC token of a CI job"},
	{"gitlab", "jwt", "write jwt: it logs in with the OIDC token of a CI job"},
	{"k8s", "kubernetes", "write kubernetes"},
	{"tls", "cert", "write cert"},
}

// ValueHint returns the hint for a value that is none of the known ones; "" if none is
// close.
func ValueHint(written string, known []string) string {
	for _, w := range values {
		if w.key == plainKey(written) && slices.Contains(known, w.here) {
			return w.hint
		}
	}
	return DidYouMean(written, known)
}

// Meant returns which of the known keys a key stands for that is none of them: another
// tool's word for it, or a key that is close; "" if there is none. same is set if the
// value, too, is that of the key.
func Meant(written string, known []string) (key string, same bool) {
	plain := plainKey(written)
	for _, k := range known {
		if plainKey(k) == plain {
			return k, true
		}
	}
	if w := foreign(written, known); w != nil {
		return w.here, w.hint == ""
	}
	return Closest(written, known), false
}

// KeyHint returns the hint for a key that is none of the known ones: the key for another
// tool's word, the key that is close, or else the keys after intro.
func KeyHint(written string, known []string, intro string) string {
	if Closest(written, known) == "" || plainKey(written) != plainKey(Closest(written, known)) {
		if w := foreign(written, known); w != nil && w.hint != "" {
			return w.hint
		} else if w != nil {
			return "write " + w.here + " instead"
		}
	}
	if s := DidYouMean(written, known); s != "" || len(known) == 0 {
		return s
	}
	return intro + listed(known, maxKeys)
}

// maxKeys is how many keys of a mapping a hint lists: all of every kind's.
const maxKeys = 40

func foreign(written string, known []string) *word {
	plain := plainKey(written)
	for i, w := range words {
		if w.key == plain && slices.Contains(known, w.here) {
			return &words[i]
		}
	}
	return nil
}

// plainKey returns a key without the differences between the spellings of tools.
func plainKey(key string) string {
	if strings.ContainsAny(key, "-_") {
		key = strings.ReplaceAll(strings.ReplaceAll(key, "-", ""), "_", "")
	}
	return strings.ToLower(key)
}

const templateDetail = "a plan is YAML as it stands: nothing expands templates of Helm or Jinja in it"

// foreignTemplate is an action of Helm's templates; its first group is a value, by its path.
// Others write {{ }} too, such as the policies of Vault: they do not name these.
var foreignTemplate = regexp.MustCompile(`\{\{-?\s*(?:\.Values\.([A-Za-z0-9_.]+)|\.(?:Release|Chart|Values)\b|include\s+")[^}]*\}\}`)

// ForeignTemplate returns the fault of a text with a template of Helm, which is not expanded
// here, and a hint; "" if it has none.
func ForeignTemplate(text string) (message, hint string) {
	if !strings.Contains(text, "{{") {
		return "", ""
	}
	found := foreignTemplate.FindStringSubmatch(text)
	if found == nil {
		return "", ""
	}
	name := "NAME"
	if found[1] != "" {
		name = found[1][strings.LastIndex(found[1], ".")+1:]
	}
	return fmt.Sprintf("%s is a template of Helm, which a plan does not fill in", Abbreviate(found[0])),
		fmt.Sprintf("declare a variable below vars, and write ${vars.%s}", name)
}
