package client

//lint:file-ignore ST1005 The messages are those of Vault's own command line.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	kvbuilder "github.com/hashicorp/go-secure-stdlib/kv-builder"
	"github.com/hashicorp/vault/api"
)

// commands are the program's, by their words.
func commands() map[string]command {
	return map[string]command{
		"status":          {"status", 0, plain((*session).status)},
		"operator init":   {"operator init [-key-shares=5] [-key-threshold=3]", 0, operatorInit},
		"operator unseal": {"operator unseal [KEY]", anyNumber, plain((*session).unseal)},
		"operator seal":   {"operator seal", 0, plain((*session).seal)},
		"login":           {"login [TOKEN]", anyNumber, plain((*session).login)},
		"read":            {"read PATH", 1, plain((*session).read)},
		"list":            {"list PATH", 1, plain((*session).list)},
		"write":           {"write [-force] PATH [K=V...]", anyNumber, write},
		"delete":          {"delete PATH", 1, plain((*session).remove)},
		"secrets list":    {"secrets list", 0, mounts("sys/mounts")},
		"secrets enable":  {"secrets enable [-path=PATH] [-description=TEXT] [-max-lease-ttl=TTL] TYPE", 1, enable("sys/mounts/", "%s secrets engine")},
		"secrets tune":    {"secrets tune [-max-lease-ttl=TTL] [-default-lease-ttl=TTL] PATH", 1, tune},
		"secrets disable": {"secrets disable PATH", 1, disable("sys/mounts/", "secrets engine")},
		"auth list":       {"auth list", 0, mounts("sys/auth")},
		"auth enable":     {"auth enable [-path=PATH] [-description=TEXT] TYPE", 1, enable("sys/auth/", "%s auth method")},
		"auth disable":    {"auth disable PATH", 1, disable("sys/auth/", "auth method")},
		"policy list":     {"policy list", 0, plain((*session).policies)},
		"policy read":     {"policy read NAME", 1, plain((*session).policy)},
		"policy write":    {"policy write NAME -|FILE", 2, plain((*session).writePolicy)},
	}
}

// plain is a command without flags of its own.
func plain(run func(*session, context.Context, []string) error) func(*session) func(context.Context, []string) error {
	return func(s *session) func(context.Context, []string) error {
		return func(ctx context.Context, args []string) error { return run(s, ctx, args) }
	}
}

func (s *session) status(ctx context.Context, args []string) error {
	var status api.SealStatusResponse
	if err := s.get(ctx, http.MethodGet, "sys/seal-status", nil, &status); err != nil {
		return fmt.Errorf("Error checking seal status: %w", err)
	}
	if err := s.printStatus(status); err != nil {
		return err
	}
	if status.Sealed {
		return exitCode(exitServer)
	}
	return nil
}

func operatorInit(s *session) func(context.Context, []string) error {
	shares := s.flags.Int("key-shares", 5, "")
	threshold := s.flags.Int("key-threshold", 3, "")
	return func(ctx context.Context, args []string) error {
		var keys api.InitResponse
		request := map[string]any{"secret_shares": *shares, "secret_threshold": *threshold}
		if err := s.get(ctx, http.MethodPut, "sys/init", request, &keys); err != nil {
			return fmt.Errorf("Error initializing: %w", err)
		}
		return s.printKeys(keys, *shares, *threshold)
	}
}

func (s *session) unseal(ctx context.Context, args []string) error {
	key, err := s.argument(args, "Unseal Key (will be hidden): ")
	if err != nil {
		return err
	}
	var status api.SealStatusResponse
	if err := s.get(ctx, http.MethodPut, "sys/unseal", map[string]any{"key": key}, &status); err != nil {
		return fmt.Errorf("Error unsealing: %w", err)
	}
	return s.printStatus(status)
}

func (s *session) seal(ctx context.Context, args []string) error {
	if _, err := s.call(ctx, http.MethodPut, "sys/seal", nil); err != nil {
		return fmt.Errorf("Error sealing: %w", err)
	}
	fmt.Fprintln(s.Stdout, "Success! Vault is sealed.")
	return nil
}

func (s *session) login(ctx context.Context, args []string) error {
	token, err := s.argument(args, "Token (will be hidden): ")
	if err != nil {
		return err
	}
	before := s.token()
	if err := os.WriteFile(s.tokenFile(), []byte(token), 0o600); err != nil {
		return err
	}
	self, err := s.secret(ctx, http.MethodGet, "auth/token/lookup-self", nil)
	if err != nil {
		return errors.Join(fmt.Errorf("Error authenticating: %w", err), os.WriteFile(s.tokenFile(), []byte(before), 0o600))
	}
	if s.format == "table" {
		fmt.Fprint(s.Stdout, "Success! You are now authenticated. The token information displayed below\n"+
			"is already stored in the token helper. You do NOT need to run \"vault login\"\n"+
			"again. Future Vault requests will automatically use this token.\n\n")
	}
	return s.printToken(token, self)
}

func (s *session) read(ctx context.Context, args []string) error {
	secret, err := s.found(ctx, http.MethodGet, "reading", args)
	if err != nil {
		return err
	}
	return s.printSecret(secret)
}

func (s *session) list(ctx context.Context, args []string) error {
	secret, err := s.found(ctx, "LIST", "listing", args)
	if err != nil {
		return err
	}
	keys, _ := secret.Data["keys"].([]any)
	return s.printList(keys)
}

// found reads the one path in args.
func (s *session) found(ctx context.Context, method, doing string, args []string) (*api.Secret, error) {
	secret, err := s.secret(ctx, method, args[0], nil)
	var refused *refusal
	switch {
	case errors.As(err, &refused) && refused.status == http.StatusNotFound && len(refused.errors) == 0, err == nil && secret == nil:
		fmt.Fprintf(s.Stderr, "No value found at %s\n", args[0])
		return nil, exitCode(exitServer)
	case err != nil:
		return nil, fmt.Errorf("Error %s %s: %w", doing, args[0], err)
	}
	return secret, nil
}

func write(s *session) func(context.Context, []string) error {
	force := s.flags.Bool("force", false, "")
	s.flags.BoolVar(force, "f", false, "")
	return func(ctx context.Context, args []string) error {
		if len(args) < 1 {
			return wants(args, 1)
		}
		if len(args) == 1 && !*force {
			return errors.New("Must supply data or use -force")
		}
		data, err := s.hostFiles(args[1:])
		if err != nil {
			return fmt.Errorf("Failed to parse K=V data: %w", err)
		}
		builder := &kvbuilder.Builder{Stdin: s.Stdin}
		if err := builder.Add(data...); err != nil {
			return fmt.Errorf("Failed to parse K=V data: %w", err)
		}
		secret, err := s.secret(ctx, http.MethodPut, args[0], builder.Map())
		if err != nil {
			return fmt.Errorf("Error writing data to %s: %w", args[0], err)
		}
		if secret == nil {
			if s.format == "table" {
				fmt.Fprintf(s.Stdout, "Success! Data written to: %s\n", args[0])
			}
			return nil
		}
		return s.printSecret(secret)
	}
}

func (s *session) remove(ctx context.Context, args []string) error {
	if _, err := s.call(ctx, http.MethodDelete, args[0], nil); err != nil {
		return fmt.Errorf("Error deleting %s: %w", args[0], err)
	}
	fmt.Fprintf(s.Stdout, "Success! Data deleted (if it existed) at: %s\n", args[0])
	return nil
}

// mounts lists the mounts below a path.
func mounts(path string) func(*session) func(context.Context, []string) error {
	return plain(func(s *session, ctx context.Context, args []string) error {
		var answer struct {
			Data map[string]*api.MountOutput `json:"data"`
		}
		if err := s.get(ctx, http.MethodGet, path, nil, &answer); err != nil {
			return fmt.Errorf("Error listing: %w", err)
		}
		return s.printMounts(answer.Data)
	})
}

// enable mounts a type; thing is its name in the message.
func enable(prefix, thing string) func(*session) func(context.Context, []string) error {
	return func(s *session) func(context.Context, []string) error {
		path := s.flags.String("path", "", "")
		description := s.flags.String("description", "", "")
		most := s.flags.String("max-lease-ttl", "", "")
		usual := s.flags.String("default-lease-ttl", "", "")
		return func(ctx context.Context, args []string) error {
			at := *path
			if at == "" {
				at = args[0]
			}
			at = strings.TrimSuffix(at, "/") + "/"
			body := map[string]any{"type": args[0], "description": *description, "config": ttls(*most, *usual)}
			if _, err := s.call(ctx, http.MethodPost, prefix+at, body); err != nil {
				return fmt.Errorf("Error enabling: %w", err)
			}
			what := "the " + fmt.Sprintf(thing, args[0])
			if strings.HasPrefix(prefix, "sys/auth") {
				what = fmt.Sprintf(thing, args[0])
			}
			fmt.Fprintf(s.Stdout, "Success! Enabled %s at: %s\n", what, at)
			return nil
		}
	}
}

func tune(s *session) func(context.Context, []string) error {
	most := s.flags.String("max-lease-ttl", "", "")
	usual := s.flags.String("default-lease-ttl", "", "")
	return func(ctx context.Context, args []string) error {
		path := strings.TrimSuffix(args[0], "/") + "/"
		if _, err := s.call(ctx, http.MethodPost, "sys/mounts/"+path+"tune", ttls(*most, *usual)); err != nil {
			return fmt.Errorf("Error tuning secrets engine %s: %w", path, err)
		}
		fmt.Fprintf(s.Stdout, "Success! Tuned the secrets engine at: %s\n", path)
		return nil
	}
}

func ttls(most, usual string) map[string]any {
	config := map[string]any{}
	if most != "" {
		config["max_lease_ttl"] = most
	}
	if usual != "" {
		config["default_lease_ttl"] = usual
	}
	return config
}

func disable(prefix, thing string) func(*session) func(context.Context, []string) error {
	return plain(func(s *session, ctx context.Context, args []string) error {
		path := strings.TrimSuffix(args[0], "/") + "/"
		if _, err := s.call(ctx, http.MethodDelete, prefix+path, nil); err != nil {
			return fmt.Errorf("Error disabling %s: %w", path, err)
		}
		fmt.Fprintf(s.Stdout, "Success! Disabled the %s (if it existed) at: %s\n", thing, path)
		return nil
	})
}

func (s *session) policies(ctx context.Context, args []string) error {
	secret, err := s.secret(ctx, http.MethodGet, "sys/policy", nil)
	if err != nil {
		return fmt.Errorf("Error listing policies: %w", err)
	}
	names, _ := secret.Data["policies"].([]any)
	if s.format == "json" {
		return s.printJSON(names)
	}
	for _, name := range names {
		fmt.Fprintln(s.Stdout, name)
	}
	return nil
}

func (s *session) policy(ctx context.Context, args []string) error {
	secret, err := s.secret(ctx, http.MethodGet, "sys/policies/acl/"+args[0], nil)
	if err != nil {
		return fmt.Errorf("Error reading policy named %s: %w", args[0], err)
	}
	fmt.Fprintln(s.Stdout, strings.TrimSpace(fmt.Sprint(secret.Data["policy"])))
	return nil
}

func (s *session) writePolicy(ctx context.Context, args []string) error {
	text, err := s.content(args[1])
	if err != nil {
		return fmt.Errorf("Error opening policy file: %w", err)
	}
	if _, err := s.call(ctx, http.MethodPut, "sys/policies/acl/"+args[0], map[string]any{"policy": text}); err != nil {
		return fmt.Errorf("Error uploading policy: %w", err)
	}
	fmt.Fprintf(s.Stdout, "Success! Uploaded policy: %s\n", strings.ToLower(args[0]))
	return nil
}

// argument returns the one argument, or asks for it. "-" reads standard input.
func (s *session) argument(args []string, prompt string) (string, error) {
	switch {
	case len(args) > 1:
		return "", wants(args, 1)
	case len(args) == 1 && args[0] == "-":
		text, err := s.content("-")
		return strings.TrimSpace(text), err
	case len(args) == 1:
		return args[0], nil
	case !s.TTY:
		return "", errors.New("file descriptor 0 is not a terminal: give kubectl exec the flags -it, or the value as an argument")
	}
	fmt.Fprint(s.Stdout, prompt)
	line, err := s.hidden()
	fmt.Fprintln(s.Stdout)
	return strings.TrimSpace(line), err
}

// sortedKeys are the keys of an answer, in the order in which they are printed.
func sortedKeys(data map[string]any) []string {
	keys := make([]string, 0, len(data))
	for k := range data {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
