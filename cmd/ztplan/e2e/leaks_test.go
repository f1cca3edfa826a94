package e2e

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// secretForms are texts that are secret whoever made them: tokens of Vault,
// tokens of ServiceAccounts, private keys in PEM and in base64 of that.
var secretForms = regexp.MustCompile(`hv[sb]\.[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}|-----BEGIN [A-Z ]*PRIVATE KEY|LS0tLS1CRUdJTi(BQUklW|BSU0EgUFJJ|BFQyBQUklW)`)

// A scan looks for secrets in all that a run leaves.
type scan struct {
	t     testing.TB
	known map[string]string // by the text to look for: its name
}

// newScan knows the secrets in all the forms that they could be written in.
func newScan(t testing.TB, secrets map[string]string) *scan {
	s := &scan{t: t, known: make(map[string]string)}
	for text, what := range secrets {
		if len(text) < 8 {
			continue
		}
		for form, said := range map[string]string{
			strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(text)), "="): what + " in base64",
			url.QueryEscape(text): what + " as in a URL", hex.EncodeToString([]byte(text)): what + " in hex",
		} {
			s.known[form] = said
		}
		if raw, err := base64.StdEncoding.DecodeString(text); err == nil && len(raw) >= 16 {
			s.known[hex.EncodeToString(raw)] = what + " decoded, in hex"
		}
		if quoted, err := json.Marshal(text); err == nil {
			s.known[strings.TrimSuffix(strings.TrimPrefix(string(quoted), `"`), `"`)] = what + " in JSON"
		}
		s.known[text] = what
	}
	return s
}

// text fails the test if a secret is in it.
func (s *scan) text(where, text string) {
	s.t.Helper()
	for _, found := range s.find(text) {
		s.t.Errorf("%s holds %s", where, found)
	}
}

// find returns the names of the secrets in a text.
func (s *scan) find(text string) (found []string) {
	for secret, what := range s.known {
		if i := strings.Index(text, secret); i >= 0 {
			found = append(found, what+": "+around(text, i, len(secret)))
		}
	}
	if at := secretForms.FindStringIndex(text); at != nil {
		found = append(found, "what looks like a secret: "+around(text, at[0], at[1]-at[0]))
	}
	return found
}

func around(text string, at, length int) string {
	return fmt.Sprintf("…%s<%d bytes>%s…", text[max(0, at-80):at], length, text[at+length:min(len(text), at+length+20)])
}

// tree scans the names and contents of all files below dir but those that except
// is true for.
func (s *scan) tree(dir string, except func(path string) bool) {
	s.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || except != nil && except(path) {
			return err
		}
		s.text("the name of "+path, path)
		if !d.Type().IsRegular() {
			return nil
		}
		if strings.HasPrefix(d.Name(), "core") {
			s.t.Errorf("%s: a core file?", path)
		}
		content, err := os.ReadFile(path)
		s.text(path, string(content))
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		s.t.Error(err)
	}
}

// A glance is the part of a running process that others can see.
type glance struct {
	texts map[string]bool // command lines and environments
	cores string          // the limit on core files when it was last seen
}

// glanceAt looks at a process again and again until stop is closed.
func glanceAt(pid int, stop <-chan struct{}) *glance {
	g := &glance{texts: make(map[string]bool)}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for began := false; ; began = true {
		for _, name := range []string{"cmdline", "environ"} {
			if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name)); err == nil && len(b) > 0 {
				g.texts[string(b)] = true
			}
		}
		// The first glances may be before the program has begun.
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid)); err == nil && began {
			g.cores = cmp.Or(coreLimit.FindString(string(b)), g.cores)
		}
		select {
		case <-stop:
			return g
		case <-tick.C:
		}
	}
}

var coreLimit = regexp.MustCompile(`(?m)^Max core file size .*$`)

// watched runs ztplan by way of do, and scans everything that it shows and leaves:
// output, journal and cache, temporary files, the plan's directory except the
// sinks, command line and environment.
func (w *world) watched(t testing.TB, dir string, sinks []string, secrets func() map[string]string, do func(started func(*os.Process)) *outcome) *outcome {
	t.Helper()
	stop, seen := make(chan struct{}), make(chan *glance, 1)
	o := do(func(p *os.Process) { go func() { seen <- glanceAt(p.Pid, stop) }() })
	close(stop)
	g := <-seen
	s := newScan(t, secrets())
	for text := range g.texts {
		s.text("the command line or environment", text)
	}
	if len(g.texts) == 0 && runtime.GOOS == "linux" {
		t.Error("nothing was seen of the process")
	}
	if g.cores != "" && !strings.Contains(g.cores, " 0 ") {
		t.Errorf("the process may leave a core file: %s", g.cores)
	}
	s.text("standard output", o.stdout)
	s.text("standard error", o.stderr)
	keep := func(path string) bool { return slices.Contains(sinks, path) }
	s.tree(w.home, keep)
	s.tree(dir, keep)
	s.tree(filepath.Join(w.dir, "runs"), nil)
	return o
}

// TestScan: the scan finds secrets in all their forms.
func TestScan(t *testing.T) {
	share := base64.StdEncoding.EncodeToString([]byte("32 bytes that are a key share ok"))
	s := newScan(t, map[string]string{"pass word/with+\"quotes\"": "the password", share: "a key share"})
	for text, want := range map[string]string{
		"it is pass word/with+\"quotes\" now":                                                  "the password: ",
		`{"x": "pass word/with+\"quotes\""}`:                                                   "the password in JSON",
		"https://x/?p=pass+word%2Fwith%2B%22quotes%22":                                         "the password as in a URL",
		"data: cGFzcyB3b3JkL3dpdGgrInF1b3RlcyI=":                                               "the password in base64",
		share:                                                                                  "a key share: ",
		hex.EncodeToString([]byte("32 bytes that are a key share ok")):                         "a key share decoded, in hex",
		"token hvs.CAESIJlUabcdefghijklmnopqrstuvwxyz":                                         "what looks like",
		"-----BEGIN EC PRIVATE KEY-----":                                                       "what looks like",
		"Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6.eyJhdWQiOlsidmF1bHQ6Ly8.x":                        "what looks like",
		"tls.key: " + base64.StdEncoding.EncodeToString([]byte("-----BEGIN PRIVATE KEY-----")): "what looks like",
	} {
		if got := s.find(text); len(got) == 0 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: found %q, want %q", text, got, want)
		}
	}
	if got := s.find("nothing (secret) -----BEGIN CERTIFICATE----- hvs.short"); len(got) > 0 {
		t.Errorf("found %q where nothing is", got)
	}
}
