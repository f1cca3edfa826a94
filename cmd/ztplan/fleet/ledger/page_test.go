package ledger_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

var update = flag.Bool("update", false, "write golden files")

// fleetOf returns a fleet of n clusters in two waves: of 1,000, 40 failed for two causes,
// 10 are held, and two versions of Kubernetes are about.
func fleetOf(n int) (*ledger.Head, []ledger.Leaf) {
	began := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	var leaves []ledger.Leaf
	for i := range n {
		name := fmt.Sprintf("%s-%04d", []string{"eu", "us", "ap"}[i%3], i)
		wave, start := "rest", began.Add(6*time.Minute+time.Duration(i)*1200*time.Millisecond)
		if i < max(1, n/100) {
			wave, start = "canary", began.Add(time.Duration(i)*20*time.Second)
		}
		took := time.Duration(42+i*7919%37) * time.Second
		v := &record.Verdict{
			Schema: record.VerdictSchema, Run: "1a2b3c4d", Wave: wave, Cluster: name, Result: engine.ResultProved, Evidence: evidence.Digest([]byte(name)),
			Began: start, Ended: start.Add(took), Steps: 14, Changed: 11, Proved: 3, Version: "v0.14.0", Server: "v1.36.3",
			Rotation: &record.Rotation{Step: "rotation", Switch: 0.8 + float64(i*7919%1000)/900 + float64(i%97)/400, Handshakes: 4000 + i%500, Doubt: 0.0001 * float64(i%40)},
		}
		if i%11 == 3 {
			v.Server = "v1.35.7"
		}
		l := ledger.Leaf{Cluster: name, Wave: wave, State: ledger.Proved, Tries: 1, Pod: "prod-1a2b3c4d-" + wave + "-" + name, Verdict: v}
		switch {
		case n >= 1000 && i >= n-n/100:
			l = ledger.Leaf{Cluster: name, Wave: wave, State: ledger.Held, Cause: fmt.Sprintf("wave rest: %d of %d clusters failed, and 3%% may", n/25, n-n/100)}
		case n >= 1000 && i%25 == 7 && i < n-n/100, n == 3 && i == 2:
			l.State, l.Tries, v.Exit, v.Result, v.Rotation = ledger.Failed, 3, 1, engine.ResultFailed, nil
			v.Step, v.Place, v.Cause = "issuer", "site.yaml:31:5", fmt.Sprintf("Vault https://vault.%s.example:8200: 403 permission denied", name)
			v.Hint = "the token's policy allows update on pki/sign/site"
			if i%3 == 0 {
				v.Step, v.Place, v.Cause, v.Hint = "gateway", "site.yaml:52:5", fmt.Sprintf("Deployment/apisix/apisix: 0 of 2 pods run after %ds: ImagePullBackOff", 300+i%7), ""
			}
		}
		leaves = append(leaves, l)
	}
	counts := ledger.Count(leaves)
	head := &ledger.Head{
		Schema: ledger.Schema, Fleet: "prod", Run: "1a2b3c4d", Rounds: 1, Digest: strings.Repeat("5e", 32), Mode: "run", Image: "ghcr.io/ztplan/ztplan:v0.14.0", Hub: "https://hub.example:6443",
		Began: began, Ended: began.Add(27 * time.Minute), Counts: counts, Version: "v0.14.0",
		Waves: []ledger.Wave{
			{Name: "canary", Clusters: max(1, n/100), Parallel: 1, Limit: "0", Soak: record.Duration(5 * time.Minute)},
			{Name: "rest", Clusters: n - max(1, n/100), Parallel: 50, Limit: "3%"},
		},
	}
	if counts[ledger.Held] > 0 {
		head.Stopped = leaves[n-1].Cause
	}
	head.Result = ledger.Result(counts, head.Stopped)
	_, root, err := ledger.Encode(leaves)
	if err != nil {
		panic(err)
	}
	head.Size, head.Root = int64(n), root
	return head, leaves
}

func page(t testing.TB, head *ledger.Head, leaves []ledger.Leaf) []byte {
	t.Helper()
	p, err := ledger.Page(head, leaves)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// text returns the text of the page, a line for each element with text of its own.
func text(t *testing.T, page []byte) string {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for n := range doc.Descendants() {
		if s := strings.Join(strings.Fields(n.Data), " "); n.Type == html.TextNode && s != "" && n.Parent.Data != "style" && n.Parent.Data != "script" {
			fmt.Fprintln(&out, s)
		}
	}
	return out.String()
}

func TestPage(t *testing.T) {
	head, leaves := fleetOf(3)
	got := text(t, page(t, head, leaves))
	file := filepath.Join("testdata", "page.txt")
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
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Every cluster is on the page twice: in the map and in the table. With
// ZTPLAN_SCREENSHOTS=DIR the pages are kept there, to be looked at.
func TestPageHasEveryCluster(t *testing.T) {
	for _, n := range []int{3, 1000, 10_000} {
		head, leaves := fleetOf(n)
		p := page(t, head, leaves)
		if dir := os.Getenv("ZTPLAN_SCREENSHOTS"); dir != "" {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("fleet-%d.html", n)), p, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if squares, rows := bytes.Count(p, []byte(`" title="`)), bytes.Count(p, []byte(`<tr id="c`)); squares != n || rows != n {
			t.Errorf("%d clusters: %d squares, %d rows", n, squares, rows)
		}
		if kb := len(p) >> 10; kb > 64+n*3/10 {
			t.Errorf("%d clusters: %d KB", n, kb)
		}
		t.Logf("%d clusters: %d KB", n, len(p)>>10)
	}
}

// Nothing of a text from outside is markup, or hidden, wherever it is shown.
func TestForeignTextOnThePage(t *testing.T) {
	hostile := `x"><script>alert(1)</script><img src=x onerror=alert(2)>'` + "\x1b[2J\u202e{{.}}javascript:alert(3)</style>"
	head, leaves := fleetOf(3)
	own := elements(t, page(t, head, leaves))
	head.Fleet, head.Stopped, head.Hub, head.Image, head.Mode, head.Key, head.Version = hostile, hostile, hostile, hostile, hostile, hostile, hostile
	head.Waves[0].Name, head.Waves[0].Limit = hostile, hostile
	for i := range leaves {
		l := &leaves[i]
		v := l.Verdict
		l.Cluster, l.Wave, l.Pod, l.Cause = hostile+fmt.Sprint(i), head.Waves[i%2].Name, hostile, hostile
		v.Cause, v.Hint, v.Place, v.Step, v.Version, v.Server = hostile, hostile, hostile, hostile, hostile, hostile
	}
	p := page(t, head, leaves)
	if strings.ContainsAny(string(p), "\x1b\u202e") {
		t.Error("hidden characters are on the page")
	}
	if bytes.Count(p, []byte("alert(1)")) < 10 {
		t.Error("the text is not shown")
	}
	for what, n := range elements(t, p) {
		if n > 0 && own[what] == 0 && what != "p.remark" {
			t.Errorf("the text made %s", what)
		}
	}
	if bytes.Contains(p, []byte(`href="clusters/x`)) {
		t.Error("a name that is no folder's is linked")
	}
}

// elements counts the elements of a page by name, with those that run something by
// attribute.
func elements(t *testing.T, page []byte) map[string]int {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]int)
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		name := n.Data
		if name == "script" || name == "style" {
			name += fmt.Sprint(len(n.FirstChild.Data))
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "style" || a.Key == "href" && !strings.HasPrefix(a.Val, "#") && !strings.HasPrefix(a.Val, "clusters/") {
				name += " " + a.Key + "=" + a.Val
			}
		}
		out[name]++
	}
	return out
}

// A page that was edited is found, with and without the digest on record.
func TestPageIsVerified(t *testing.T) {
	for name, tc := range map[string]struct {
		version string
		redo    bool // write the digest of the edited page
		want    string
	}{
		"edited":                         {"v0.14.0", false, "does not have the digest on record"},
		"edited with its digest":         {"v0.14.0", true, "is not what the leaves render to"},
		"edited, another version checks": {"v0.15.0", false, "does not have the digest on record"},
	} {
		dir := t.TempDir()
		head, leaves := fleetOf(3)
		names := []string{leaves[0].Cluster}
		leaves = leaves[:1]
		head.Counts = ledger.Count(leaves)
		head.Result = ledger.Result(head.Counts, "")
		err := ledger.Write(t.Context(), dir, head, leaves, names, fetchName, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := ledger.Verify(t.Context(), dir, ledger.Options{Version: tc.version}); err != nil || !r.Holds() {
			t.Fatalf("%v, %s", err, problems(r))
		}
		file := filepath.Join(dir, ledger.PageFile)
		old, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		edited := bytes.Replace(old, []byte("is proved"), []byte("is great"), 1)
		if bytes.Equal(old, edited) {
			t.Fatal("nothing was edited")
		}
		change(t, file, edited)
		if tc.redo {
			file := filepath.Join(dir, ledger.HeadFile)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			change(t, file, bytes.Replace(data, []byte(evidence.Digest(old)), []byte(evidence.Digest(edited)), 1))
		}
		r, err := ledger.Verify(t.Context(), dir, ledger.Options{Version: tc.version})
		if err != nil || !strings.Contains(problems(r), tc.want) {
			t.Errorf("%s: %v, %q", name, err, problems(r))
		}
	}
}

// fetchName returns evidence of a cluster of fleetOf.
func fetchName(_ context.Context, name string) ([]byte, error) { return []byte(name), nil }

func change(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestClaim(t *testing.T) {
	for want, h := range map[string]ledger.Head{
		"All 1,000 clusters are proved: the plan converged on each, and every proof in it held.":                   {Counts: map[string]int{"proved": 1000}},
		"The one cluster is proved: the plan converged, and every proof in it held.":                               {Counts: map[string]int{"proved": 1}},
		"940 of 1,000 clusters are proved; 10 converged without a full proof; 40 failed; 10 held and not touched.": {Counts: map[string]int{"proved": 940, "converged": 10, "failed": 40, "held": 10}},
		"All 3 clusters are converged; nothing is proved, for no proof ran or the plan has none.":                  {Counts: map[string]int{"converged": 3}},
		"2 of 3 clusters are converged, and none is proved; 1 crashed.":                                            {Counts: map[string]int{"converged": 2, "crashed": 1}},
		"990 of 1,000 clusters are as the plan says, and nothing was written; 10 differ.":                          {Mode: "status", Counts: map[string]int{"converged": 990, "differs": 10}},
		"1 of 2 clusters are proved; 1 awaiting what a person has to give.":                                        {Counts: map[string]int{"proved": 1, "awaiting": 1}},
		"0 of 2 clusters are converged, and none is proved; 1 failed; 1 without a result yet.":                     {Counts: map[string]int{"failed": 1, "waiting": 1}},
	} {
		if got := ledger.Claim(&h); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Parts that differ between clusters and not between causes do not keep causes apart.
func TestCausesGroup(t *testing.T) {
	for want, causes := range map[string][]string{
		"cluster https://… (kubeconfig …): connect: connection refused": {
			"cluster https://127.9.9.9:39833 (kubeconfig /node/pods/45281765-feb8-49e2-a66e-8fb15eb8fb7b/volumes/access/1): connect: connection refused",
			"cluster https://127.9.9.8:39834 (kubeconfig /node/pods/45281765-feb8-49e2-a66e-8fb15eb8fb7c/volumes/access/2): connect: connection refused",
		},
		"dial tcp …: i/o timeout after …":   {"dial tcp 10.0.0.1:443: i/o timeout after 30.1s", "dial tcp [fd00::1]:443: i/o timeout after 1m2s"},
		"lookup …: no such host":            {"lookup a.example: no such host", "lookup b.example: no such host"},
		"Gateway …/edge is none of 2":       {"Gateway c0/edge is none of 2", "Gateway c1/edge is none of 2"},
		"the same everywhere 10.0.0.1:6443": {"the same everywhere 10.0.0.1:6443", "the same everywhere 10.0.0.1:6443"},
	} {
		var leaves []ledger.Leaf
		for i, c := range causes {
			leaves = append(leaves, ledger.Leaf{Cluster: fmt.Sprintf("c%d", i), State: ledger.Failed, Cause: c})
		}
		if got := ledger.Causes(leaves); len(got) != 1 || got[0].Cause != want {
			t.Errorf("%+v, want %q", got, want)
		}
	}
	if got := ledger.Causes([]ledger.Leaf{{Cluster: "one", State: ledger.Failed, Cause: "none of 2"}, {Cluster: "two", State: ledger.Failed, Cause: "none of 3"}}); len(got) != 2 {
		t.Errorf("%+v", got)
	}
}

func BenchmarkPage(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			head, leaves := fleetOf(n)
			for b.Loop() {
				b.ReportMetric(float64(len(page(b, head, leaves))>>10), "KB")
			}
		})
	}
}
