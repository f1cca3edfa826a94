// Package kubefields takes the objects of a Kubernetes cluster apart: their fields by
// path, the differences of two objects, and the secrets in one.
package kubefields

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/sensitive"
)

// Flatten returns the fields of an object by path. It leaves out the fields that name
// the object, those that only servers write, and the status. Elements of lists are
// named, "containers[nginx]/image", where each has a name of its own, else counted;
// a list of plain values is one field.
func Flatten(content map[string]any) map[string]any {
	flat := make(map[string]any)
	for key, v := range content {
		switch key {
		case "apiVersion", "kind", "status":
		case "metadata":
			meta, _ := v.(map[string]any)
			for key, v := range meta {
				if !serverOnly[key] {
					flatten("metadata/"+key, v, flat)
				}
			}
			delete(flat, daemonGeneration)
		default:
			flatten(key, v, flat)
		}
	}
	return flat
}

// daemonGeneration is where the API server counts the templates of a DaemonSet.
const daemonGeneration = "metadata/annotations/deprecated.daemonset.template.generation"

var serverOnly = map[string]bool{
	"name": true, "namespace": true, "uid": true, "resourceVersion": true, "generation": true,
	"creationTimestamp": true, "managedFields": true, "selfLink": true,
	"deletionTimestamp": true, "deletionGracePeriodSeconds": true,
}

func flatten(path string, v any, flat map[string]any) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			flat[path] = v
		}
		for key, e := range v {
			flatten(path+"/"+key, e, flat)
		}
	case []any:
		names := ElementNames(v)
		if names == nil {
			flat[path] = v
			return
		}
		for i, e := range v {
			flatten(path+"["+names[i]+"]", e, flat)
		}
	default:
		flat[path] = v
	}
}

// ElementNames returns the names by which Flatten calls the elements of a list of
// objects; nil for lists of plain values, which are compared as a whole.
func ElementNames(list []any) []string {
	names := make([]string, len(list))
	seen := make(map[string]bool)
	named := true
	for i, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			return nil
		}
		name, _ := m["name"].(string)
		named = named && name != "" && !seen[name]
		seen[name] = true
		names[i] = name
	}
	if len(list) == 0 {
		return nil
	}
	if !named {
		for i := range names {
			names[i] = fmt.Sprint(i)
		}
	}
	return names
}

// Differing returns the fields in which two flattened objects differ.
func Differing(live, want map[string]any) (have, wanted map[string]any) {
	have, wanted = make(map[string]any), make(map[string]any)
	for path, v := range want {
		old, ok := live[path]
		if ok && reflect.DeepEqual(old, v) {
			continue
		}
		if ok {
			have[path] = old
		}
		wanted[path] = v
	}
	for path, v := range live {
		if _, ok := want[path]; !ok {
			have[path] = v
		}
	}
	return have, wanted
}

// CRDKind is the kind of CustomResourceDefinitions.
var CRDKind = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// schemaPattern matches the fields of a schema in a CustomResourceDefinition.
var schemaPattern = regexp.MustCompile(`^(.*/openAPIV3Schema)/`)

// Condense replaces the schemas of a CustomResourceDefinition, which have thousands of
// fields, by their number and digest.
func Condense(gk schema.GroupKind, flat map[string]any) map[string]any {
	if gk != CRDKind {
		return flat
	}
	fields := make(map[string][]string) // path of the schema to its fields
	for path, v := range flat {
		if m := schemaPattern.FindStringSubmatch(path); m != nil {
			value, _ := json.Marshal(v)
			fields[m[1]] = append(fields[m[1]], path+"="+string(value))
			delete(flat, path)
		}
	}
	for path, lines := range fields {
		slices.Sort(lines)
		sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
		flat[path] = fmt.Sprintf("%d fields, sha256:%x", len(lines), sum[:8])
	}
	return flat
}

// Hide replaces the secrets in a flattened object of the kind: the data of a Secret,
// and in any object the fields whose names are those of secrets and the arguments of such
// options.
func Hide(gk schema.GroupKind, flat map[string]any) map[string]any {
	for path, v := range flat {
		hide := func(v any) any {
			text, ok := v.(string)
			if ok && (gk == schema.GroupKind{Kind: "Secret"} && secretPath(path) || sensitive.Holds(path, text)) {
				return engine.NewSecret(text)
			}
			return v
		}
		list, ok := v.([]any)
		if !ok {
			flat[path] = hide(v)
			continue
		}
		shown := make([]any, len(list))
		for i, e := range list {
			shown[i] = hide(e)
		}
		for _, i := range sensitive.Arguments(list) {
			shown[i] = engine.NewSecret(list[i].(string))
		}
		flat[path] = shown
	}
	return flat
}

func secretPath(path string) bool {
	return strings.HasPrefix(path, "data/") || strings.HasPrefix(path, "stringData/") ||
		path == "metadata/annotations/kubectl.kubernetes.io/last-applied-configuration"
}

// Text returns the text at a place of an object, and "" for anything else.
func Text(v any) string { s, _ := v.(string); return s }
