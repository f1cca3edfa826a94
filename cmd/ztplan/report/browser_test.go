package report_test

import (
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/report"
	"github.com/ztplan/ztplan/cmd/ztplan/report/browsertest"
	"github.com/ztplan/ztplan/steps/evidence/evidencetest"
)

const probe = `
  ["h1", "#claim", "#claim .claim dd", "#graph svg a.box", "#graph .edge.critical", "#rotations svg.plot .span.old", "#rotations svg.plot .span.new", "#rotations .hop", ".card", "#steps details", "#about"].forEach(need);
  const svg = document.querySelector("#graph svg"), before = svg.getAttribute("viewBox");
  document.querySelector('[data-act="in"]').click();
  if (svg.getAttribute("viewBox") === before) wrong.push("zooming in does nothing");
  svg.dispatchEvent(new KeyboardEvent("keydown", {key: "0", bubbles: true}));
  if (svg.getAttribute("viewBox").split(" ").map(Number).join() !== before.split(" ").map(Number).join()) wrong.push("0 does not show all");
  if (document.querySelector("main > section").id !== "claim") wrong.push("the page does not begin with the claim");
  for (const e of document.querySelectorAll("table, svg.plot")) {
    const box = e.getBoundingClientRect();
    if (box.width > 0 && box.right > innerWidth) wrong.push((e.className.baseVal || e.caption.textContent) + " reaches beyond the window");
  }`

// TestInBrowser opens the report in headless Chromium, light and dark, wide and as narrow
// as a phone. With ZTPLAN_SCREENSHOTS=DIR it keeps the pictures.
func TestInBrowser(t *testing.T) {
	chromium := browsertest.Chromium(t)
	for _, name := range []string{"passed", "failed", "rollover"} {
		page, err := report.HTML(evidencetest.Document(t, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range browsertest.Views() {
			// Each start of Chromium takes seconds: without an eye to look at
			// the pictures, every page and every form once is enough.
			if browsertest.Pictures() == "" && (name == "failed") != (v.Name == "light") {
				continue
			}
			t.Run(name+"/"+v.Name, func(t *testing.T) { browsertest.Check(t, chromium, name, page, v, probe) })
		}
	}
}
