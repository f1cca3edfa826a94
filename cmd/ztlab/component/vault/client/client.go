// Package client is the program "vault" of the lab's Vault container, for
// `kubectl exec`. It is a client of the HTTP API with the commands by
// which people set Vault up (see [commands]), and prints as Vault's own command
// line does, so that a guide's commands work as they are written.
//
// Vault's own command package is not used: it links a thousand packages more, of
// every secrets engine and login.
package client

//lint:file-ignore ST1005 The messages are those of Vault's own command line.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// Exit codes of Vault's command line.
const (
	exitFailed = 1 // bad usage
	exitServer = 2 // Vault refused; of status: Vault is sealed
)

// port is the container's port of the API.
const port = 8200

// A session is one run of the program.
type session struct {
	container.Exec
	flags  *flag.FlagSet
	format string
	field  string
}

// A command is a subcommand: its flags are defined on the session's set before
// run is called with the arguments that are left.
type command struct {
	usage string
	args  int // how many it takes, or anyNumber
	flags func(*session) func(ctx context.Context, args []string) error
}

// anyNumber is for a command that counts its arguments itself.
const anyNumber = -1

// Run runs one command line, without the program's name, and returns its exit code.
func Run(ctx context.Context, e container.Exec) int {
	s := &session{Exec: e, flags: flag.NewFlagSet("vault", flag.ContinueOnError)}
	s.flags.SetOutput(io.Discard)
	s.flags.StringVar(&s.format, "format", "table", "")
	s.flags.StringVar(&s.field, "field", "", "")
	err := s.run(ctx)
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintln(s.Stderr, err)
	var refused *refusal
	if errors.As(err, &refused) {
		return exitServer
	}
	return exitFailed
}

// An exitCode ends the program without a further message.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

func (s *session) run(ctx context.Context) error {
	all := commands()
	for _, words := range []int{2, 1} {
		if len(s.Args) < words {
			continue
		}
		c, ok := all[strings.Join(s.Args[:words], " ")]
		if !ok {
			continue
		}
		run := c.flags(s)
		if err := s.flags.Parse(s.Args[words:]); err != nil {
			return fmt.Errorf("%w\nUsage: vault %s", err, c.usage)
		}
		if s.format != "table" && s.format != "json" {
			return fmt.Errorf("-format=%s: the lab's client knows table and json", s.format)
		}
		if err := wants(s.flags.Args(), c.args); err != nil {
			return err
		}
		return run(ctx, s.flags.Args())
	}
	return fmt.Errorf("the lab's vault client has no command %q; it has: %s. For all else use the API, for example through kubectl port-forward",
		strings.Join(s.Args, " "), strings.Join(slices.Sorted(maps.Keys(all)), ", "))
}

// wants reports a usage error unless there are n arguments.
func wants(args []string, n int) error {
	switch {
	case n == anyNumber:
		return nil
	case len(args) < n:
		return fmt.Errorf("Not enough arguments (expected %d, got %d)", n, len(args))
	case len(args) > n:
		return fmt.Errorf("Too many arguments (expected %d, got %d)", n, len(args))
	}
	return nil
}

// A refusal is an answer of Vault's that is an error.
type refusal struct {
	method, url string
	status      int
	errors      []string
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("Error making API request.\n\nURL: %s %s\nCode: %d. Errors:\n", r.method, r.url, r.status)
	for _, e := range r.errors {
		text += "\n* " + e
	}
	return text
}

// call makes a request and returns the answer's body; nil when there is none.
func (s *session) call(ctx context.Context, method, path string, body any) ([]byte, error) {
	address, ok := s.Addresses[port]
	if !ok {
		return nil, errors.New("connection refused: Vault does not listen")
	}
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+shown(address)+"/v1/"+strings.Trim(path, "/"), content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Vault-Request", "true")
	if token := s.token(); token != "" {
		req.Header.Set("X-Vault-Token", token)
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return container.Dial(ctx, address) },
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() // it was read
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 400 {
		r := &refusal{method: method, url: req.URL.String(), status: resp.StatusCode}
		var said struct{ Errors []string }
		if json.Unmarshal(data, &said) == nil {
			r.errors = said.Errors
		}
		return nil, r
	}
	return data, nil
}

// shown is how a URL names an address: inside a container Vault has its own port.
func shown(address string) string {
	if strings.HasPrefix(address, container.Unix) {
		return fmt.Sprintf("127.0.0.1:%d", port)
	}
	return address
}

// secret makes a request whose answer has the usual form; nil when it has none.
func (s *session) secret(ctx context.Context, method, path string, body any) (*api.Secret, error) {
	data, err := s.call(ctx, method, path, body)
	if err != nil || len(data) == 0 {
		return nil, err
	}
	return api.ParseSecret(bytes.NewReader(data))
}

// get makes a request and decodes the answer.
func (s *session) get(ctx context.Context, method, path string, body, into any) error {
	data, err := s.call(ctx, method, path, body)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// tokenFile is where login keeps the token, as Vault's token helper does: it goes
// with the container.
func (s *session) tokenFile() string { return filepath.Join(s.Dir, ".vault-token") }

func (s *session) token() string {
	data, err := os.ReadFile(s.tokenFile())
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
