package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// A drift is a change that somebody else makes to a finished world.
type drift struct {
	kind, name string

	make func(w *world)
	// found matches its difference in status, one line: "step path …".
	found string
	// refused is the reason why ztplan does not remove it; empty means that the
	// next run does. Without found, status already says so and exits with 1.
	refused string
	// warned is the warning about a change outside of the plan; status and run exit with
	// 0.
	warned string
	// args are given to status and run.
	args func(w *world) []string
	// after removes the rest of the drift that no step of the plan minds, or that ztplan
	// refuses to remove.
	after func(w *world)

	// external drifts are about the plan with an external parent: while it awaits the
	// signature, or when all is signed and imported. awaits means that the next run ends
	// awaiting a new signature.
	external, awaiting, awaits bool

	// quick drifts are in make test. Those that status finds are made together,
	// one behind the other, and all of them found by one look.
	quick bool
}

// drift makes every drift of the table, alone. In the quick form those marked
// so are made together, found together and removed by one run.
func (w *world) drift(t *testing.T) {
	if full() {
		tb := new(table)
		tb.add("KIND", "DRIFT", "STATUS SAYS", "THEN", "STATUS s", "RUN s")
		defer tb.print()
		for _, d := range drifts {
			w.sub(t, d.kind+"/"+d.name, func(t *testing.T) { w.alone(t, d, tb) })
		}
		w.sub(t, "together", w.together)
		s := w.newSigning("pki_external", "ext")
		must(t, "the plan with an external parent", s.run(), 2)
		w.driftExternal(t, s, true, tb)
		s.sign()
		must(t, "the plan with an external parent, signed", s.run(), 0)
		w.driftExternal(t, s, false, tb)
		return
	}
	for _, d := range drifts {
		if d.quick && d.found == "" {
			w.sub(t, d.kind+"/"+d.name, func(t *testing.T) { w.alone(t, d, new(table)) })
		}
	}
	w.sub(t, "together", w.together)
}

// together is drift behind drift: one look names all of it, with the steps after which
// it may change, and one run removes it.
func (w *world) together(t *testing.T) {
	var removed []drift
	for _, d := range drifts {
		if d.quick && d.found != "" {
			removed = append(removed, d)
			d.make(w)
		}
	}
	o := w.check()
	must(t, "status", o, 2)
	for _, d := range removed {
		expect(t, d.name, o, d.found)
	}
	for id, want := range map[string]string{
		"root": "pending", "intermediate": "pending behind root", "auth": "pending behind cert-manager",
		"issuer": "unchanged behind auth intermediate", "tls": "unchanged behind certificate",
	} {
		if got := o.state(id); got != want {
			t.Errorf("status says of %s: %s, want %s", id, got, want)
		}
	}
	if again := w.check(); again.summary().Digest != o.summary().Digest {
		t.Errorf("the digest changes from look to look: %s, %s", o.summary().Digest, again.summary().Digest)
	}
	must(t, "run", w.run(), 0)
	for _, d := range removed {
		if d.after != nil {
			d.after(w)
		}
	}
	must(t, "status after the run", w.check(), 0)
}

// expect fails the test unless a difference of the outcome matches pattern.
func expect(t *testing.T, name string, o *outcome, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for _, line := range o.differences() {
		if re.MatchString(line) {
			return line
		}
	}
	t.Errorf("%s: nothing matches %q in\n%s", name, pattern, strings.Join(o.differences(), "\n"))
	return ""
}

func (w *world) alone(t *testing.T, d drift, tb *table) {
	check, again, finished := w.check, w.run, 0
	if d.external {
		check, again = w.signing.status, w.signing.run
	}
	if d.awaiting {
		finished = 2
	}
	d.make(w)
	var args []string
	if d.args != nil {
		args = d.args(w)
	}
	status := check(args...)
	then, code, pattern := "removed", 2, d.found
	tidy := func() {
		if d.after != nil {
			d.after(w)
		}
		d.after = nil
	}
	defer tidy() // also when the test ends here: the next one needs the world
	switch {
	case d.warned != "":
		then, code, pattern = "left alone", 0, d.warned
	case d.refused != "" && d.found != "":
		then = "refused"
	case d.refused != "":
		then, code, pattern = "refused", 1, d.refused
	}
	said := expect(t, "status", status, pattern)
	if status.code != code {
		t.Errorf("status: want exit status %d, got %v", code, status)
	}
	run := again(args...)
	switch {
	case d.awaits:
		then = "awaits a signature"
		must(t, "run", run, 2)
	case d.refused != "":
		if run.code != 1 {
			t.Errorf("run: want exit status 1, got %v", run)
		}
		expect(t, "run", run, d.refused)
	default:
		must(t, "run", run, finished)
		after := check(args...)
		must(t, "status after the run", after, finished)
		for _, line := range after.differences() {
			if d.found != "" && regexp.MustCompile(d.found).MatchString(line) {
				t.Errorf("after the run there is still %s", line)
			}
		}
	}
	tidy()
	must(t, "status at the end", check(), finished)
	if t.Failed() {
		then = "FAILED"
	}
	if n := 110; len([]rune(said)) > n {
		said = string([]rune(said)[:n]) + "…"
	}
	tb.add(d.kind, d.name, said, then, fmt.Sprintf("%.1f", status.wall.Seconds()), fmt.Sprintf("%.1f", run.wall.Seconds()))
}
