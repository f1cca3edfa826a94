package manifest

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

// Objects parses a manifest: YAML documents, Lists unfolded, in their order.
func Objects(manifest string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for i, doc := range documents(manifest) {
		number := i + 1
		b, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			return nil, fmt.Errorf("manifest: document %d: %w", number, err)
		}
		if string(b) == "null" {
			continue
		}
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(b); err != nil {
			return nil, fmt.Errorf("manifest: document %d: %w", number, err)
		}
		if objects, err = unfold(objects, u.Object); err != nil {
			return nil, fmt.Errorf("manifest: document %d: %w", number, err)
		}
	}
	return objects, nil
}

// unfold appends an object, or the items of a list, to objects. The other
// fields of lists do not count.
func unfold(objects []*unstructured.Unstructured, content map[string]any) ([]*unstructured.Unstructured, error) {
	items, ok := kubefields.ListItems(content)
	if !ok {
		return append(objects, &unstructured.Unstructured{Object: content}), nil
	}
	for i, item := range items {
		m, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("items[%d] of %v is no object", i, content["kind"])
		}
		var err error
		if objects, err = unfold(objects, m); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// documents splits YAML at the lines that begin with "---". Empty documents are
// kept: they count.
func documents(manifest string) []string {
	var docs []string
	for {
		i := strings.Index(manifest, "\n---")
		for i >= 0 && !endsSeparator(manifest[i+4:]) {
			next := strings.Index(manifest[i+4:], "\n---")
			if next < 0 {
				i = -1
				break
			}
			i += 4 + next
		}
		if i < 0 {
			return append(docs, manifest)
		}
		docs = append(docs, manifest[:i+1])
		manifest = manifest[i+4:]
	}
}

// endsSeparator reports whether three hyphens are a separator before rest.
func endsSeparator(rest string) bool {
	return rest == "" || strings.ContainsRune(" \t\r\n", rune(rest[0]))
}

// RefIn returns the reference to an object of a release, with the release's namespace
// where the object names none, and without one where its kind has none.
func RefIn(mapper meta.RESTMapper, obj *unstructured.Unstructured, namespace string) kubekit.Ref {
	ref := kubekit.RefOf(obj)
	m, err := mapper.RESTMapping(ref.GVK().GroupKind(), ref.GVK().Version)
	switch {
	case err == nil && m.Scope.Name() == meta.RESTScopeNameRoot:
		ref.Namespace = ""
	case ref.Namespace == "":
		ref.Namespace = namespace
	}
	return ref
}

// A Key identifies an object of a release, in any version of its kind.
type Key struct{ group, kind, namespace, name string }

// KeyOf returns the key of an object.
func KeyOf(o *unstructured.Unstructured) Key {
	return Key{o.GroupVersionKind().Group, o.GetKind(), o.GetNamespace(), o.GetName()}
}

// KeyOfRef returns the key of the object that r names.
func KeyOfRef(r kubekit.Ref) Key {
	return Key{r.GVK().Group, r.Kind, r.Namespace, r.Name}
}
