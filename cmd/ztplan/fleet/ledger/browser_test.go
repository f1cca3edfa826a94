package ledger_test

import (
	"fmt"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/report/browsertest"
)

// probe filters and sorts the table of 1,000 clusters, and follows a square of the map.
const probe = `
  ["h1", ".claim", ".share rect.failed", ".map i.proved", ".map i.held", ".cause.failed", ".bins rect", "#table tbody tr", "#about"].forEach(need);
  const shown = () => [...document.querySelectorAll("#table tbody tr")].filter(r => !r.hidden && getComputedStyle(r).display !== "none");
  const cells = (rows, i) => rows.map(r => r.cells[i].textContent);
  const want = (what, have, want) => { if (have !== want) wrong.push(what + ": " + have + " instead of " + want); };
  want("rows at first", shown().length, 200);
  document.querySelector('.filter [value="failed"]').click();
  want("failed rows", shown().length, 40);
  want("only failed", new Set(cells(shown(), 2)).size, 1);
  const input = document.querySelector(".filter input");
  input.value = "GATEWAY canary";
  input.dispatchEvent(new Event("input"));
  want("failed at the gateway in the canary wave", shown().length, 0);
  input.value = "";
  input.dispatchEvent(new Event("input"));
  document.querySelector('.filter [value="failed"]').click();
  document.querySelectorAll("#table thead button")[5].click();
  const switches = cells(shown(), 5).map(Number);
  want("the slowest switch first", switches.every((s, i) => i === 0 || s <= switches[i - 1]) && switches[0] > 2, true);
  document.querySelectorAll("#table thead button")[0].click();
  want("the first name", shown()[0].cells[0].textContent, "ap-0002");
  document.querySelector(".map i.held").click();
  const row = document.querySelector("#table tr:target");
  want("the row of the square", row && row.cells[0].textContent, document.querySelector(".map i.held").title.split("\n")[0]);
  want("its row is shown", row && row.getBoundingClientRect().height > 0, true);
  document.querySelector(".more").click();
  want("all rows", shown().length, 1000);`

// TestPageInBrowser opens the page in headless Chromium. With ZTPLAN_SCREENSHOTS=DIR it
// keeps pictures of fleets of all sizes.
func TestPageInBrowser(t *testing.T) {
	chromium := browsertest.Chromium(t)
	for _, n := range []int{3, 1000, 10_000} {
		head, leaves := fleetOf(n)
		p := page(t, head, leaves)
		for _, v := range browsertest.Views() {
			if browsertest.Pictures() == "" && (n != 1000 || v.Dark) {
				continue
			}
			probe := probe
			if n != 1000 {
				probe = ""
			}
			t.Run(fmt.Sprintf("%d/%s", n, v.Name), func(t *testing.T) {
				browsertest.Check(t, chromium, fmt.Sprintf("fleet-%d", n), p, v, probe)
			})
		}
	}
}
