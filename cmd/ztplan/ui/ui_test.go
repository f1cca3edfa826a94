package ui_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/cmd/ztplan/ui"
	"github.com/ztplan/ztplan/engine"
)

var update = flag.Bool("update", false, "write golden files")

// story is a run in which everything happens.
var story = []engine.Event{
	{Action: engine.ActionPlan, Step: "vault", Kind: "helmInstall", Position: "plan.yaml:9:5"},
	{Action: engine.ActionPlan, Step: "init", Kind: "vaultInit", Position: "plan.yaml:14:5", Needs: []string{"vault"}},
	{Action: engine.ActionPlan, Step: "site", Kind: "curlTLS", Position: "plan.yaml:20:5"},
	{Action: engine.ActionPlan, Step: "late", Kind: "curlTLS", Position: "plan.yaml:25:5", Needs: []string{"init"}},
	{Action: engine.ActionStart, Step: "vault", Kind: "helmInstall"},
	{Action: engine.ActionStart, Step: "site", Kind: "curlTLS"},
	{Action: engine.ActionDiffers, Step: "vault", Path: "release/vault/vault", Have: map[string]any{"version": "0.30.0"}, Want: map[string]any{"version": "0.31.0"}, Message: "upgrade"},
	{Action: engine.ActionWarn, Step: "vault", Kind: "helmInstall", Message: "values: gateway.type is unknown: 100% ignored"},
	{Action: engine.ActionApply, Step: "vault", Path: "release/vault/vault"},
	{Action: engine.ActionEvidence, Step: "vault", Name: "denial", Data: map[string]any{"what": "the old token", "refused": true, "answer": "403 permission denied"}},
	{Action: engine.ActionEvidence, Step: "site", Name: "denial", Data: map[string]any{"what": "another name", "refused": true, "answer": "not allowed"}},
	{Action: engine.ActionApplied, Step: "vault", Path: "release/vault/vault", Seconds: 1.25},
	{Action: engine.ActionStatus, Step: "vault", Message: "looking at 3 workloads"},
	{Action: engine.ActionWait, Step: "vault", Message: "StatefulSet/vault/vault (0 of 1 pods run)"},
	{Action: engine.ActionChanged, Step: "vault", Kind: "helmInstall", Seconds: 2.5},
	{Action: engine.ActionFinding, Step: "site", Path: "status is 200", Have: 200.0, Message: "GET /\n200 OK"},
	{Action: engine.ActionProved, Step: "site", Kind: "curlTLS", Seconds: 0.04},
	{Action: engine.ActionStart, Step: "init", Kind: "vaultInit"},
	{Action: engine.ActionRetry, Step: "init", Error: "connection refused", Hint: "it is starting"},
	{Action: engine.ActionRetry, Step: "init", Error: "connection refused", Hint: "it is starting", Count: 9},
	{Action: engine.ActionFail, Step: "init", Kind: "vaultInit", Seconds: 61, Position: "plan.yaml:14:5", Error: "keys are lost\nVault is initialised", Hint: "restore the file", Next: "ztplan run plan.yaml --only init -v"},
	{Action: engine.ActionSkip, Step: "late", Kind: "curlTLS", Message: "needs init, which failed", Needs: []string{"init"}},
	{Action: engine.ActionEnd, Summary: &engine.Summary{Result: engine.ResultFailed, Proofs: 2, Changed: 1, Proved: 1, Skipped: 1, Failed: 1, Edits: 1, Retries: 1, WallSeconds: 63.5, CriticalSeconds: 63.5, CriticalPath: []string{"vault", "init"}}},
}

var preview = []engine.Event{
	{Action: engine.ActionPlan, Step: "vault", Kind: "helmInstall"},
	{Action: engine.ActionWarn, Plan: "lab", Message: "the plan has no step old any more"},
	{Action: engine.ActionDiffers, Step: "vault", Path: "release/vault/vault", Want: map[string]any{"version": "0.31.0", "token": engine.NewSecret("x"), "objects": map[string]any{"Service/a/b": map[string]any{"a": 1, "b": 2, "c": 3, "d": 4, "e": "```"}}}, Message: "install"},
	{Action: engine.ActionPending, Step: "vault", Kind: "helmInstall"},
	{Action: engine.ActionAfter, Step: "root", Kind: "pkiRoot", Needs: []string{"vault"}, Want: map[string]any{"mount": "pki", "ttl": "87600h"}},
	{Action: engine.ActionUnchanged, Step: "auth", Needs: []string{"vault", "root"}, Seconds: 0.04},
	{Action: engine.ActionDiffers, Step: "app", Path: "Service/app", Have: "x", Want: "y"},
	{Action: engine.ActionPending, Step: "app", Needs: []string{"vault"}},
	{Action: engine.ActionWould, Step: "site", Message: "dial hello.example.local"},
	{Action: engine.ActionWould, Step: "site", Path: "Pod/vault/(component=server)", Want: "deleted, all at once", Message: "the pods with these labels"},
	{Action: engine.ActionEnd, Plan: "lab", Summary: &engine.Summary{Result: engine.ResultDiffers, Proofs: 1, Pending: 2, ProofEdits: 1, WallSeconds: 0.2, Digest: "sha256:00"}},
}

// broken is a run in which proofs failed, and of which --only left most out.
var broken = []engine.Event{
	{Action: engine.ActionPlan, Step: "rotation", Kind: "assertRotation", Proof: true, Position: "plan.yaml:20:5"},
	{Action: engine.ActionSkip, Step: "vault", Kind: "helmInstall", Message: "not among --only and what that needs"},
	{Action: engine.ActionSkip, Step: "init", Kind: "vaultInit", Message: "not among --only and what that needs"},
	{Action: engine.ActionSkip, Step: "site", Kind: "curlTLS", Message: "--skip"},
	{Action: engine.ActionStart, Step: "rotation", Kind: "assertRotation"},
	{Action: engine.ActionFinding, Step: "rotation", Path: "the serial number is new", Have: "01"},
	{Action: engine.ActionViolated, Step: "rotation", Path: "the switch takes at most 3s", Have: "more than 7s", Message: "stuck; hops: asked +0.000s, issued +0.250s"},
	{Action: engine.ActionFail, Step: "rotation", Kind: "assertRotation", Seconds: 8, Position: "plan.yaml:20:5", Time: time.Date(2026, 1, 18, 16, 0, 0, 0, time.UTC),
		Error: "does not hold: the switch takes at most 3s: stuck", Until: time.Date(2026, 1, 18, 16, 59, 40, 0, time.UTC), Hint: "look at the controller", Next: "kubectl logs"},
	{Action: engine.ActionFail, Step: "again", Kind: "assertRotation", Position: "plan.yaml:30:5", Error: "does not hold: another", Hint: "look at the gateway", Next: "kubectl logs -f"},
	{Action: engine.ActionFail, Step: "cut1", Kind: "curlTLS", Position: "plan.yaml:40:5", Error: "interrupted while waiting for a", Hint: "run it again", Next: "ztplan run"},
	{Action: engine.ActionFail, Step: "cut2", Kind: "curlTLS", Position: "plan.yaml:50:5", Error: "interrupted while waiting for b", Hint: "run it again", Next: "ztplan run"},
	{Action: engine.ActionEnd, Summary: &engine.Summary{Result: engine.ResultFailed, Proofs: 4, Skipped: 3, Failed: 4}},
}

// partly is a run that converged and left a proof out.
var partly = []engine.Event{
	{Action: engine.ActionPlan, Plan: "lab", Step: "site", Kind: "curlTLS", Proof: true, Position: "plan.yaml:20:5"},
	{Action: engine.ActionSkip, Plan: "lab", Step: "site", Kind: "curlTLS", Message: "--skip"},
	{Action: engine.ActionEnd, Plan: "lab", Summary: &engine.Summary{Result: engine.ResultConverged, Proofs: 1, Skipped: 1}},
}

// awaiting is a run that wrote a request for a person to sign.
var awaiting = []engine.Event{
	{Action: engine.ActionPlan, Plan: "lab", Step: "ca", Kind: "pkiIntermediate", Position: "plan.yaml:20:5"},
	{Action: engine.ActionPlan, Plan: "lab", Step: "issuer", Kind: "applyManifest", Position: "plan.yaml:30:5", Needs: []string{"ca"}},
	{Action: engine.ActionPlan, Plan: "lab", Step: "site", Kind: "curlTLS", Proof: true, Position: "plan.yaml:40:5", Needs: []string{"issuer"}},
	{Action: engine.ActionStart, Step: "ca", Kind: "pkiIntermediate"},
	{Action: engine.ActionApply, Step: "ca", Path: "pki_int/issuer/ca/csr"},
	{Action: engine.ActionApplied, Step: "ca", Path: "pki_int/issuer/ca/csr", Seconds: 0.2},
	{Action: engine.ActionAwaiting, Step: "ca", Kind: "pkiIntermediate", Seconds: 0.5, Message: "awaiting signature: sign ca.csr with your root and put the certificate at ca.pem, then run again"},
	{Action: engine.ActionSkip, Step: "issuer", Kind: "applyManifest", Message: "waits for ca, which is awaiting signature", Needs: []string{"ca"}},
	{Action: engine.ActionSkip, Step: "site", Kind: "curlTLS", Message: "waits for issuer, which waits as well", Needs: []string{"issuer"}},
	{Action: engine.ActionEnd, Plan: "lab", Summary: &engine.Summary{Result: engine.ResultAwaiting, Proofs: 1, Awaiting: 1, Awaits: []string{"signature"}, Skipped: 2, Edits: 1, WallSeconds: 0.6}},
}

func TestGolden(t *testing.T) {
	for name, show := range map[string]func(*bytes.Buffer){
		"text":            func(b *bytes.Buffer) { each(story, ui.NewText(b, ui.Style{}, false, false).Event) },
		"text-verbose":    func(b *bytes.Buffer) { each(story, ui.NewText(b, ui.Style{}, true, false).Event) },
		"github":          func(b *bytes.Buffer) { each(story, ui.NewGitHub(b, false, false).Event) },
		"broken":          func(b *bytes.Buffer) { each(broken, ui.NewText(b, ui.Style{}, false, false).Event) },
		"broken-github":   func(b *bytes.Buffer) { each(broken, ui.NewGitHub(b, false, false).Event) },
		"partly":          func(b *bytes.Buffer) { each(partly, ui.NewText(b, ui.Style{}, false, false).Event) },
		"partly-github":   func(b *bytes.Buffer) { each(partly, ui.NewGitHub(b, false, false).Event) },
		"preview":         func(b *bytes.Buffer) { each(preview, ui.NewText(b, ui.Style{}, false, true).Event) },
		"preview-github":  func(b *bytes.Buffer) { each(preview, ui.NewGitHub(b, false, true).Event) },
		"awaiting":        func(b *bytes.Buffer) { each(awaiting, ui.NewText(b, ui.Style{}, false, false).Event) },
		"awaiting-github": func(b *bytes.Buffer) { each(awaiting, ui.NewGitHub(b, false, false).Event) },
		"awaiting-summary": func(b *bytes.Buffer) {
			s := ui.NewSummary(func(text string) error { b.WriteString(text); return nil })
			each(awaiting, func(e engine.Event) {
				if err := s.Event(e); err != nil {
					t.Error(err)
				}
			})
		},
		"preview-summary": func(b *bytes.Buffer) {
			s := ui.NewSummary(func(text string) error { b.WriteString(text); return nil })
			each(preview, func(e engine.Event) {
				if err := s.Event(e); err != nil {
					t.Error(err)
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var raw bytes.Buffer
			show(&raw)
			got := bytes.NewBufferString(fixedToken(raw.String()))
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got.String()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// fixedToken returns the log of a job with TOKEN in place of the random one that
// turns commands on again.
func fixedToken(log string) string {
	if m := regexp.MustCompile(`::stop-commands::(\w{16,})`).FindStringSubmatch(log); m != nil {
		return strings.ReplaceAll(log, m[1], "TOKEN")
	}
	return log
}

// Whatever the order in which steps are done, a dry run says the same.
func TestInOrder(t *testing.T) {
	said := func(events []engine.Event) string {
		var b strings.Builder
		each(events, ui.InOrder(func(e engine.Event) { fmt.Fprintln(&b, e.Action, e.Step, e.Path, e.Message) }))
		return b.String()
	}
	ev := func(a engine.Action, step, message string) engine.Event {
		return engine.Event{Action: a, Step: step, Message: message}
	}
	plan := []engine.Event{ev("plan", "a", ""), ev("plan", "b", ""), ev("plan", "proof", ""), ev("plan", "c", "")}
	a := []engine.Event{ev("start", "a", ""), ev("differs", "a", "1"), ev("differs", "a", "2"), ev("pending", "a", "")}
	b := []engine.Event{ev("start", "b", ""), ev("warn", "b", "w"), ev("unchanged", "b", "")}
	proof := []engine.Event{ev("would", "proof", "1"), ev("would", "proof", "2")}
	c := []engine.Event{ev("after", "c", "")}
	end := []engine.Event{ev("end", "", "")}
	want := said(slices.Concat(plan, a, b, proof, c, end))
	for name, events := range map[string][]engine.Event{
		"backwards":     slices.Concat(plan, c, proof, b, a, end),
		"interleaved":   slices.Concat(plan, b[:1], a[:2], b[1:], c, a[2:], proof, end),
		"interrupted":   slices.Concat(plan, proof, a, c, b, end),
		"proof is last": slices.Concat(plan, a, b, c, proof, end),
	} {
		if d := cmp.Diff(want, said(events)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func each(events []engine.Event, show func(engine.Event)) {
	for _, e := range events {
		show(e)
	}
}

func TestJSONIsOneEventALine(t *testing.T) {
	var b bytes.Buffer
	each(story, ui.NewJSON(&b).Event)
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != len(story) {
		t.Fatalf("%d lines for %d events", len(lines), len(story))
	}
	for i, l := range lines {
		var e engine.Event
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if e.Action != story[i].Action || e.Step != story[i].Step {
			t.Errorf("line %d: %s %s, want %s %s", i+1, e.Action, e.Step, story[i].Action, story[i].Step)
		}
	}
}

// The live view leaves the same lines behind as the plain text, and no view.
func TestLiveLeavesTheLinesBehind(t *testing.T) {
	var screen bytes.Buffer
	l := ui.NewLive(&screen, ui.Style{}, false, false, func() (int, int) { return 80, 24 })
	each(story, l.Event)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var plain bytes.Buffer
	text := ui.NewText(&plain, ui.Style{}, false, false)
	for _, e := range story {
		if e.Action != engine.ActionWait && e.Action != engine.ActionRetry { // the view shows them
			text.Event(e)
		}
	}
	if d := cmp.Diff(plain.String(), render(screen.String())); d != "" {
		t.Errorf("(-plain +screen):\n%s", d)
	}
}

// render plays the escape sequences that Live uses: up n lines, clear to the
// end, reset.
func render(s string) string {
	var lines []string
	cur := ""
	for len(s) > 0 {
		switch {
		case strings.HasPrefix(s, "\x1b["):
			end := strings.IndexAny(s, "AJm")
			if s[end] == 'A' {
				n := 0
				for _, c := range s[2:end] {
					n = n*10 + int(c-'0')
				}
				lines = lines[:len(lines)-n]
			}
			s = s[end+1:]
		case s[0] == '\r':
			cur, s = "", s[1:] // what the terminal itself echoed, such as ^C
		case s[0] == '\n':
			lines, cur, s = append(lines, cur), "", s[1:]
		default:
			cur, s = cur+s[:1], s[1:]
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// No line of a failed run is said twice.
func TestNothingIsSaidTwice(t *testing.T) {
	for name, events := range map[string][]engine.Event{"story": story, "broken": broken} {
		var b bytes.Buffer
		each(events, ui.NewText(&b, ui.Style{}, false, false).Event)
		for _, e := range events {
			for _, text := range []string{strings.SplitN(e.Error, "\n", 2)[0], e.Hint, e.Next} {
				if text != "" && strings.Count(b.String(), text+"\n") > 1 {
					t.Errorf("%s: %q is said %d times", name, text, strings.Count(b.String(), text+"\n"))
				}
			}
		}
	}
}

// A cause of many lines, such as the stack of a defect, does not fill the screen.
func TestLongCause(t *testing.T) {
	for verbose, want := range map[bool]string{false: "line 11\n      … and 28 more lines: -v shows them\n", true: "line 39\n"} {
		lines := []string{"panic: boom"}
		for i := range 39 {
			lines = append(lines, fmt.Sprintf("line %d", i+1))
		}
		var b bytes.Buffer
		each([]engine.Event{
			{Action: engine.ActionFail, Step: "a", Error: strings.Join(lines, "\n")}, {Action: engine.ActionEnd},
		}, ui.NewText(&b, ui.Style{}, verbose, false).Event)
		if !strings.HasSuffix(b.String(), want) || !strings.Contains(b.String(), "panic: boom\n      line 1\n") {
			t.Errorf("verbose %t:\n%s", verbose, b.String())
		}
	}
}

// The view says what is tried again, how often, and what to do. The clock stands still, so
// that no frame is drawn while the screen is read.
func TestLiveCountsRetries(t *testing.T) { synctest.Test(t, liveCountsRetries) }

func liveCountsRetries(t *testing.T) {
	var screen bytes.Buffer
	l := ui.NewLive(&screen, ui.Style{}, false, false, func() (int, int) { return 80, 24 })
	each([]engine.Event{
		{Action: engine.ActionPlan, Step: "init"},
		{Action: engine.ActionStart, Step: "init"},
		{Action: engine.ActionRetry, Step: "init", Error: "refused", Hint: "start it", Count: 9},
	}, l.Event)
	l.Say("")
	shown := render(screen.String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(shown, "trying again, ×9: refused\n") || !strings.Contains(shown, "  hint: start it\n") {
		t.Errorf("%s", shown)
	}
}

// Without a terminal the status of a step is shown after a while and not too
// often, its first line alone.
func TestProgress(t *testing.T) {
	var b bytes.Buffer
	text := ui.NewText(&b, ui.Style{}, false, false)
	began := time.Now()
	at := func(after time.Duration, e engine.Event) {
		e.Time, e.Step = began.Add(after), "rotation"
		text.Event(e)
	}
	at(0, engine.Event{Action: engine.ActionStart})
	for tenth := range 130 {
		after := time.Duration(tenth) * 100 * time.Millisecond
		at(after, engine.Event{Action: engine.ActionStatus, Message: fmt.Sprintf("after %s\n127.0.0.1:30443  ░░██", after)})
	}
	want := "· rotation after 2s\n· rotation after 7s\n· rotation after 12s\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// A status of several lines is below the step that it belongs to, as far as
// there is room. The clock stands still, as above.
func TestLiveShowsEveryLineOfAStatus(t *testing.T) { synctest.Test(t, liveShowsEveryLineOfAStatus) }

func liveShowsEveryLineOfAStatus(t *testing.T) {
	for height, want := range map[int]string{
		24: "░░██  old 1\n                  ████  new 2\n  ─",
		5:  "░░██  old 1\n  ─",
	} {
		var screen bytes.Buffer
		l := ui.NewLive(&screen, ui.Style{}, false, false, func() (int, int) { return 80, height })
		each([]engine.Event{
			{Action: engine.ActionPlan, Step: "rotation"},
			{Action: engine.ActionStart, Step: "rotation"},
			{Action: engine.ActionStatus, Step: "rotation", Message: "secret written\n░░██  old 1\n████  new 2"},
		}, l.Event)
		l.Say("")
		shown := render(screen.String())
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(shown, want) {
			t.Errorf("with %d rows:\n%s", height, shown)
		}
	}
}
