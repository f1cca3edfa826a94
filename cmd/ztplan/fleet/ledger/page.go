package ledger

import (
	"bytes"
	_ "embed"
	"html/template"
)

//go:embed page.html
var pageText string

// Page returns the page of a fleet: one file that shows every cluster and needs nothing
// else.
func Page(head *Head, leaves []Leaf) ([]byte, error) {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, map[string]any{"Head": head, "Leaves": leaves, "Causes": Causes(leaves), "States": States})
	return out.Bytes(), err
}
