package view_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/drive"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/hub"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/view"
	"github.com/ztplan/ztplan/cmd/ztplan/ui"
	"github.com/ztplan/ztplan/engine"
)

var update = flag.Bool("update", false, "write golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

// A story is a run of three waves: a canary of 1, 100 clusters of which 40 fail for one
// cause, and 20 that come after.
type story struct {
	fleet view.Fleet
	began time.Time
}

func newStory() *story {
	s := &story{began: time.Now()}
	s.fleet.Run = record.Run{ID: "1a2b3c4d", Fleet: "prod", Created: s.began, Waves: []record.Wave{
		{Name: "canary", Clusters: 1, Parallel: 1, Limit: "0", Soak: record.Duration(2 * time.Minute)},
		{Name: "rest", Clusters: 100, Parallel: 50, Limit: "50%", Failures: 50},
		{Name: "edge", Clusters: 20, Parallel: 10, Limit: "0"},
	}}
	s.fleet.Names = make(map[string][]string)
	for _, w := range s.fleet.Run.Waves {
		for i := range w.Clusters {
			s.fleet.Names[w.Name] = append(s.fleet.Names[w.Name], fmt.Sprintf("%s-%02d", w.Name, i))
		}
	}
	return s
}

func (s *story) wave(i int) drive.Snapshot {
	return drive.Snapshot{Wave: hub.Wave{Wave: s.fleet.Run.Waves[i], Made: true, Succeeded: map[int]bool{}, Failed: map[int]bool{}, Held: map[int]bool{}}}
}

// pod returns a pod that was made some time ago.
func (s *story) pod(wave string, index int, phase corev1.PodPhase, ago time.Duration) hub.Pod {
	return hub.Pod{Name: fmt.Sprintf("pod-%s-%d", wave, index), Index: index, Phase: phase, Exit: -1, Created: time.Now().Add(-ago)}
}

func (s *story) settle(w *drive.Snapshot, index int, took time.Duration) {
	p := s.pod(w.Name, index, corev1.PodSucceeded, took)
	p.Exit = 0
	p.Verdict = &record.Verdict{Cluster: s.fleet.Names[w.Name][index], Result: engine.ResultProved, Began: p.Created, Ended: time.Now()}
	w.Succeeded[index] = true
	w.Settled = append(w.Settled, p)
}

func (s *story) fail(w *drive.Snapshot, index int, final bool, cause string) {
	p := s.pod(w.Name, index, corev1.PodFailed, time.Minute)
	p.Exit = 1
	p.Verdict = &record.Verdict{Cluster: s.fleet.Names[w.Name][index], Exit: 1, Step: "login", Cause: cause}
	w.Failing = append(w.Failing, p)
	if final {
		w.Failed[index] = true
	}
}

// middle is the second wave: 20 are settled, 40 failed for one cause, 1 is tried again, 3
// wait for their image, 30 run.
func (s *story) middle() drive.Snapshot {
	w := s.wave(1)
	for i := range 20 {
		s.settle(&w, i, 60*time.Second)
	}
	for i := 20; i < 60; i++ {
		s.fail(&w, i, true, fmt.Sprintf("https://10.0.0.%d:8200: connection refused", i))
	}
	s.fail(&w, 60, false, "no route to host")
	for i := 61; i < 91; i++ {
		w.Running = append(w.Running, s.pod(w.Name, i, corev1.PodRunning, time.Duration(120-i)*time.Second))
	}
	for i := 91; i < 94; i++ {
		p := s.pod(w.Name, i, corev1.PodPending, time.Minute)
		p.Reason = `ImagePullBackOff: pod ` + p.Name + `: image "ztplan" is not there`
		w.Waiting = append(w.Waiting, p)
	}
	return w
}

// screen returns the content of a terminal of a size.
func screen(t *testing.T, width, height int, style ui.Style, f view.Fleet, show func(*view.Live)) string {
	t.Helper()
	var out bytes.Buffer
	l := view.NewLive(&out, style, func() (int, int) { return width, height }, f)
	show(l)
	l.Say("-")
	shown := played(out.String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if left := played(out.String()); strings.Contains(left, "clusters,") {
		t.Errorf("the view stays behind:\n%s", left)
	}
	return shown
}

// played returns the content of a terminal after the text: up n lines, clear to the end.
func played(s string) string {
	var lines []string
	for len(s) > 0 {
		if m := up.FindStringSubmatch(s); m != nil {
			n := 0
			_, _ = fmt.Sscan(m[1], &n)
			lines, s = lines[:len(lines)-n], s[len(m[0]):]
			continue
		}
		line, rest, _ := strings.Cut(s, "\n")
		lines, s = append(lines, colours.ReplaceAllString(line, "")), rest
	}
	return strings.Join(lines, "\n") + "\n"
}

var (
	up      = regexp.MustCompile(`^\r\x1b\[(\d+)A\x1b\[J`)
	colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)
)

func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory()
		first := s.wave(0)
		first.Running = append(first.Running, s.pod("canary", 0, corev1.PodRunning, 30*time.Second))
		over := s.wave(0)
		s.settle(&over, 0, 50*time.Second)
		over.Over, over.Ended = true, time.Now()
		soaking := over
		soaking.Soaking = time.Now().Add(90 * time.Second)
		stopped := s.middle()
		for i := 61; i < 72; i++ {
			s.fail(&stopped, i, true, "no route to host")
		}
		stopped.Running = stopped.Running[11:]
		var all strings.Builder
		for _, tc := range []struct {
			name          string
			width, height int
			snapshots     []drive.Snapshot
		}{
			{"nothing is done: no estimate", 100, 24, []drive.Snapshot{first}},
			{"soaking", 100, 24, []drive.Snapshot{first, soaking}},
			{"in the middle", 100, 24, []drive.Snapshot{over, s.middle()}},
			{"narrow and low", 50, 9, []drive.Snapshot{over, s.middle()}},
			{"no room at all", 20, 3, []drive.Snapshot{over, s.middle()}},
			{"the stop rule holds", 100, 24, []drive.Snapshot{over, stopped}},
		} {
			got := screen(t, tc.width, tc.height, ui.Style{}, s.fleet, func(l *view.Live) {
				for _, snapshot := range tc.snapshots {
					l.Show(snapshot)
				}
			})
			fmt.Fprintf(&all, "== %s\n%s", tc.name, got)
			lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
			for _, line := range lines {
				if n := len([]rune(line)); n > tc.width && !strings.HasPrefix(line, "wave ") {
					t.Errorf("%s: %d cells: %s", tc.name, n, line)
				}
			}
			if _, below, _ := strings.Cut(got, "\n-\n"); strings.Count(below, "\n") > max(3, tc.height-2) {
				t.Errorf("%s: higher than %d rows:\n%s", tc.name, tc.height, below)
			}
		}
		golden(t, "live.txt", all.String())
	})
}

// Without a terminal a line is written when the numbers have changed, at most one in ten
// seconds, and none twice. The end of a wave is shown at once.
func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory()
		var out bytes.Buffer
		l := view.NewLines(stamped(&out, time.Now()), s.fleet)
		time.Sleep(time.Second / 4) // never at the same time as a tick
		w := s.wave(0)
		w.Running = append(w.Running, s.pod("canary", 0, corev1.PodRunning, 0))
		for range 30 {
			l.Show(w)
			time.Sleep(time.Second)
		}
		over := s.wave(0)
		s.settle(&over, 0, 30*time.Second)
		over.Over, over.Ended = true, time.Now()
		l.Show(over)
		over.Soaking = time.Now().Add(2 * time.Minute)
		l.Show(over)
		time.Sleep(2 * time.Minute)
		rest := s.wave(1)
		for i := range 60 {
			if i < 20 {
				s.settle(&rest, i, time.Minute)
			} else {
				s.fail(&rest, i, i < 40, "connection refused")
			}
			l.Show(rest)
			time.Sleep(time.Second / 2)
		}
		for i := 40; i < 80; i++ {
			s.fail(&rest, i, true, "connection refused")
		}
		l.Show(rest)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		golden(t, "lines.txt", out.String())
	})
}

// stamped writes before each line when it was written.
func stamped(w io.Writer, began time.Time) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		_, err := fmt.Fprintf(w, "%4.0fs %s", time.Since(began).Seconds(), p)
		return len(p), err
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory()
		var out bytes.Buffer
		j := view.NewJSON(&out, s.fleet)
		w := s.wave(1)
		w.Running = append(w.Running, s.pod("rest", 0, corev1.PodRunning, 0))
		j.Show(w)
		j.Show(w)
		w.Running = nil
		s.settle(&w, 0, time.Minute)
		s.fail(&w, 1, false, "a\x1b[2J\u202e")
		w.Held[2] = true
		j.Show(w)
		j.Show(w)
		j.End(&ledger.Head{Result: ledger.Failed}, "report")
		var got []string
		for line := range strings.Lines(out.String()) {
			var e struct {
				Time                            time.Time
				Action, Wave, Cluster, State    string
				Settled, Running, Again, ToCome any
				Verdict, Head, Clusters         any
				Report                          string
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil || e.Time.IsZero() {
				t.Fatalf("%v: %s", err, line)
			}
			got = append(got, fmt.Sprint(e.Action, e.Wave, e.Cluster, e.State, " ", e.Settled, e.Running, e.Again, e.ToCome, e.Verdict != nil, e.Head != nil, e.Report))
		}
		want := []string{
			"waverest 0 1 0 99 false false", "clusterrestrest-00proved <nil> <nil> false <nil> true false", "clusterrestrest-01failed <nil> <nil> true <nil> true false",
			"clusterrestrest-02held <nil> <nil> false <nil> false false", "waverest 1 0 1 97 false false", "end <nil> <nil> <nil> <nil> false truereport",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if strings.ContainsAny(out.String(), "\x1b\u202e") {
			t.Error("a hidden character")
		}
	})
}

// end is a run of which every kind of thing became.
func end(hostile string) view.End {
	leaf := func(i int, state string, exit int) ledger.Leaf {
		return ledger.Leaf{Cluster: fmt.Sprintf("c%02d%s", i, hostile), Wave: "rest", State: state, Pod: fmt.Sprintf("pod-%d", i), Verdict: &record.Verdict{
			Exit: exit, Version: "v0.14.0", Server: "v1.36.3", Rotation: &record.Rotation{Step: "rotation", Switch: 1 + float64(i)/10, Handshakes: 1000, Doubt: 0.001},
		}}
	}
	var leaves []ledger.Leaf
	for i := range 12 {
		l := leaf(i, ledger.Proved, 0)
		switch {
		case i > 9:
			l.State, l.Verdict, l.Cause = ledger.Held, nil, "wave rest: 4 of 12 clusters failed, and 10% may"+hostile
		case i > 4:
			l.State, l.Verdict.Exit, l.Verdict.Rotation = ledger.Failed, 1, nil
			l.Verdict.Step, l.Verdict.Place, l.Verdict.Cause, l.Verdict.Hint = "login", "site.yaml:31:5", "connection refused"+hostile, "start it"+hostile
		}
		leaves = append(leaves, l)
	}
	counts := ledger.Count(leaves)
	return view.End{
		Head: &ledger.Head{Fleet: "prod" + hostile, Run: "1a2b3c4d", Mode: "run", Counts: counts, Result: ledger.Result(counts, ""), Root: "00ff",
			Stopped: "wave rest: 5 of 12 clusters failed, and 10% may" + hostile, Waves: []ledger.Wave{{Name: "rest", Clusters: 12, Parallel: 4, Limit: "10%"}}},
		Leaves: leaves, File: "fleets/prod.yaml", Plan: "fleets/site.yaml", Hub: "-n fleet",
	}
}

func TestEnding(t *testing.T) {
	var out, github bytes.Buffer
	view.Ending(&out, ui.Style{}, end(""))
	golden(t, "ending.txt", out.String())
	view.GitHub(&github, end(""))
	golden(t, "github.txt", regexp.MustCompile(`::(stop-commands::)?[A-Z0-9]{26}(::)?`).ReplaceAllString(github.String(), "::${1}TOKEN$2"))
	golden(t, "summary.md", string(view.Summary(end(""))))
}

// Nothing of a text from outside is a command for a terminal or a CI system.
func TestForeignText(t *testing.T) {
	hostile := "\x1b[2J\u202e\r\n::error::owned\n##[error]x</td><script>alert(1)</script>|`"
	synctest.Test(t, func(t *testing.T) {
		s := newStory()
		for w := range s.fleet.Names {
			for i := range s.fleet.Names[w] {
				s.fleet.Names[w][i] += hostile
			}
		}
		w := s.middle()
		s.fail(&w, 95, true, hostile)
		w.Stopped = hostile
		w.Waiting[0].Reason = hostile
		var lines bytes.Buffer
		l := view.NewLines(&lines, s.fleet)
		l.Show(w)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		var ending, github bytes.Buffer
		view.Ending(&ending, ui.Style{}, end(hostile))
		view.GitHub(&github, end(hostile))
		for name, got := range map[string]string{
			"live": screen(t, 200, 60, ui.Style{}, s.fleet, func(l *view.Live) { l.Show(w) }), "lines": lines.String(),
			"ending": ending.String(), "github": github.String(), "summary": string(view.Summary(end(hostile))),
		} {
			if strings.ContainsAny(got, "\x1b\u202e\r") {
				t.Errorf("%s has a hidden character:\n%q", name, got)
			}
			for line := range strings.Lines(got) {
				if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "::error::owned") || strings.Contains(line, "##[error]") {
					t.Errorf("%s: a command: %q", name, line)
				}
			}
			if !strings.Contains(got, "owned") && name != "lines" {
				t.Errorf("%s does not show the text:\n%s", name, got)
			}
			if name == "summary" && strings.Contains(got, "<script>") {
				t.Error("the summary has markup")
			}
		}
	})
}
