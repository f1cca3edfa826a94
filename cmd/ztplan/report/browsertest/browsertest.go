// Package browsertest opens pages in headless Chromium.
package browsertest

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

	"github.com/ztplan/ztplan/engine"
)

// A View is a window that a page is shown in.
type View struct {
	Name          string
	Width, Height int
	Dark          bool
}

// Views are a screen, light and dark, and a phone.
func Views() []View {
	return []View{{"light", 1200, 2600, false}, {"dark", 1200, 2600, true}, {"phone", 360, 4200, false}}
}

// Pictures is the directory that pictures are kept in, $ZTPLAN_SCREENSHOTS; empty for
// none.
func Pictures() string { return os.Getenv("ZTPLAN_SCREENSHOTS") }

// Chromium returns the path of the browser. It skips the test without one, and in a
// short run: each start takes seconds.
func Chromium(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("Chromium takes seconds to start")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("Chromium is not installed")
	return ""
}

// common goes before the probe of a page and reports the faults in its title.
const common = `const wrong = [];
addEventListener("error", e => wrong.push(e.message || "a resource"), true);
addEventListener("securitypolicyviolation", e => wrong.push("policy: " + e.violatedDirective + " " + e.blockedURI));
console.error = (...a) => wrong.push(a.join(" "));
addEventListener("load", () => {
  const need = s => document.querySelector(s) || wrong.push("no " + s);
  PROBE
  if (document.documentElement.scrollWidth > innerWidth) wrong.push("the page is wider than the window: " + document.documentElement.scrollWidth + " > " + innerWidth);
  for (const e of document.querySelectorAll("button, a, summary")) if (!(e.getAttribute("aria-label") || e.textContent).trim()) wrong.push("something to press has no name");
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  if (new Set(ids).size !== ids.length) wrong.push("an id is there twice");
  for (const a of document.querySelectorAll('a[href^="#"]')) if (!document.getElementById(a.getAttribute("href").slice(1))) wrong.push("nothing at " + a.getAttribute("href"));
  document.title = wrong.length ? "WRONG " + wrong.join("; ") : "FINE";
  parent.postMessage(document.title, "*");
});`

// frame shows a page as narrow as a phone, which a window cannot be, and repeats the
// title that the page reports.
const frame = `<!doctype html><title>SILENT</title><body style="margin:0"><script>addEventListener("message", e => document.title = e.data)</script>
<iframe src="%s" style="width:360px;height:%dpx;border:0"></iframe>`

// Check opens a page and runs the probe in it, a script that calls wrong.push for each
// fault, and need(selector) for each element that must be there. Errors and violations of
// the page's policy count as well. It keeps a picture named name where [Pictures] says.
func Check(t *testing.T, chromium, name string, page []byte, v View, probe string) {
	t.Helper()
	dir := t.TempDir()
	// The probe is a script that the policy does not know: let it in.
	html := strings.Replace(string(page), "script-src &#39;", "script-src &#39;nonce-probe&#39; &#39;", 1)
	html = strings.Replace(html, "<title>", `<script nonce="probe">`+strings.Replace(common, "PROBE", probe, 1)+"</script><title>", 1)
	plain, probed := write(t, dir, "plain.html", string(page)), write(t, dir, "probed.html", html)
	if v.Width < 500 {
		plain, probed = write(t, dir, "plain-framed.html", fmt.Sprintf(frame, "file://"+plain, v.Height)), write(t, dir, "probed-framed.html", fmt.Sprintf(frame, "file://"+probed, v.Height))
	}
	flags := []string{"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--virtual-time-budget=3000",
		"--user-data-dir=" + t.TempDir(), fmt.Sprintf("--window-size=%d,%d", v.Width, v.Height)}
	if v.Dark {
		flags = append(flags, "--blink-settings=preferredColorScheme=0")
	}
	dom := browse(t, chromium, append(flags, "--dump-dom", "file://"+probed)...)
	if !bytes.Contains(dom, []byte("<title>FINE</title>")) {
		title, _, _ := bytes.Cut(dom[max(0, bytes.Index(dom, []byte("<title>"))):], []byte("</title>"))
		t.Errorf("the page says: %s", title)
	}
	if Pictures() == "" {
		return
	}
	shot := filepath.Join(Pictures(), name+"-"+v.Name+".png")
	browse(t, chromium, append(flags, "--screenshot="+shot, "file://"+plain)...)
	data, err := engine.ReadFile(shot, 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.DecodeConfig(bytes.NewReader(data)); err != nil {
		t.Error(err)
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
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
