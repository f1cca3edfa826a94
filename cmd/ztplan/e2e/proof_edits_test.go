package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/journal"
)

// journalled returns the records of the edits of a plan's newest run that made any.
func (w *world) journalled(plan string) []journal.Record {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "runs", plan+"-*", "*.jsonl"))
	if err != nil || len(files) == 0 {
		w.t.Fatalf("plan %s has no journal (%v)", plan, err)
	}
	slices.Sort(files)
	for _, file := range slices.Backward(files) {
		records, err := journal.Read(file)
		if err != nil {
			w.t.Fatal(err)
		}
		records = slices.DeleteFunc(records, func(r journal.Record) bool { return r.Path == "" })
		if len(records) > 0 {
			return records
		}
	}
	w.t.Fatalf("no run of plan %s made an edit", plan)
	return nil
}

// outcomes are the edits of one step in a journal, as "done PATH".
func outcomes(records []journal.Record, step string) []string {
	var out []string
	for _, r := range records {
		if r.Step == step && r.Type != journal.Intent {
			out = append(out, string(r.Type)+" "+r.Path)
		}
	}
	return out
}

var id = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// oneForOne checks that the writes of a proof to the API server and Vault are those
// in its journal, one for one, and that it declared all of them.
func (w *world) oneForOne(t *testing.T, o *outcome, got traffic) {
	t.Helper()
	var want []string
	edits := 0
	records := w.journalled("rollover")
	for _, r := range records {
		switch {
		case r.Type == journal.Intent:
			want = append(want, requestsOf(t, r.Path)...)
		case r.Type == journal.Done && r.Proof:
			edits++
		}
	}
	var have []string
	for _, write := range got.writes {
		// A conflict with the controller changed nothing, and is tried again.
		if !strings.Contains(write, "/leases") && !strings.HasSuffix(write, ": 409") {
			have = append(have, id.ReplaceAllString(write, "ID"))
		}
	}
	slices.Sort(want)
	slices.Sort(have)
	if d := cmp.Diff(want, have); d != "" || len(have) == 0 {
		t.Errorf("writes (-by the journal +by the audit logs):\n%s", d)
	}
	if s := o.summary(); s.Edits != 0 || s.ProofEdits != edits {
		t.Errorf("the summary counts %d edits and %d of proofs, the journal %d", s.Edits, s.ProofEdits, edits)
	}
	dry := w.do(nil, "run", "proof/rollover.yaml", "--dry-run")
	must(t, "dry run of a proof", dry, 0)
	var declared []engine.Edit
	for _, e := range dry.events {
		if e.Action == engine.ActionWould && e.Path != "" {
			declared = append(declared, engine.Edit{Path: e.Path})
		}
	}
	for _, r := range records {
		if !engine.Declared(declared, r.Path) {
			t.Errorf("the dry run does not list %s", r.Path)
		}
	}
	t.Logf("%d writes by %d edits of %d that are declared", len(have), edits, len(declared))
}

// requestsOf returns the requests of an edit of a rollover.
func requestsOf(t *testing.T, path string) []string {
	t.Helper()
	switch parts := strings.Split(path, "/"); {
	case parts[0] == "Certificate":
		return []string{"api: update /apis/cert-manager.io/v1/namespaces/" + parts[1] + "/certificates/" + parts[2] + "/status: 200"}
	case path == "pki_int/issuer/(new)":
		return []string{"vault: update pki_int/intermediate/generate/internal", "vault: update pki/issuer/ID/sign-intermediate", "vault: update pki_int/intermediate/set-signed"}
	case path == "pki_int/config/issuers/default":
		return []string{"vault: update pki_int/config/issuers"}
	case strings.Contains(path, "/sign/"):
		return []string{"vault: update pki_int/issuer/ID/sign/example-dot-local"}
	case strings.HasSuffix(path, "/issuer_name"), strings.HasSuffix(path, "/usage"):
		return []string{"vault: patch pki_int/issuer/ID"}
	}
	t.Errorf("which requests are %s?", path)
	return nil
}

// twoAtOnce stops a run at the first edit of its proof, and begins another of the
// same plan: that one's error names the holder of the lock, and it changes nothing.
func (w *world) twoAtOnce(t *testing.T) {
	var second *outcome
	first := w.proveIntermediate(func(e engine.Event, p *os.Process) {
		if second != nil || e.Action != engine.ActionApplied || !e.Proof {
			return
		}
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		second = w.proveIntermediate(nil)
		_ = p.Kill()
	})
	if first.code != -1 || second == nil {
		t.Fatalf("was not killed: %v", first)
	}
	must(t, "a second run", second, 1)
	// A signal takes its time: the second may see the writes of the first until it
	// stood still before it asks for the lock.
	told := `run lock: plan rollover is being run by`
	if slices.ContainsFunc(first.events, func(e engine.Event) bool { return strings.HasSuffix(e.Path, "/config/issuers/default") }) {
		told += `|is not the default issuer`
	}
	if !regexp.MustCompile(told).MatchString(second.stderr) || second.summary().ProofEdits != 0 {
		t.Errorf("two runs at once: %v", second)
	}
	must(t, "the plan afterwards", w.run(), 0)
}

// interruptedRollover interrupts a rollover when the new intermediate signs for
// everybody: the old one signs again, and the journal has that.
func (w *world) interruptedRollover(t *testing.T) {
	once := false
	o := w.proveIntermediate(func(e engine.Event, p *os.Process) {
		if !once && e.Action == engine.ActionApplied && strings.HasSuffix(e.Path, "/config/issuers/default") {
			once = true
			_ = p.Signal(os.Interrupt)
		}
	})
	must(t, "an interrupted proof", o, 130)
	edits := outcomes(w.journalled("rollover"), "rotation")
	const back = "done pki_int/config/issuers/default"
	// The renewal may have been asked for when the interrupt came.
	if len(edits) > 0 && strings.HasPrefix(edits[len(edits)-1], "done Certificate/") {
		edits = edits[:len(edits)-1]
	}
	if n := len(edits); n < 2 || edits[n-1] != back || slices.Index(edits, back) == n-1 {
		t.Errorf("the journal does not say that it went back: %q", edits)
	}
	w.issuers(t, false)
	must(t, "status", w.check(), 0)
}
