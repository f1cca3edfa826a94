package kubefields

import (
	"encoding/base64"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/sensitive"
)

// A SecretValue is a secret in an object.
type SecretValue struct {
	Key   string // the last key of its path
	Text  string
	Named bool // whether the key is the name of a secret
}

// SecretValues returns the values of a Secret, plain and encoded, and of any other
// object the fields whose names are those of secrets, the arguments of such options, and
// the secrets that a text assigns.
func SecretValues(o *unstructured.Unstructured) []SecretValue {
	var out []SecretValue
	if o.GetKind() == "Secret" && o.GroupVersionKind().Group == "" {
		add := func(key, text string) {
			out = append(out, SecretValue{key, text, sensitive.Name(key)})
			for _, part := range sensitive.Assigned(text) {
				out = append(out, SecretValue{key, part, false})
			}
		}
		data, _, _ := unstructured.NestedMap(o.Object, "data")
		for key, v := range data {
			coded, _ := v.(string)
			if plain, err := base64.StdEncoding.DecodeString(coded); err == nil {
				add(key, string(plain))
			}
			out = append(out, SecretValue{key, coded, false})
		}
		plain, _, _ := unstructured.NestedMap(o.Object, "stringData")
		for key, v := range plain {
			text, _ := v.(string)
			add(key, text)
		}
		return out
	}
	for path, v := range Flatten(o.Object) {
		list, ok := v.([]any) // of plain values
		if !ok {
			list = []any{v}
		}
		arguments := sensitive.Arguments(list)
		for i, v := range list {
			text, _ := v.(string)
			if sensitive.Holds(path, text) || slices.Contains(arguments, i) {
				out = append(out, SecretValue{path, text, true})
			}
			for _, part := range sensitive.Assigned(text) {
				out = append(out, SecretValue{path, part, false})
			}
		}
	}
	return out
}

// Findable returns the values that are long enough to be searched for in the output of
// a run; see [engine.Env] Conceal.
func Findable(values []SecretValue) []engine.Secret {
	var out []engine.Secret
	for _, v := range values {
		if sensitive.Findable(v.Text, v.Named) {
			out = append(out, engine.NewSecret(v.Text))
		}
	}
	return out
}

// EncodeData moves the stringData of a Secret to data, as the API server does.
func EncodeData(content map[string]any) {
	texts, found, _ := unstructured.NestedMap(content, "stringData")
	if content["apiVersion"] != "v1" || content["kind"] != "Secret" || !found {
		return
	}
	data, _, _ := unstructured.NestedMap(content, "data")
	if data == nil {
		data = make(map[string]any)
	}
	for name, v := range texts {
		data[name] = base64.StdEncoding.EncodeToString([]byte(Text(v)))
	}
	content["data"] = data
	delete(content, "stringData")
}

// CRDKindOf returns the kind that a CustomResourceDefinition defines.
func CRDKindOf(crd *unstructured.Unstructured) schema.GroupKind {
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	return schema.GroupKind{Group: group, Kind: kind}
}
