package graph_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/graph"
	"github.com/ztplan/ztplan/cmd/ztplan/layout"
	"github.com/ztplan/ztplan/cmd/ztplan/report/browsertest"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps"
)

// The picture is that of reports: the same boxes at the same places.
func TestSVGHasTheLayoutOfReports(t *testing.T) {
	p := longChain(t, 3)
	var b strings.Builder
	if err := graph.SVG(&b, p); err != nil {
		t.Fatal(err)
	}
	g := layout.New([]layout.Node{{ID: "s0"}, {ID: "s1", Needs: []string{"s0"}}, {ID: "s2", Needs: []string{"s1"}}}, nil)
	for _, e := range g.Edges {
		if want := `d="` + e.Path + `"`; !strings.Contains(b.String(), want) {
			t.Errorf("there is no %s in\n%s", want, b.String())
		}
	}
}

// TestSVGInBrowser opens the picture of the lab's plan. With ZTPLAN_SCREENSHOTS=DIR it
// keeps the picture.
func TestSVGInBrowser(t *testing.T) {
	chromium := browsertest.Chromium(t)
	p, err := plan.Load(plan.Input{File: "../../../plans/lab.yaml", Kinds: steps.All(), Connections: steps.Connections()})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.WriteString("<!doctype html><html lang=en><title>graph</title><style>body { margin: 0; } svg { max-width: 100%; height: auto; }</style><main><h1 hidden>graph</h1>")
	if err := graph.SVG(&b, p); err != nil {
		t.Fatal(err)
	}
	probe := `["svg .box", "svg .edge"].forEach(need);
  for (const g of document.querySelectorAll("svg g")) {
    const box = g.querySelector("rect").getBoundingClientRect();
    for (const text of g.querySelectorAll("text"))
      if (text.getBoundingClientRect().right > box.right) wrong.push(text.textContent + " reaches beyond its box");
  }`
	for _, v := range browsertest.Views() {
		if browsertest.Pictures() == "" && v.Name != "light" {
			continue
		}
		t.Run(v.Name, func(t *testing.T) { browsertest.Check(t, chromium, "graph", b.Bytes(), v, probe) })
	}
}
