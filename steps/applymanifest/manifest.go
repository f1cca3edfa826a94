package applymanifest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/kubeyaml"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

// A manifest is one object as it is written, without the fields that only servers write.
type manifest struct {
	obj    *unstructured.Unstructured
	source source
	node   *yaml.Node // the document, nil if it was written inline as data
}

// A source is the place where a manifest is written.
type source struct {
	field        string // the input: "files[0]", "manifests[2]"
	file         string // as the plan writes it; empty inside the plan
	path         string // of the file
	line, column int    // in the file or text, from 1; 0 for data in the plan
}

// String returns "file:line:column", or the input for a manifest in the plan:
// "manifests[2]", "manifests line 7".
func (s source) String() string {
	switch {
	case s.file != "":
		return fmt.Sprintf("%s:%d:%d", s.file, s.line, s.column)
	case s.line > 0:
		return fmt.Sprintf("%s line %d", s.field, s.line)
	}
	return s.field
}

func (s source) problem(format string, args ...any) engine.Problem {
	p := engine.Problem{Field: s.field, Message: fmt.Sprintf(format, args...)}
	switch {
	case s.file != "":
		p.File, p.Line, p.Column = s.path, s.line, s.column
	case s.line > 0:
		p.Message = fmt.Sprintf("line %d of the text: %s", s.line, p.Message)
	}
	return p
}

func (s source) at(n *yaml.Node) source {
	if n != nil && n.Line > 0 {
		s.line, s.column = n.Line, n.Column
	}
	return s
}

// read collects the manifests of the step and everything that is wrong with
// them. A file that cannot be read is left to the reader of plans.
func (s *Spec) read() ([]manifest, []engine.Problem) { return s.readWithout(nil) }

// readWithout is read while some inputs are not known.
func (s *Spec) readWithout(unknown []string) ([]manifest, []engine.Problem) {
	r := reader{unknown: unknown}
	for i, f := range s.Files {
		src := source{field: fmt.Sprintf("files[%d]", i), file: f.Name, path: f.Path}
		text, err := f.Read()
		if err != nil {
			r.problems = append(r.problems, engine.Problem{Field: src.field, Message: err.Error()})
			continue
		}
		r.text(src, text)
	}
	switch v := s.Manifests.(type) {
	case nil:
	case string:
		r.text(source{field: "manifests"}, []byte(v))
	case []any:
		for i, item := range v {
			src := source{field: fmt.Sprintf("manifests[%d]", i)}
			if text, ok := item.(string); ok {
				r.text(src, []byte(text))
				continue
			}
			r.value(src, nil, item)
		}
	default:
		r.value(source{field: "manifests"}, nil, v)
	}
	r.duplicates()
	return r.found, r.problems
}

type reader struct {
	unknown  []string // inputs
	found    []manifest
	problems []engine.Problem
}

func (r *reader) bad(s source, format string, args ...any) {
	r.problems = append(r.problems, s.problem(format, args...))
}

// text reads the documents of a YAML or JSON text.
func (r *reader) text(src source, text []byte) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for first := true; ; first = false {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			if first {
				src.line, src.column = 1, 1
				r.bad(src, "there is no object in it")
			}
			return
		}
		if err != nil {
			line, message := yamlError(err)
			src.line, src.column = line, 1
			r.bad(src, "not valid YAML: %s", message)
			return
		}
		if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
			continue
		}
		n := doc.Content[0]
		if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
			continue // a document of comments
		}
		v, problems := kubeyaml.Decode(n)
		for _, p := range problems {
			message := p.Message
			if p.Path != "" {
				message = p.Path + ": " + message
			}
			r.bad(src.at(p.Node), "%s", message)
		}
		if len(problems) == 0 {
			r.value(src.at(n), n, v)
		}
	}
}

// value takes an object that was decoded from YAML.
func (r *reader) value(src source, n *yaml.Node, v any) {
	m, ok := v.(map[string]any)
	if !ok {
		r.bad(src, "a manifest is a mapping with apiVersion, kind and metadata, not %s", typeName(v))
		return
	}
	text, err := json.Marshal(m)
	if err != nil {
		r.bad(src, "the keys of a manifest must be texts: %v", err)
		return
	}
	content := map[string]any{}
	if err := utiljson.Unmarshal(text, &content); err != nil {
		r.bad(src, "%v", err)
		return
	}
	if kind, _ := content["kind"].(string); strings.HasSuffix(kind, "List") {
		if items, ok := kubefields.ListItems(content); ok {
			r.items(src, n, items)
			return
		}
	}
	r.object(src, n, content)
}

// items takes the items of a list. The other fields of the list do not count.
func (r *reader) items(src source, n *yaml.Node, items []any) {
	nodes := child(n, "items")
	for i, item := range items {
		at := src
		var in *yaml.Node
		switch {
		case n == nil:
			at.field += fmt.Sprintf(".items[%d]", i)
		case i < len(nodes.Content):
			in = resolved(nodes.Content[i])
		}
		r.value(at.at(in), in, item)
	}
}

// resolved returns the node that an alias stands for.
func resolved(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func (r *reader) object(src source, n *yaml.Node, content map[string]any) {
	before := len(r.problems)
	text := func(key string, path ...string) string {
		v, found, err := unstructured.NestedString(content, path...)
		switch at := src.at(child(n, path...)); {
		case err != nil:
			r.bad(at, "%s must be a text", key)
		case !found || v == "":
			r.bad(at, "%s is missing", key)
		}
		return v
	}
	version := text("apiVersion", "apiVersion")
	text("kind", "kind")
	if _, err := schema.ParseGroupVersion(version); err != nil {
		r.bad(src.at(child(n, "apiVersion")), "apiVersion %q must be version or group/version", version)
	}
	if generated, _, _ := unstructured.NestedString(content, "metadata", "generateName"); generated != "" {
		r.bad(src.at(child(n, "metadata", "generateName")), "metadata.generateName makes a new object every time: give a name")
	} else {
		text("metadata.name", "metadata", "name")
	}
	if _, _, err := unstructured.NestedString(content, "metadata", "namespace"); err != nil {
		r.bad(src.at(child(n, "metadata", "namespace")), "metadata.namespace must be a text")
	}
	r.texts(src, n, content)
	if len(r.problems) > before {
		return
	}
	strip(content)
	kubefields.DropNulls(content)
	// The API server moves stringData to data after it has recorded who owns which key:
	// one that is removed from the manifest would stay (kubernetes/kubernetes#89938).
	kubefields.EncodeData(content)
	dropEmptyData(content)
	r.found = append(r.found, manifest{obj: &unstructured.Unstructured{Object: content}, source: src, node: n})
}

// strip removes the fields that only servers write, so that the output of kubectl get can
// serve as a manifest.
func strip(content map[string]any) {
	for _, key := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"} {
		unstructured.RemoveNestedField(content, "metadata", key)
	}
	delete(content, "status")
}

// texts reports values of ConfigMaps and Secrets that YAML reads as something
// other than text.
func (r *reader) texts(src source, n *yaml.Node, content map[string]any) {
	if content["apiVersion"] != "v1" || content["kind"] != "ConfigMap" && content["kind"] != "Secret" {
		return
	}
	for _, field := range []string{"data", "stringData", "binaryData"} {
		values, _, _ := unstructured.NestedMap(content, field)
		nodes := children(child(n, field))
		for _, name := range slices.Sorted(maps.Keys(values)) {
			switch v := values[name].(type) {
			case string:
			case nil:
				if engine.Known(src.field+"."+field, r.unknown) {
					r.bad(src.at(cmp.Or(nodes[name], child(n, field))), "%s.%s must be a text, not nothing", field, name)
				}
			case bool, int64, float64:
				at, written := cmp.Or(nodes[name], child(n, field)), fmt.Sprint(v)
				if at != nil && at.Kind == yaml.ScalarNode {
					written = at.Value
				}
				write := fmt.Sprintf("write %q", written)
				if content["kind"] == "Secret" {
					write = "write it in quotes"
				}
				r.bad(src.at(at), "%s.%s must be a text: %s", field, name, write)
			default:
				r.bad(src.at(cmp.Or(nodes[name], child(n, field))), "%s.%s must be a text, not %s", field, name, typeName(v))
			}
		}
	}
}

// dropEmptyData removes the empty data of a ConfigMap or Secret. The API server
// does not keep it, and takes it for a change of one that is immutable.
func dropEmptyData(content map[string]any) {
	if content["apiVersion"] != "v1" || content["kind"] != "ConfigMap" && content["kind"] != "Secret" {
		return
	}
	for _, field := range []string{"data", "binaryData"} {
		if m, ok := content[field].(map[string]any); ok && len(m) == 0 {
			delete(content, field)
		}
	}
}

// duplicates reports objects that are written twice: the later one would win.
func (r *reader) duplicates() {
	type key struct {
		schema.GroupKind
		namespace, name string
	}
	first := make(map[key]source)
	for _, m := range r.found {
		k := key{m.obj.GroupVersionKind().GroupKind(), m.obj.GetNamespace(), m.obj.GetName()}
		if other, ok := first[k]; ok {
			r.bad(m.source, "%s %s is written twice: first in %s", m.obj.GetKind(), m.obj.GetName(), other)
			continue
		}
		first[k] = m.source
	}
}

// child returns the node at a path of keys, or the nearest that exists above
// it; nil for nil.
func child(n *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		next := (*yaml.Node)(nil)
		if n != nil && n.Kind == yaml.MappingNode {
			for i := 0; i+1 < len(n.Content); i += 2 {
				if named(n.Content[i], key) {
					next = resolved(n.Content[i+1])
				}
			}
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// children returns the values of a mapping by their keys.
func children(n *yaml.Node) map[string]*yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	nodes := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		if name, err := kubeyaml.Key(n.Content[i]); err == nil {
			nodes[name] = resolved(n.Content[i+1])
		}
	}
	return nodes
}

// named reports whether a key of a mapping is read as this one.
func named(n *yaml.Node, key string) bool {
	name, err := kubeyaml.Key(n)
	return err == nil && name == key
}

// yamlError takes the line out of an error of the YAML parser.
func yamlError(err error) (line int, message string) {
	line, message = 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if _, err := fmt.Sscanf(message, "line %d:", &line); err == nil {
		_, message, _ = strings.Cut(message, ": ")
	}
	return line, message
}

func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case []any:
		return "a list"
	case string:
		return "a text"
	case map[string]any:
		return "a mapping"
	}
	return fmt.Sprintf("%v", v)
}
