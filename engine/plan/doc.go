// Package plan reads plans: YAML in, a [Plan] of typed steps out, or every
// problem at once, each with its place.
//
// Nothing is contacted. [Load] checks all that the plan, its variables and the files
// beside it determine: keys, types, ranges, references, the graph, and the checks of
// each kind. Inputs that need the outputs of another step are checked by the same code
// with real values, in [Step.Spec].
//
// The sections from Plans to Connections are also what "ztplan explain" and
// plans/README.md say about the language, so that they are in the words of a plan. The
// keys and their meanings are the fields of [Document].
//
// # Plans
//
// A plan is one YAML document in UTF-8 that lists steps. ztplan compares each step with
// the world, shows the difference, removes it and looks again.
//
//	apiVersion: ztplan.dev/v1
//	kind: Plan
//	metadata: {name: demo}
//	vars: {domain: example.local}
//	connections: {vault: {service: {namespace: vault, name: vault}, token: "${steps.init.rootToken}"}}
//	steps:
//	  - {id: init, uses: vaultInit, with: {keys: {file: vault-cluster-keys.json}}}
//	  - {id: unseal, uses: vaultUnseal, needs: [init], with: {keys: {file: vault-cluster-keys.json}}}
//	  - {id: root, uses: pkiRoot, needs: [unseal], with: {commonName: Root CA, ttl: 87600h}}
//	  - {id: site, uses: curlTLS, with: {url: "https://hello.${vars.domain}", trust: "${steps.root.certificate}"}}
//
// Repeated keys, tags of one's own and keys that are not scalars are problems; anchors,
// aliases and merge keys work. A null stands for a key that is not there.
//
// Scalars and the keys of data are read as kubectl and Helm read them: an unquoted yes,
// no, on, off, y or n is true or false, and 0400 is 256. It is the same in a plan, in a
// file of variables, in text from --var and the environment that is read as another type
// than text, in manifests and in files of values. Two things are names, not data, and
// stay as they are written: the keys that ztplan gives a meaning, which includes those of
// vars, and a word where an input takes text. A variable that was read as true, false or
// another number than it looks like cannot become text again: the problem shows both
// readings.
//
// # Variables
//
// Every entry of vars declares a variable. The value is its default. A mapping with any of
// the keys default, description, env, required, secret and type is a declaration instead,
// and then has no other keys; a variable whose default is such a mapping writes it below
// default. A variable without a default, or with null, must be given.
//
//	vars:
//	  domain: example.local
//	  size: {type: number, description: how many}
//	  token: {secret: true, env: APP_TOKEN}
//
// Values come from, last one first: --var, variable files, the environment variable that
// env names, the default. They have the type of the declaration, or else of the default;
// text from --var and the environment is read as that type. Values from outside are taken
// as they are: a ${ in them means nothing. A default may refer to other variables.
//
// A secret variable, and one made from it, can only be used in inputs that take secrets.
// It cannot be given with --var, where every process could read it.
//
// # References
//
// A reference stands for a value from elsewhere. Inputs, connections, when, timeout and
// retry may hold references:
//
//	${vars.NAME}            a variable; ${vars.list[0].key["a/b"]} a part of it
//	${steps.ID.OUTPUT}      an output of another step, or a part of it
//	${plan.name}            the plan's name
//	$${                     the text ${
//
// They stand in values, not in keys. A value that is one reference and nothing else keeps
// its type, except that a number, true or false may fill an input that takes text. As part
// of a text, references to text, numbers, true and false are formatted. Outputs can be used
// in inputs, in when and in connections that are defaults. A reference to an output is a
// dependency; needs adds those that no reference shows.
//
// # Steps
//
// A step has an id, a kind (uses) and the inputs of that kind (with). The order in the
// file does not matter: a step runs when all steps that it needs or refers to are done,
// beside others that are ready as well.
//
//	steps:
//	  - id: root
//	    uses: pkiRoot
//	    needs: [unseal]
//	    when: ${vars.env} != "test"
//	    timeout: 2m
//	    retry: {attempts: 5, delay: 2s}
//	    with: {mount: pki, commonName: Root CA, ttl: 87600h}
//
// A kind may ask for a step that runs when all others are done: with rootToken: revoke,
// vaultInit does. It has the id of the step that asks and of the input that decides it,
// "init.rootToken", the inputs and the condition of that step, and needs every step that
// the plan writes. --skip and --only take its id; references and needs do not. Such
// closing steps do not wait for each other.
//
// # When
//
// A step whose when is false does not run. It is an expression of these parts, the first
// of which bind most:
//
//	true false 3 -1.5       truth and numbers
//	"text" 'text'           text; inside quotes a reference is only text
//	${…}                    a reference to text, a number, true or false; not to a secret
//	( )                     parentheses
//	!                       not
//	== !=                   equal, not equal; both sides have the same type
//	&&                      and
//	||                      or
//
// There are no functions, and no other comparisons.
//
//	when: ${vars.env} == "prod" && !${vars.small}
//
// The right side of && and || is left out when the left side decides. A step that does not
// run, be it for its when, for --skip or for --only, has no outputs: steps that refer to
// its outputs do not run either, and steps that only need it do.
//
// # Retry
//
// A step is tried again when an attempt failed and the reason may pass, or when a proof
// does not hold yet. A retry looks before it writes. The timeout of the step bounds all of
// its attempts and pauses. What a step does not say is the default of its kind, below.
//
// # Connections
//
// Connections say once how the plan reaches its servers. Each is a value that is known
// before any step runs (kubernetes), or the default of the inputs of its name (vault). A
// default is merged into that input of every step that has it: keys that the step leaves
// out are filled in, nested ones too, as far as the input has such a key. A key with the
// value null is not left out. Of keys that exclude each other, a step gets none if it gives
// one.
//
//	connections:
//	  kubernetes: {context: kind-lab}
//	  vault: {service: {namespace: vault, name: vault}, token: "${steps.init.rootToken}"}
//
// # Design
//
// Three layers, each of which imports those below it: package source reads the text,
// package spec fills the inputs of a step, and this package knows the plan: its keys,
// variables, connections, steps and their graph.
//
// The tree that the YAML parser makes stays: inputs are decoded from it when the plan
// is read, and again with the outputs of steps right before a step starts. So every
// problem has its place, also one that shows hours later in a run.
package plan
