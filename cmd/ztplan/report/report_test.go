package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/cmd/ztplan/report"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/evidencetest"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestGolden(t *testing.T) {
	for _, name := range []string{"passed", "failed", "rollover"} {
		d := evidencetest.Document(t, name)
		junit, err := report.JUnit(d)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".junit.xml", junit)
		golden(t, name+".summary.md", report.Summary(d))
	}
}

// A new intermediate is in the page with the certificates issued under it.
func TestRollover(t *testing.T) {
	page, err := report.HTML(evidencetest.Document(t, "rollover"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"New intermediate 03 beside 02 (intermediate-lab in pki_int)", "1 of 1 other certificate issued anew under the new one",
		"The old one was retired and answered 500 to the same request: the issuer may not sign", `<th scope="row">shop/shop-cert</th>`,
	} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the page has no %q", want)
		}
	}
}

// The page and the summary begin with the claims of the run: the worst of all rotations
// of a certificate, and the doubt.
func TestClaim(t *testing.T) {
	d := evidencetest.Document(t, "rollover")
	d.Rotations[1].Endpoints[0].Failures = map[string]int{"dial": 2}
	d.Denials[0].Refused = false
	page, err := report.HTML(d)
	if err != nil {
		t.Fatal(err)
	}
	claim, _, _ := bytes.Cut(page[bytes.Index(page, []byte(`<section id="claim"`)):], []byte("</section>"))
	for _, want := range []string{
		`<span class="mark">✓</span> <a href="#step-rotation">ingress-apisix/hello-cert</a> <span class="dim">2 rotations</span>`,
		`<dd>1.400 s</dd>`, `<dd>2 of `, "0.00000149 %", "✗</span> 10 of 11 attempts that must fail were refused",
		"✓</span> verified to the trusted root: https://hello.example.local/ at", "on the cluster at https://",
	} {
		if !bytes.Contains(claim, []byte(want)) {
			t.Errorf("the claim has no %q:\n%s", want, claim)
		}
	}
	if s := string(report.Summary(d)); !strings.Contains(s, "| ✓ | ingress-apisix/hello-cert, 2 rotations | 1.400 s | 2 of ") || strings.Index(s, "longest switch") > strings.Index(s, "### Rotation") {
		t.Errorf("the summary does not begin with the claim:\n%s", s)
	}
	failed := evidencetest.Document(t, "failed")
	failed.Rotations[0].Hops, failed.Rotations[0].Coverage = nil, nil
	if s := string(report.Summary(failed)); !strings.Contains(s, "| ✗ | ingress-apisix/hello-cert, 1 rotation | not seen | 4 of ") || !strings.Contains(s, "| not on record |") {
		t.Errorf("a proof that did not hold:\n%s", s)
	}
	failed.Rotations, failed.Handshakes = nil, nil
	if s, page := string(report.Summary(failed)), must(report.HTML(failed)); strings.Contains(s, "on the cluster") || strings.Contains(page, `id="claim"`) {
		t.Errorf("a run without a proof claims something:\n%s", s)
	}
}

func must(page []byte, err error) string {
	if err != nil {
		panic(err)
	}
	return string(page)
}

// The page and the summary have the accuracy of the times of hops, and each limit has
// its unit.
func TestHops(t *testing.T) {
	d := evidencetest.Document(t, "passed")
	r := &d.Rotations[0]
	for i := range r.Hops {
		h := &r.Hops[i]
		h.Seen = h.At
		switch h.Name {
		case "secret":
			h.NotYet = h.At.Add(-80 * time.Millisecond)
		case "approved", "revision", "signed":
		default:
			h.Source = evidence.SourceRun
		}
	}
	r.Clock = evidence.Clock{Least: -0.05, Most: 0.15, Resolution: 1}
	r.Hops = evidence.PlaceHops(r.Hops, r.Clock)
	page, err := report.HTML(d)
	if err != nil {
		t.Fatal(err)
	}
	const took = "The switch took 1.400 s as observed, at most 1.480 s. Times in objects count 1 s; the API server's clock is -0.05 to &#43;0.15 s ahead."
	for _, want := range []string{took, "observed, up to 0.080 s earlier", "by the run itself", `<td class="v">30 s</td><td class="v">1.4 s</td>`} {
		if want = strings.ReplaceAll(want, "'", "&#39;"); !bytes.Contains(page, []byte(want)) {
			t.Errorf("the page has no %q", want)
		}
	}
	if s := string(report.Summary(d)); !strings.Contains(s, strings.ReplaceAll(took, "&#43;", "+")) {
		t.Errorf("the summary does not say how long the switch took at most:\n%s", s)
	}
}

// A dry run: steps that differ are skipped in junit.xml, and nothing fails.
func TestDryRun(t *testing.T) {
	d := evidencetest.Document(t, "passed")
	d.Run.Mode, d.Run.Result = evidence.ModeDryRun, string(engine.ResultDiffers)
	d.Steps[0].State, d.Steps[0].Edits[0].Applied = "pending", 0
	d.Steps[1].State, d.Steps[1].Reason = "after", "known after vault"
	d.Steps[4].State, d.Steps[4].Would, d.Steps[4].Findings = "would", []string{"renew it"}, nil
	junit, err := report.JUnit(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`message="dry run: 1 difference"`, `message="known after vault"`, `message="renew it"`, `failures="0"`, "~ release/vault/vault"} {
		if !bytes.Contains(junit, []byte(want)) {
			t.Errorf("junit.xml has no %s:\n%s", want, junit)
		}
	}
	if s := string(report.Summary(d)); !strings.Contains(s, "nothing was written") {
		t.Errorf("summary.md does not say that it was a dry run:\n%s", s)
	}
}

// A step that awaits a person shows the instruction, and is neither a failure nor a
// proof.
func TestAwaiting(t *testing.T) {
	const todo = "awaiting signature: sign ca.csr with your root and put the certificate at ca.pem, then run again"
	d := evidencetest.Document(t, "passed")
	d.Run.Result, d.Summary.Result = string(engine.ResultAwaiting), engine.ResultAwaiting
	d.Summary.Awaiting, d.Summary.Awaits = 1, []string{"signature"}
	d.Steps[1].State, d.Steps[1].Reason = "awaiting", todo
	junit, err := report.JUnit(d)
	if err != nil {
		t.Fatal(err)
	}
	page, err := report.HTML(d)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"junit.xml": string(junit), "the page": string(page), "summary.md": string(report.Summary(d))} {
		for _, want := range []string{todo, "awaiting signature"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %q", name, want)
			}
		}
	}
	if !bytes.Contains(junit, []byte(`failures="0"`)) {
		t.Errorf("junit.xml has failures:\n%s", junit)
	}
}

// Text from servers is shown as text, with any content.
func TestHostileText(t *testing.T) {
	const evil = "</script><script>alert(1)</script> ]]> \x00 \x1b[31m \u009b31m \u202e | `x` <img src=x onerror=alert(1)> @all"
	d := evidencetest.Document(t, "failed")
	d.Plan.Name = evil
	for i := range d.Steps {
		s := &d.Steps[i]
		s.Error, s.Hint, s.Reason, s.Position, s.Next = evil, evil, evil, evil, evil
		s.Findings = append(s.Findings, evidence.Finding{Rule: evil, Have: evil, Detail: evil})
		s.Edits = append(s.Edits, evidence.Edit{Path: evil, Have: evil, Want: map[string]any{evil: evil}})
	}
	d.Diagnosis = &evidence.Diagnosis{
		Vaults: []evidence.VaultState{{Server: evil, Version: evil}}, Objects: []evidence.ObjectState{{Object: evil, Message: evil, Conditions: []evidence.Condition{{Type: evil, Message: evil}}}},
		Pods: []evidence.PodState{{Namespace: evil, Name: evil, State: evil}}, Events: []evidence.ClusterNote{{Object: evil, Reason: evil, Message: evil}},
		Logs: []evidence.LogTail{{Pod: evil, Container: evil, Lines: []string{evil, "```"}}}, Remarks: []string{evil},
	}
	d.Steps[0].ID = evil
	d.Steps[1].Needs = []string{d.Steps[1].ID, "rotation"} // a cycle
	page, err := report.HTML(d)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(page, []byte("<script>alert")) || bytes.Contains(page, []byte("<img")) {
		t.Error("report.html holds markup from the evidence")
	}
	junit, err := report.JUnit(d)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(junit, new(struct{})); err != nil {
		t.Errorf("junit.xml is not well-formed: %v", err)
	}
	if s := string(report.Summary(d)); strings.Contains(s, "<script>alert") && !strings.Contains(s, "```text") {
		t.Errorf("summary.md holds markup:\n%s", s)
	}
	pages, err := report.Pages(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if i := bytes.IndexFunc(p.Data, func(r rune) bool {
			return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == 0x202e || r == utf8.RuneError
		}); i >= 0 {
			t.Errorf("%s: %q", p.Name, p.Data[max(0, i-20):i+20])
		}
		if !bytes.Contains(p.Data, []byte(`\x1b[31m`)) && !bytes.Contains(p.Data, []byte(`\\x1b\[31m`)) {
			t.Errorf("%s does not show the text", p.Name)
		}
	}
}

// The advice on a failure, and the diagnosis after it, are on every page.
func TestFailureIsExplained(t *testing.T) {
	d := evidencetest.Document(t, "failed")
	failed := slices.IndexFunc(d.Steps, func(s evidence.Step) bool { return s.State == "failed" })
	s := &d.Steps[failed]
	s.Hint, s.Next, s.Until = "look at the controller", "kubectl logs -n a x", s.Began.Add(time.Hour)
	d.Diagnosis = &evidence.Diagnosis{
		Vaults:  []evidence.VaultState{{Server: "service vault/vault", Initialized: true, Sealed: true, Progress: 1, Threshold: 3}},
		Objects: []evidence.ObjectState{{Object: "Certificate/a/web", Message: "not issued"}},
		Pods:    []evidence.PodState{{Namespace: "a", Name: "web-0", State: "waits for its image", Restarts: 2}},
		Events:  []evidence.ClusterNote{{Object: "Pod/a/web-0", Reason: "Failed", Message: "no such image", Count: 9}},
		Logs:    []evidence.LogTail{{Pod: "a/web-0", Container: "web", Lines: []string{"first line", "last line"}}},
		Remarks: []string{"events in b: forbidden"},
	}
	pages, err := report.Pages(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		want := []string{"look at the controller", "kubectl logs -n a x", "a certificate that holds until " + s.Until.UTC().Format("2006-01-02")}
		if p.Name != "junit.xml" {
			want = append(want, "sealed, 1 of 3 shares given", "Certificate/a/web", "waits for its image", "no such image", "last line", "events in b: forbidden")
		}
		for _, text := range want {
			if !bytes.Contains(p.Data, []byte(text)) {
				t.Errorf("%s does not say %q", p.Name, text)
			}
		}
	}
}

// The page needs nothing from outside, and its policy allows exactly its own
// style and script.
func TestSelfContained(t *testing.T) {
	page, err := report.HTML(evidencetest.Document(t, "passed"))
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?i)(src|href)="?(https?:)?//|url\(|@import|style="|\son[a-z]+="`).Find(page); m != nil {
		t.Errorf("the page has %q", m)
	}
	for _, tag := range []string{"style", "script"} {
		blocks := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllSubmatch(page, -1)
		if len(blocks) != 1 {
			t.Fatalf("%d blocks <%s>", len(blocks), tag)
		}
		sum := sha256.Sum256(blocks[0][1])
		if want := "sha256-" + base64.StdEncoding.EncodeToString(sum[:]); !strings.Contains(strings.ReplaceAll(string(page), "&#43;", "+"), tag+"-src &#39;"+want) {
			t.Errorf("the policy does not allow the page's own <%s>, %s", tag, want)
		}
	}
	again, err := report.HTML(evidencetest.Document(t, "passed"))
	if err != nil || !bytes.Equal(page, again) {
		t.Errorf("the page is different each time, %v", err)
	}
}
