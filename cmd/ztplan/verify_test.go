package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/report"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/evidencetest"
)

// A signed is a report's folder and the files of the key that signs it.
type signed struct{ dir, private, public string }

func newSigned(t *testing.T, d *evidence.Document) signed {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := signed{filepath.Join(dir, "report"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "key.pub")}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s.private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	put(t, s.public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}))
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.write(t, d)
	return s
}

// write writes the report of d with its signature.
func (s signed) write(t *testing.T, d *evidence.Document) {
	t.Helper()
	data, err := report.Write(s.dir, d)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(s.private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := attest.ParsePrivate(s.private, pem)
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := attest.Sign(t.Context(), d, data, key)
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(s.dir, attest.FileName), envelope)
}

func put(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func ztplan(args ...string) (code int, out string) {
	var b bytes.Buffer
	code = execute(args, strings.NewReader(""), &b, &b)
	return code, b.String()
}

// Evidence that was changed with care and sealed anew holds by itself; the result
// shows that it is unsigned, to people and to programs.
func TestUnsignedIsInTheResult(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "evidence.json")
	data, err := evidencetest.Document(t, "passed").Encode()
	if err != nil {
		t.Fatal(err)
	}
	put(t, file, data)
	code, out := ztplan("verify", file)
	if code != cli.OK || !strings.Contains(out, "\nthe evidence holds, UNSIGNED: plan ") {
		t.Errorf("exit status %d\n%s", code, out)
	}
	code, out = ztplan("verify", file, "-o", "json")
	if code != cli.OK || !strings.HasPrefix(out, `{"holds":true,"signed":false,`) {
		t.Errorf("exit status %d\n%s", code, out)
	}
	for _, args := range [][]string{{"--key", ""}, {"--require-signed"}} {
		if code, out := ztplan(append([]string{"verify", file}, args...)...); code != cli.Invalid {
			t.Errorf("%v: exit status %d\n%s", args, code, out)
		}
	}
}

// A plan with very many problems prints the first and counts the rest.
func TestProblemsAreCapped(t *testing.T) {
	var b strings.Builder
	b.WriteString("apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: p}\nsteps:\n")
	for i := range 2000 {
		fmt.Fprintf(&b, "  - {id: s%d, uses: nothing, with: {}}\n", i)
	}
	file := filepath.Join(t.TempDir(), "plan.yaml")
	put(t, file, []byte(b.String()))
	for _, form := range []string{"text", "json", "github"} {
		code, out := ztplan("validate", file, "-o", form)
		if code != cli.Invalid || len(out) > 100_000 || !strings.Contains(out, "more, which are not shown") {
			t.Errorf("%s: exit status %d, %d bytes\n%.2000s", form, code, len(out), out)
		}
	}
}

// as makes the running program a version for the length of a test.
func as(t *testing.T, v string) {
	before := version
	version = v
	t.Cleanup(func() { version = before })
}

// Whatever part of a signed report's folder is changed, taken away or added is
// found, with the key and, for the pages, without.
func TestVerifyFolder(t *testing.T) {
	as(t, "v0.1.0") // which made the evidence of the tests
	s := newSigned(t, evidencetest.Document(t, "passed"))
	if code, out := ztplan("verify", s.dir, "--key", s.public); code != cli.OK || !strings.Contains(out, "✓ pages         3 pages as the evidence renders") {
		t.Fatalf("exit status %d\n%s", code, out)
	}
	for _, name := range []string{"evidence.json", "report.html", "junit.xml", "summary.md", attest.FileName} {
		file := filepath.Join(s.dir, name)
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		keyless := name != attest.FileName // an envelope that is gone or signed anew needs the key
		for i := 0; i < len(good); i += len(good)/20 + 1 {
			bad := bytes.Clone(good)
			bad[i] ^= 1
			put(t, file, bad)
			if code, out := ztplan("verify", s.dir, "--key", s.public); code != cli.Failed {
				t.Errorf("%s, byte %d: exit status %d\n%s", name, i, code, out)
			}
			if code, out := ztplan("verify", s.dir); keyless && code != cli.Failed {
				t.Errorf("%s, byte %d, without a key: exit status %d\n%s", name, i, code, out)
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if code, out := ztplan("verify", s.dir, "--key", s.public); code != cli.Failed {
			t.Errorf("%s is gone: exit status %d\n%s", name, code, out)
		}
		put(t, file, good)
	}
	pages, err := report.Pages(evidencetest.Document(t, "failed"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages { // of another run
		file := filepath.Join(s.dir, p.Name)
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		put(t, file, p.Data)
		if code, out := ztplan("verify", s.dir); code != cli.Failed || !strings.Contains(out, p.Name+" is not what the evidence renders to") {
			t.Errorf("%s of another run: exit status %d\n%s", p.Name, code, out)
		}
		put(t, file, good)
	}
	put(t, filepath.Join(s.dir, "other.html"), []byte("x"))
	if code, out := ztplan("verify", s.dir); code != cli.Failed || !strings.Contains(out, "other.html does not belong to the report") {
		t.Errorf("a file more: exit status %d\n%s", code, out)
	}
}

// A report that is forged with care, digests and pages included, is found by the
// signature; without one, verify reports that it is unsigned and shows no tick.
func TestVerifyResealed(t *testing.T) {
	as(t, "v0.1.0")
	s := newSigned(t, evidencetest.Document(t, "passed"))
	forged := evidencetest.Document(t, "passed")
	forged.Plan.Name = "another"
	if err := forged.Seal(); err != nil {
		t.Fatal(err)
	}
	if _, err := report.Write(s.dir, forged); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", s.dir}, {"verify", s.dir, "--key", s.public}} {
		if code, out := ztplan(args...); code != cli.Failed || !strings.Contains(out, "✗ signature") {
			t.Errorf("%v: exit status %d\n%s", args, code, out)
		}
	}
	if err := os.Remove(filepath.Join(s.dir, attest.FileName)); err != nil {
		t.Fatal(err)
	}
	code, out := ztplan("verify", s.dir)
	if code != cli.OK || !strings.Contains(out, "- signature     unsigned") || strings.Contains(out, "✓ signature") || !strings.Contains(out, "remark: unsigned") {
		t.Errorf("without a signature: exit status %d\n%s", code, out)
	}
	if code, out := ztplan("verify", s.dir, "--key", s.public); code != cli.Failed || !strings.Contains(out, "unsigned: there is no") {
		t.Errorf("with a key: exit status %d\n%s", code, out)
	}
}

// Pages that another version made are checked by the digests on record.
func TestVerifyOtherVersion(t *testing.T) {
	as(t, "v0.2.0")
	s := newSigned(t, evidencetest.Document(t, "passed"))
	page := filepath.Join(s.dir, "report.html")
	old := []byte("as an older version renders it\n")
	put(t, page, old)
	if code, out := ztplan("verify", s.dir); code != cli.Failed || !strings.Contains(out, "report.html does not have the digest on record") {
		t.Errorf("an edited page: exit status %d\n%s", code, out)
	}
	d := evidencetest.Document(t, "passed")
	if _, err := report.Write(s.dir, d); err != nil {
		t.Fatal(err)
	}
	d.Pages[0].Digest = evidence.Digest(old)
	if err := d.Seal(); err != nil {
		t.Fatal(err)
	}
	data, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(s.dir, "evidence.json"), data)
	put(t, page, old)
	if err := os.Remove(filepath.Join(s.dir, attest.FileName)); err != nil {
		t.Fatal(err)
	}
	if code, out := ztplan("verify", s.dir); code != cli.OK || !strings.Contains(out, "2 of 3 pages as the evidence renders, 1 by digest: ztplan v0.1.0 made it, this one is v0.2.0") {
		t.Errorf("exit status %d\n%s", code, out)
	}
	as(t, "v0.1.0")
	if code, out := ztplan("verify", s.dir); code != cli.Failed {
		t.Errorf("the version that made it renders it otherwise: exit status %d\n%s", code, out)
	}
	if code, out := ztplan("verify", filepath.Join(s.dir, "evidence.json")); code != cli.Failed || !strings.Contains(out, "report.html: the digest on record") {
		t.Errorf("without the folder: exit status %d\n%s", code, out)
	}
}

// The pages can be made again from the evidence alone, byte for byte.
func TestReportAgain(t *testing.T) {
	s := newSigned(t, evidencetest.Document(t, "rollover"))
	again := filepath.Join(t.TempDir(), "again")
	if code, out := ztplan("report", filepath.Join(s.dir, "evidence.json"), "-o", again); code != cli.OK {
		t.Fatalf("exit status %d\n%s", code, out)
	}
	for _, name := range []string{"evidence.json", "report.html", "junit.xml", "summary.md", attest.FileName} {
		want, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(again, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is another, %v", name, err)
		}
	}
	if code, out := ztplan("verify", again, "--key", s.public); code != cli.OK {
		t.Errorf("exit status %d\n%s", code, out)
	}
	file := filepath.Join(s.dir, "evidence.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	put(t, file, bytes.Replace(data, []byte(`"result": "proved"`), []byte(`"result": "failed"`), 1))
	if code, out := ztplan("report", file, "-o", again); code != cli.Failed || !strings.Contains(out, "nothing is shown") {
		t.Errorf("edited evidence: exit status %d\n%s", code, out)
	}
	if code, _ := ztplan("report", file); code != cli.Invalid {
		t.Errorf("without a folder: exit status %d", code)
	}
}

// The machine's form has the facts of the run, and null for checks that were not
// made.
func TestVerifyJSON(t *testing.T) {
	s := newSigned(t, evidencetest.Document(t, "passed"))
	code, out := ztplan("verify", s.dir, "-o", "json", "--require-proved", "--max-age", "1h")
	var got struct {
		Holds                                  bool
		Plan, Mode, Outcome, Signature, Result string
		Ended                                  time.Time
		Remarks                                []string
		Checks                                 []struct {
			Name     string
			Holds    *bool
			Problems []string
		}
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if code != cli.Failed || got.Holds || got.Plan != "demo" || got.Mode != "apply" || got.Result != string(engine.ResultProved) || got.Outcome != "proved" ||
		got.Signature != "not checked" || got.Ended.IsZero() || len(got.Remarks) != 2 {
		t.Errorf("exit status %d, %+v", code, got)
	}
	for _, c := range got.Checks {
		switch {
		case c.Name == "signature" && c.Holds != nil:
			t.Errorf("the signature was not checked and holds: %v", *c.Holds)
		case c.Name == "demands" && (c.Holds == nil || *c.Holds || !strings.Contains(c.Problems[0], "ago")):
			t.Errorf("demands: %+v", c)
		}
	}
}
