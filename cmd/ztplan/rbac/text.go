package rbac

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/ztplan/ztplan/engine/display"
)

// A Document is the output of the command.
type Document struct {
	Plan     string
	Roles    []Role
	Subjects []Subject
	Needs    []Need // for the parts that are not known
	Bind     string // the command that prints bindings as well; "" if there are some
}

// YAML prints manifests for kubectl apply. Comments give the reason of each rule and the
// permissions that are not known before a run.
func (d Document) YAML(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# What plan %s needs to be allowed to do. Print it again when the plan changes.\n", d.Plan)
	b.WriteString("# A step that \"gives\" a permission makes a role with it: the API server refuses a role with permissions that its maker does not have.\n")
	if d.Bind != "" {
		fmt.Fprintf(&b, "# There are no bindings yet: %s prints them, too.\n", d.Bind)
	}
	if remarks := d.NotKnown(); len(remarks) > 0 {
		b.WriteString("#\n# Not known before a run:\n")
		for _, text := range remarks {
			fmt.Fprintf(&b, "#   - %s\n", display.OneLine(text))
		}
	}
	if useful := d.Useful(); len(useful) > 0 {
		b.WriteString("#\n# Of use, and not needed; the roles do not give it:\n")
		for _, text := range useful {
			fmt.Fprintf(&b, "#   - %s\n", display.OneLine(text))
		}
	}
	for _, ns := range namespaces(d.Roles) {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", quote(ns))
	}
	for _, r := range d.Roles {
		r.yaml(&b)
	}
	if len(d.Subjects) > 0 {
		for _, r := range d.Roles {
			o := r.binding(d.Subjects)
			fmt.Fprintf(&b, "---\napiVersion: %s\nkind: %s\nmetadata: %s\nroleRef: %s\nsubjects: %s\n",
				o["apiVersion"], o["kind"], quote(o["metadata"]), quote(o["roleRef"]), quote(o["subjects"]))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// JSON prints the manifests as a List, for kubectl apply as well.
func (d Document) JSON(w io.Writer) error {
	return json.NewEncoder(w).Encode(map[string]any{"apiVersion": "v1", "kind": "List", "items": Objects(d.Roles, d.Subjects)})
}

// Useful lists the permissions that parts use and do not need, each with the parts.
func (d Document) Useful() []string {
	return byText(d.Needs, func(n Need) (texts []string) {
		for _, p := range n.Useful {
			where := "in all namespaces"
			if p.Namespace != "" {
				where = "in namespace " + p.Namespace
			}
			texts = append(texts, fmt.Sprintf("%s %s %s, which %s", strings.Join(p.Verbs, ", "), strings.TrimPrefix(p.Group+"/"+p.Resource, "/"), where, p.Reason))
		}
		return texts
	})
}

// NotKnown lists the permissions that are not known before a run, each once, with the
// parts that need it.
func (d Document) NotKnown() []string {
	return byText(d.Needs, func(n Need) []string { return n.NotKnown })
}

// byText returns the texts of needs, each once, with the parts that have it.
func byText(needs []Need, of func(Need) []string) []string {
	var texts []string
	who := make(map[string][]string)
	for _, n := range needs {
		for _, text := range of(n) {
			if who[text] == nil {
				texts = append(texts, text)
			}
			who[text] = append(who[text], n.Who)
		}
	}
	for i, text := range texts {
		texts[i] = strings.Join(who[text], ", ") + ": " + text
	}
	return texts
}

func (r Role) yaml(b *strings.Builder) {
	fmt.Fprintf(b, "---\napiVersion: %s/v1\nkind: %s\nmetadata: %s\nrules:\n", apiGroup, r.kind(), quote(r.metadata()))
	for _, one := range r.Rules {
		for _, reason := range summary(one.Reasons) {
			fmt.Fprintf(b, "  # %s\n", display.OneLine(reason))
		}
		fmt.Fprintf(b, "  - %s\n", quote(one.object()))
	}
}

// mostReasons is how many reasons of a rule are printed.
const mostReasons = 3

func summary(reasons []string) []string {
	if len(reasons) <= mostReasons {
		return reasons
	}
	return append(reasons[:mostReasons:mostReasons], fmt.Sprintf("and %d more", len(reasons)-mostReasons))
}

// quote writes a value as JSON, which is YAML, too.
func quote(v any) string {
	text, err := json.Marshal(v)
	if err != nil { // maps and texts only
		return "null"
	}
	return string(text)
}
