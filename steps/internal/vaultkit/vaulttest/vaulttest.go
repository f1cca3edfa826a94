// Package vaulttest gives the tests of steps a real Vault.
//
// The server is the lab's, alone: "ztlab vault --data DIR" runs it without a
// cluster until its standard input is closed, so that no server outlives its
// test, even one that is killed. Tests of events that a Vault has once
// ([Start]) have one of their own; the others share one ([Shared]) and keep
// apart by mounts of their own.
package vaulttest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/engine"
)

// binaryVariable names the ztlab binary; without it, bin/ztlab of the module
// that is tested.
const binaryVariable = "ZTPLAN_ZTLAB"

// A Server is a running Vault.
type Server struct {
	Address string // base URL
	Token   string // the root token; empty before it is initialised
	Shares  []string
	CAFile  string // of the authority of its certificate; empty without TLS

	dir   string
	args  []string         // flags of the command besides --data
	shown *tls.Certificate // client certificate of API
	cmd   *exec.Cmd
	stdin io.Closer
}

// ok ends the test with err, unless it is nil.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Start runs a Vault that was never initialised; it ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := start(binary(t), t.TempDir())
	ok(t, err)
	t.Cleanup(s.stop)
	return s
}

// StartTLS runs an initialised and unsealed Vault that serves TLS as one that somebody
// else runs; it ends with the test. With clients, it wants client certificates of that
// authority, and shown is the one that [Server.API] shows.
func StartTLS(t testing.TB, clients string, shown *tls.Certificate) *Server {
	t.Helper()
	args := []string{"--tls"}
	if clients != "" {
		args = append(args, "--client-ca", WriteFile(t, "clients.pem", clients).Path)
	}
	s, err := start(binary(t), t.TempDir(), args...)
	ok(t, err)
	t.Cleanup(s.stop)
	s.shown = shown
	ok(t, s.Init())
	return s
}

var (
	shared     *Server
	sharedErr  error
	sharedOnce sync.Once
)

// Shared returns an initialised and unsealed Vault that the tests of a package
// share. The package's TestMain must be [Main].
func Shared(t testing.TB) *Server {
	t.Helper()
	path := binary(t)
	sharedOnce.Do(func() {
		var dir string
		if dir, sharedErr = os.MkdirTemp("", "vaulttest"); sharedErr != nil {
			return
		}
		if shared, sharedErr = start(path, dir); sharedErr == nil {
			sharedErr = shared.Init()
		}
	})
	if sharedErr != nil {
		t.Fatal(sharedErr)
	}
	return shared
}

// Main runs the tests and ends the shared Vault.
func Main(m *testing.M) {
	code := m.Run()
	if shared != nil {
		shared.stop()
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// binary returns the path of ztlab. Under -short the test is skipped.
func binary(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a Vault server; skipped under -short")
	}
	if path := os.Getenv(binaryVariable); path != "" {
		return path
	}
	dir, err := os.Getwd()
	ok(t, err)
	for {
		if path := filepath.Join(dir, "bin", "ztlab"); fileExists(path) {
			return path
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("bin/ztlab is not built: run make build; -short skips the tests that need it")
		}
		dir = parent
	}
}

func fileExists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func start(path, dir string, args ...string) (*Server, error) {
	s := &Server{dir: dir, args: args, cmd: exec.Command(path, append([]string{"vault", "--data", dir}, args...)...)}
	var stderr strings.Builder
	s.cmd.Stderr = &stderr
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	s.stdin = stdin
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	var hello struct {
		Address string `json:"address"`
		CAFile  string `json:"caFile"`
	}
	if err == nil {
		err = json.Unmarshal([]byte(line), &hello)
	}
	if err != nil || hello.Address == "" {
		s.stop()
		return nil, fmt.Errorf("%s vault --data %s: no address (%v): %s", path, dir, err, stderr.String())
	}
	s.Address, s.CAFile = hello.Address, hello.CAFile
	return s, nil
}

// stop ends the server at once: its data survive that, as they must.
func (s *Server) stop() {
	_ = s.stdin.Close()
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// Restart ends the server and starts another on the same data: it is sealed, as
// after a restart of its pod, and has another address.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	// Closing its input lets it end by itself, so that nothing of it is left to
	// write to the data when the next one starts.
	_ = s.stdin.Close()
	_ = s.cmd.Wait()
	next, err := start(s.cmd.Path, s.dir, s.args...)
	ok(t, err)
	s.Address, s.cmd, s.stdin = next.Address, next.cmd, next.stdin
}

// Init initialises and unseals the server with one share.
func (s *Server) Init() error {
	c, err := s.API()
	if err != nil {
		return err
	}
	answer, err := c.Sys().Init(&api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	if err != nil {
		return err
	}
	s.Token, s.Shares = answer.RootToken, answer.Keys
	return s.Unseal()
}

// Unseal submits the shares that Init made.
func (s *Server) Unseal() error {
	c, err := s.API()
	if err != nil {
		return err
	}
	for _, share := range s.Shares {
		status, err := c.Sys().Unseal(share)
		if err != nil {
			return err
		}
		if !status.Sealed {
			return nil
		}
	}
	return errors.New("still sealed")
}

// GenerateRoot makes a root token with the shares, as their holders do together.
func (s *Server) GenerateRoot(t testing.TB) string {
	t.Helper()
	c := s.Client(t)
	begun, err := c.Sys().GenerateRootInit("", "")
	ok(t, err)
	for _, share := range s.Shares {
		status, err := c.Sys().GenerateRootUpdate(share, begun.Nonce)
		ok(t, err)
		if !status.Complete {
			continue
		}
		token, err := base64.RawStdEncoding.DecodeString(status.EncodedToken)
		if err != nil || len(token) != len(begun.OTP) {
			t.Fatalf("the token is not encoded with the password: %v", err)
		}
		for i := range token {
			token[i] ^= begun.OTP[i]
		}
		return string(token)
	}
	t.Fatal("the shares are too few")
	return ""
}

// API returns Vault's own client with the root token, for manual changes of tests.
func (s *Server) API() (*api.Client, error) {
	config := api.DefaultConfig()
	config.Address = s.Address
	if s.CAFile != "" {
		if err := config.ConfigureTLS(&api.TLSConfig{CACert: s.CAFile}); err != nil {
			return nil, err
		}
	}
	if s.shown != nil {
		config.HttpClient.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{*s.shown}
	}
	c, err := api.NewClient(config)
	if err != nil {
		return nil, err
	}
	c.SetToken(s.Token)
	return c, nil
}

// Client is API that fails the test on an error.
func (s *Server) Client(t testing.TB) *api.Client {
	t.Helper()
	c, err := s.API()
	ok(t, err)
	return c
}

// Mount returns the path of a mount for the test alone, which is unmounted when
// the test ends. Nothing is mounted there yet.
func (s *Server) Mount(t testing.TB, suffix string) string {
	t.Helper()
	path := "test" + strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(strings.TrimPrefix(t.Name(), "Test"))) + suffix
	t.Cleanup(func() {
		if c, err := s.API(); err == nil {
			_ = c.Sys().Unmount(path)
		}
	})
	return path
}

// Env returns an environment for a step of a plan named lab. The step's
// messages go to the test's log.
func Env(t testing.TB) *engine.Env {
	t.Helper()
	session := &engine.Session{}
	t.Cleanup(func() { _ = session.Close() })
	logf := func(prefix string) func(string, ...any) {
		return func(format string, args ...any) {
			t.Helper()
			t.Logf(prefix+format, args...)
		}
	}
	return &engine.Env{
		Plan: "lab", Step: "step", Dir: t.TempDir(), CacheDir: t.TempDir(),
		Session: session, Now: time.Now,
		Logf: logf("log: "), Statusf: logf("status: "), Warnf: logf("warning: "),
		Conceal: func(...engine.Secret) {},
	}
}
