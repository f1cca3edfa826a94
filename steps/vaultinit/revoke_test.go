package vaultinit_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/vaultinit"
)

// An end is the closing step of a Vault that has a login and whose key file
// holds the root token.
type end struct {
	vault   *vaulttest.Server
	proxy   *vaulttest.Proxy
	login   *vaulttest.Login
	kind    *engine.Kind
	env     *engine.Env
	file    string
	denials []evidence.Denial
}

func newEnd(t *testing.T) *end {
	t.Helper()
	e := &end{vault: vaulttest.Start(t), file: filepath.Join(t.TempDir(), "keys.json")}
	if err := e.vault.Init(); err != nil {
		t.Fatal(err)
	}
	e.hold(t)
	e.proxy = vaulttest.NewProxy(t, e.vault.Address)
	world := labtest.Env(t)
	e.login = e.vault.NewLogin(t, world)
	env := *world
	env.Session = new(engine.Session)
	env.Record = func(name string, data any) {
		if name == evidence.RecordDenial {
			e.denials = append(e.denials, data.(evidence.Denial))
		}
	}
	e.env = &env
	t.Cleanup(func() { _ = env.Session.Close() })
	spec := vaultinit.Kind.New().(*vaultinit.Spec)
	spec.RootToken = "revoke"
	input, kind := spec.Closing()
	if input != "rootToken" || kind == nil || kind.Name != "vaultInit" {
		t.Fatalf("closing step %q %v", input, kind)
	}
	e.kind = kind
	return e
}

// hold puts the root token and the shares into the key file.
func (e *end) hold(t *testing.T) {
	write(t, e.file, 0o600, `{"keys":["`+e.vault.Shares[0]+`"],"keys_base64":[],"root_token":"`+e.vault.Token+`"}`)
}

// spec returns the inputs of the closing step, whose type is the kind's own.
func (e *end) spec() any {
	s := e.kind.New()
	of := s.(interface{ Inputs() *vaultinit.Spec }).Inputs()
	of.Vault.Address, of.Vault.Login = e.proxy.Address, e.login.Spec
	of.Keys.File = engine.File{Name: "keys.json", Path: e.file}
	of.RootToken = "revoke"
	return s
}

func (e *end) inspect(t *testing.T) []engine.Edit {
	t.Helper()
	_, edits, err := e.kind.Inspect(t.Context(), e.spec(), e.env)
	if err != nil {
		t.Fatal(err)
	}
	return edits
}

// dead reports whether Vault refuses the root token.
func (e *end) dead(t *testing.T) bool {
	t.Helper()
	_, err := e.vault.Client(t).Auth().Token().LookupSelf()
	if err != nil && !strings.Contains(err.Error(), "403") {
		t.Fatal(err)
	}
	return err != nil
}

// held returns the root token in the key file.
func (e *end) held(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(e.file)
	if err != nil {
		t.Fatal(err)
	}
	a, err := unsealkeys.Decode(text)
	if err != nil || len(a.Shares) != 1 || a.Shares[0].Reveal() != e.vault.Shares[0] {
		t.Fatalf("the shares are not whole: %v", err)
	}
	return a.RootToken.Reveal()
}

var both = []string{
	"auth/token/root: works, with the policies root -> revoked",
	"keys/file keys.json/root_token: (secret) -> <nil>",
}

func TestRevocationContract(t *testing.T) {
	e := newEnd(t)
	e.login.MakeAll()
	token := e.vault.Token
	enginetest.Run(t, enginetest.Case{
		Kind: e.kind, Env: e.env, Spec: e.spec, Writes: e.proxy.Writes, Secrets: []string{token, e.vault.Shares[0]},
	})
	if !e.dead(t) || e.held(t) != "" {
		t.Errorf("dead: %v, held: %v", e.dead(t), e.held(t) != "")
	}
}

// It ends the token, proves it, and takes it away, in this order; wherever a run
// is cut off, the next one goes on.
func TestRevokes(t *testing.T) {
	e := newEnd(t)
	e.login.MakeAll()
	edits := e.inspect(t)
	if diff := cmp.Diff(both, vaulttest.Show(edits)); diff != "" {
		t.Fatal(diff)
	}
	at := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	e.env.Now = func() time.Time { return at } // the run's clock, not this machine's
	if err := edits[0].Apply(engine.AllowWrites(t.Context())); err != nil {
		t.Fatal(err)
	}
	if !e.dead(t) || e.held(t) == "" {
		t.Errorf("dead: %v, held: %v", e.dead(t), e.held(t) != "")
	}
	if len(e.denials) != 1 || !e.denials[0].At.Equal(at) || !e.denials[0].Refused || e.denials[0].Answer != "403 permission denied" {
		t.Errorf("on record: %+v", e.denials)
	}
	// Cut off here: the next run only takes it away.
	edits = e.inspect(t)
	if diff := cmp.Diff(both[1:], vaulttest.Show(edits)); diff != "" {
		t.Fatal(diff)
	}
	if err := vaulttest.ApplyAll(t, edits); err != nil {
		t.Fatal(err)
	}
	if e.held(t) != "" || len(e.denials) != 2 {
		t.Errorf("held: %v, on record: %+v", e.held(t) != "", e.denials)
	}
	before := len(e.proxy.Requests())
	if edits := e.inspect(t); len(edits) > 0 {
		t.Errorf("still differs: %v", vaulttest.Show(edits))
	}
	if n := len(e.proxy.Requests()); n != before {
		t.Errorf("with nothing to revoke, vault was asked %d times", n-before)
	}
}

// The answer to the revocation is lost: whether it took effect is asked.
func TestRevocationAnswerLost(t *testing.T) {
	e := newEnd(t)
	e.login.MakeAll()
	e.proxy.LoseAnswer(func(r vaulttest.Request) bool { return r.Path == "auth/token/revoke-self" })
	if err := vaulttest.ApplyAll(t, e.inspect(t)); err != nil {
		t.Fatal(err)
	}
	if !e.dead(t) || e.held(t) != "" {
		t.Errorf("dead: %v, held: %v", e.dead(t), e.held(t) != "")
	}
}

// The token that Vault gave in this run is ended, too, when no sink shows it.
func TestRevokesWhatNoSinkShows(t *testing.T) {
	e := newEnd(t)
	fresh := vaulttest.Start(t)
	e.vault, e.file = fresh, filepath.Join(t.TempDir(), "keys.json")
	e.proxy = vaulttest.NewProxy(t, fresh.Address)
	init := newSpec(e.proxy.Address, e.file)
	init.Shares, init.Threshold = 1, 1
	_, edits, err := init.Inspect(t.Context(), e.env)
	if err == nil {
		err = vaulttest.ApplyAll(t, edits)
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(e.file)
	if err != nil {
		t.Fatal(err)
	}
	a, err := unsealkeys.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	fresh.Token, fresh.Shares = a.RootToken.Reveal(), []string{a.Shares[0].Reveal()}
	if err := fresh.Unseal(); err != nil {
		t.Fatal(err)
	}
	write(t, e.file, 0o600, strings.Replace(string(text), fresh.Token, "", 1))
	e.login = fresh.NewLogin(t, labtest.Env(t))
	e.login.MakeAll()
	if diff := cmp.Diff(both[:1], vaulttest.Show(e.inspect(t))); diff != "" {
		t.Fatal(diff)
	}
	if err := vaulttest.ApplyAll(t, e.inspect(t)); err != nil {
		t.Fatal(err)
	}
	if edits := e.inspect(t); !e.dead(t) || len(edits) > 0 {
		t.Errorf("dead: %v, still differs: %v", e.dead(t), vaulttest.Show(edits))
	}
}

// No operator is locked out: without a login that can take its place, the token stays.
func TestKeepsTheTokenThatNothingReplaces(t *testing.T) {
	e := newEnd(t)
	refused := func(name, want string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			err := vaulttest.ApplyAll(t, e.inspect(t))
			if err == nil || !strings.Contains(err.Error(), "nothing could take its place") || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v, want %q", err, want)
			}
			if !strings.Contains(engine.HintOf(err), "rootToken: keep") {
				t.Errorf("hint is %q", engine.HintOf(err))
			}
			if e.dead(t) || e.held(t) != e.vault.Token {
				t.Errorf("dead: %v, held: %v", e.dead(t), e.held(t) != "")
			}
		})
	}
	refused("no account", "does not exist")
	e.login.MakeAccount()
	e.login.MakeMethod()
	refused("no role", "invalid role name")
	e.login.MakeRole("batch", 300)
	e.vault.Do(t, "DELETE", "sys/policies/acl/"+e.login.Mount, "")
	refused("no policy", "which does not exist")
	e.vault.DoJSON(t, "POST", "auth/"+e.login.Mount+"/role/admin", map[string]any{"token_policies": ""})
	refused("no policies", "without policies")
}

// A revocation that does not happen takes nothing away.
func TestRevocationRefused(t *testing.T) {
	e := newEnd(t)
	e.login.MakeAll()
	e.proxy.Answer(500, `{"errors":["no"]}`, func(r vaulttest.Request) bool { return r.Path == "auth/token/revoke-self" })
	err := vaulttest.ApplyAll(t, e.inspect(t))
	if err == nil || errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "the token still works") {
		t.Errorf("error is %v", err)
	}
	if e.dead(t) || e.held(t) != e.vault.Token {
		t.Errorf("dead: %v, held: %v", e.dead(t), e.held(t) != "")
	}
}

// An old copy of the key file holds a dead token, and one that was made with the
// shares lives until the end of the next run.
func TestRevokesAgain(t *testing.T) {
	e := newEnd(t)
	e.login.MakeAll()
	first := e.vault.Token
	if err := vaulttest.ApplyAll(t, e.inspect(t)); err != nil {
		t.Fatal(err)
	}
	e.hold(t) // an old copy of the key file
	if diff := cmp.Diff(both[1:], vaulttest.Show(e.inspect(t))); diff != "" {
		t.Error(diff)
	}
	e.vault.Token = e.vault.GenerateRoot(t)
	e.hold(t)
	if diff := cmp.Diff(both, vaulttest.Show(e.inspect(t))); diff != "" {
		t.Error(diff)
	}
	if err := vaulttest.ApplyAll(t, e.inspect(t)); err != nil {
		t.Fatal(err)
	}
	if !e.dead(t) || e.held(t) != "" || first == e.vault.Token {
		t.Errorf("dead: %v, held: %v", e.dead(t), e.held(t) != "")
	}
}

func TestValidateRevoke(t *testing.T) {
	s := newSpec("http://127.0.0.1:1", "keys.json")
	s.RootToken = "revoke"
	p := &engine.Problems{}
	s.Validate(p)
	if len(p.List()) != 1 || p.List()[0].Field != "rootToken" || !strings.Contains(p.List()[0].Hint, "connections.vault.login") {
		t.Errorf("problems: %v", p.List())
	}
	if input, kind := newSpec("http://127.0.0.1:1", "keys.json").Closing(); input != "rootToken" || kind != nil {
		t.Errorf("by default there is a closing step: %v", kind)
	}
}
