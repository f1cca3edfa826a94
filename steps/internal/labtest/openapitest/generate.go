// Package openapitest makes objects at random from the OpenAPI schemas of the
// lab's API server, as it accepts them, for properties that hold for any object.
package openapitest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// A generator makes values that fit schemas.
type generator struct {
	*rand.Rand
	schemas map[string]any // components/schemas of one group and version
}

// deepest bounds how deep a value is: schemas may refer to themselves.
const deepest = 12

// object makes an object of a kind, without metadata. The API server need not accept
// its fields yet.
func (g *generator) object(schema map[string]any) map[string]any {
	v, _ := g.value(schema, "", 0).(map[string]any)
	if v == nil {
		v = map[string]any{}
	}
	delete(v, "status")
	delete(v, "metadata")
	return v
}

func (g *generator) value(schema map[string]any, field string, depth int) any {
	schema, ref := g.resolve(schema)
	switch {
	case strings.HasSuffix(ref, "resource.Quantity"), strings.HasSuffix(ref, "resource.Quantity_v2"):
		return pick(g, "1", "1000m", "0.5", "100m", "1Gi", "1024Mi", "2k", "1.50", "0")
	case strings.HasSuffix(ref, "intstr.IntOrString"), schema["x-kubernetes-int-or-string"] == true:
		return pick[any](g, "25%", int64(1), int64(8080), "http")
	case strings.HasSuffix(ref, "meta.v1.MicroTime"):
		return "2026-01-02T03:04:05.678900Z"
	case strings.HasSuffix(ref, "meta.v1.Duration"):
		return pick(g, "90s", "1m30s", "1h", "2160h")
	case strings.HasSuffix(ref, "runtime.RawExtension"):
		return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}}
	}
	if enum, ok := schema["enum"].([]any); ok && len(enum) > 0 {
		return enum[g.IntN(len(enum))]
	}
	switch schema["type"] {
	case "object":
		return g.fields(schema, field, depth)
	case "array":
		items, _ := schema["items"].(map[string]any)
		list := []any{}
		for range g.IntN(3) {
			list = append(list, g.value(items, field, depth+1))
		}
		return list
	case "string":
		return g.text(schema, field)
	case "integer":
		return pick(g, int64(0), 1, 1, 2, 7, 53, 8080)
	case "number":
		return pick[any](g, 1.5, int64(2))
	case "boolean":
		return g.IntN(2) == 0
	}
	return map[string]any{"a": "b"} // anything
}

// resolve follows a reference, and returns its name.
func (g *generator) resolve(schema map[string]any) (map[string]any, string) {
	for {
		if all, ok := schema["allOf"].([]any); ok && len(all) == 1 {
			schema, _ = all[0].(map[string]any)
		}
		ref, ok := schema["$ref"].(string)
		if !ok {
			return schema, ""
		}
		ref = strings.TrimPrefix(ref, "#/components/schemas/")
		target, _ := g.schemas[ref].(map[string]any)
		if _, more := target["$ref"]; !more {
			return target, ref
		}
		schema = target
	}
}

func (g *generator) fields(schema map[string]any, field string, depth int) any {
	out := map[string]any{}
	if extra, ok := schema["additionalProperties"].(map[string]any); ok {
		keys := []string{"a", "example.com/b", "c"}
		if _, ref := g.resolve(extra); strings.Contains(ref, "Quantity") {
			keys = []string{"cpu", "memory", "example.com/device"}
		}
		for _, key := range keys[:g.IntN(len(keys))] {
			out[key] = g.value(extra, field, depth+1)
		}
		return out
	}
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		property, _ := properties[name].(map[string]any)
		must := slices.Contains(required, any(name))
		if !must && (depth > deepest || g.IntN(depth+2) > 0) {
			continue
		}
		if !must && depth > 0 && g.IntN(12) == 0 {
			if _, isObject := g.resolve(property); isObject != "" || property["type"] == "array" {
				out[name] = nil // as charts leave it
				continue
			}
		}
		out[name] = g.value(property, name, depth+1)
	}
	return out
}

// text makes a text that fits the name of its field.
func (g *generator) text(schema map[string]any, field string) string {
	switch schema["format"] {
	case "byte":
		return pick(g, "", "YQ==", "AAEC/w==")
	case "date-time":
		return "2026-01-02T03:04:05Z"
	}
	switch field {
	case "name", "claimName", "secretName", "serviceName", "serviceAccountName", "volumeName", "key", "labels", "matchLabels":
		return fmt.Sprintf("n%d", g.IntN(9))
	case "image":
		return pick(g, "nginx", "example.com/app:1", "example.com/app@sha256:"+strings.Repeat("0", 64))
	case "path", "mountPath":
		return fmt.Sprintf("/p%d", g.IntN(9))
	case "protocol":
		return pick(g, "TCP", "UDP")
	case "operator":
		return pick(g, "In", "Exists", "Equal")
	case "topologyKey":
		return "kubernetes.io/hostname"
	case "controller":
		return "example.com/" + pick(g, "a", "b")
	case "cidr":
		return "10.0.0.0/8"
	case "schedule":
		return "*/5 * * * *"
	case "apiGroup":
		return "rbac.authorization.k8s.io"
	case "kind":
		return pick(g, "ServiceAccount", "ClusterRole", "Role", "Deployment")
	}
	return pick(g, "a", "b.example.com", "true", "1", "")
}

func pick[T any](g *generator, choices ...T) T { return choices[g.IntN(len(choices))] }
