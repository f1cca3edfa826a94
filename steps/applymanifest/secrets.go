package applymanifest

import (
	"encoding/base64"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
)

// minConcealed is the length from which a value is concealed everywhere:
// shorter ones, such as "admin", would blank ordinary words.
const minConcealed = 8

// conceal registers the values of a Secret with the run.
func conceal(env *engine.Env, obj *unstructured.Unstructured) {
	if obj.GetKind() != "Secret" || obj.GetAPIVersion() != "v1" {
		return
	}
	var values []engine.Secret
	add := func(s string) {
		if len(s) >= minConcealed {
			values = append(values, engine.NewSecret(s))
		}
	}
	data, _, _ := unstructured.NestedMap(obj.Object, "data")
	for _, v := range data {
		if encoded, ok := v.(string); ok {
			add(encoded)
			if plain, err := base64.StdEncoding.DecodeString(encoded); err == nil {
				add(string(plain))
			}
		}
	}
	env.Conceal(values...)
}
