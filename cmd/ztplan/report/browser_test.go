package report_test

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/report"
)

// probe runs in a copy of the page, before everything else, and writes what
// went wrong into the title.
const probe = `<script>
const wrong = [];
addEventListener("error", e => wrong.push(e.message || "a resource"), true);
addEventListener("securitypolicyviolation", e => wrong.push("policy: " + e.violatedDirective + " " + e.blockedURI));
console.error = (...a) => wrong.push(a.join(" "));
addEventListener("load", () => {
  const need = s => document.querySelector(s) || wrong.push("no " + s);
  ["h1", "#graph svg a.box", "#graph .edge.critical", "#rotations svg.plot .span.old", "#rotations svg.plot .span.new", "#rotations .hop", ".card", "#steps details", "#about"].forEach(need);
  const svg = document.querySelector("#graph svg"), before = svg.getAttribute("viewBox");
  document.querySelector('[data-act="in"]').click();
  if (svg.getAttribute("viewBox") === before) wrong.push("zooming in does nothing");
  svg.dispatchEvent(new KeyboardEvent("keydown", {key: "0", bubbles: true}));
  if (svg.getAttribute("viewBox").split(" ").map(Number).join() !== before.split(" ").map(Number).join()) wrong.push("0 does not show all");
  if (document.documentElement.scrollWidth > innerWidth) wrong.push("the page is wider than the window: " + document.documentElement.scrollWidth + " > " + innerWidth);
  for (const e of document.querySelectorAll("button, a, summary")) if (!(e.getAttribute("aria-label") || e.textContent).trim()) wrong.push("something to press has no name");
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  if (new Set(ids).size !== ids.length) wrong.push("an id is there twice");
  for (const a of document.querySelectorAll('a[href^="#"]')) if (!document.getElementById(a.getAttribute("href").slice(1))) wrong.push("nothing at " + a.getAttribute("href"));
  for (const e of document.querySelectorAll("table, svg.plot")) {
    const box = e.getBoundingClientRect();
    if (box.width > 0 && box.right > innerWidth) wrong.push((e.className.baseVal || e.caption.textContent) + " reaches beyond the window");
  }
  document.title = wrong.length ? "WRONG " + wrong.join("; ") : "FINE";
  parent.postMessage(document.title, "*");
});
</script>`

// frame shows a page as narrow as a phone, which a window cannot be, and repeats
// what the page says of itself.
const frame = `<!doctype html><title>SILENT</title><body style="margin:0"><script>addEventListener("message", e => document.title = e.data)</script>
<iframe src="%s" style="width:360px;height:%dpx;border:0"></iframe>`

// TestInBrowser opens the report in headless Chromium, light and dark, wide and
// as narrow as a phone. With ZTPLAN_SCREENSHOTS=DIR it keeps the pictures.
func TestInBrowser(t *testing.T) {
	chromium := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			chromium = path
			break
		}
	}
	if chromium == "" {
		t.Skip("Chromium is not installed")
	}
	if testing.Short() {
		t.Skip("Chromium takes seconds to start")
	}
	keep := os.Getenv("ZTPLAN_SCREENSHOTS")
	for _, name := range []string{"passed", "failed", "rollover"} {
		page, err := report.HTML(document(t, name))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		plain, probed := filepath.Join(dir, name+".html"), filepath.Join(dir, "probed.html")
		if err := os.WriteFile(plain, page, 0o644); err != nil {
			t.Fatal(err)
		}
		// The probe is a script that the policy does not know: let it in.
		html := strings.Replace(string(page), "script-src &#39;", "script-src &#39;nonce-probe&#39; &#39;", 1)
		html = strings.Replace(html, "<title>", strings.Replace(probe, "<script>", `<script nonce="probe">`, 1)+"<title>", 1)
		if err := os.WriteFile(probed, []byte(html), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, v := range []struct {
			name          string
			width, height int
			dark          bool
		}{{"light", 1200, 2600, false}, {"dark", 1200, 2600, true}, {"phone", 360, 4200, false}} {
			// Each start of Chromium takes seconds: without an eye to look at
			// the pictures, every page and every form once is enough.
			if keep == "" && (name == "failed") != (v.name == "light") {
				continue
			}
			t.Run(name+"/"+v.name, func(t *testing.T) {
				flags := []string{"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
					"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--virtual-time-budget=3000",
					"--user-data-dir=" + t.TempDir(), fmt.Sprintf("--window-size=%d,%d", v.width, v.height)}
				if v.dark {
					flags = append(flags, "--blink-settings=preferredColorScheme=0")
				}
				plain, probed := plain, probed
				if v.width < 500 {
					plain, probed = framed(t, plain, v.height), framed(t, probed, v.height)
				}
				dom := browse(t, chromium, append(flags, "--dump-dom", "file://"+probed)...)
				if !bytes.Contains(dom, []byte("<title>FINE</title>")) {
					title, _, _ := bytes.Cut(dom[max(0, bytes.Index(dom, []byte("<title>"))):], []byte("</title>"))
					t.Errorf("the page says: %s", title)
				}
				if keep == "" {
					return
				}
				shot := filepath.Join(keep, name+"-"+v.name+".png")
				browse(t, chromium, append(flags, "--screenshot="+shot, "file://"+plain)...)
				f, err := os.Open(shot)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err := png.DecodeConfig(f); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func framed(t *testing.T, page string, height int) string {
	t.Helper()
	file := strings.TrimSuffix(page, ".html") + "-framed.html"
	if err := os.WriteFile(file, fmt.Appendf(nil, frame, "file://"+page, height), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func browse(t *testing.T, chromium string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, chromium, args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", chromium, err, errs.Bytes())
	}
	return out
}
