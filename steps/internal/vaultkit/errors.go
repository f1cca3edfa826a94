package vaultkit

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/hints"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Errors that callers may ask for with errors.Is.
var (
	ErrSealed         = errors.New("vault is sealed")
	ErrNotInitialized = errors.New("vault is not initialised")
)

// An Error is a refusal by Vault.
type Error struct {
	Verb      string // read, write, patch or delete
	Path      string // below /v1/
	Namespace string // of Vault; empty for the root
	Status    int    // HTTP status
	Messages  []string
}

// Error quotes Vault's messages on one line.
func (e *Error) Error() string {
	text := strings.Join(e.Messages, "; ")
	if text == "" {
		text = http.StatusText(e.Status)
	}
	where := ""
	if e.Namespace != "" {
		where = " in namespace " + e.Namespace
	}
	return fmt.Sprintf("%s %s%s: vault answered %d: %s", e.Verb, e.Path, where, e.Status, text)
}

// Contains reports whether one of Vault's messages contains text.
func (e *Error) Contains(text string) bool {
	return slices.ContainsFunc(e.Messages, func(m string) bool { return strings.Contains(m, text) })
}

// Refused reports whether err is a refusal by Vault that contains text.
func Refused(err error, text string) bool {
	var e *Error
	return errors.As(err, &e) && e.Contains(text)
}

// StatusOf returns the HTTP status of a refusal by Vault, 0 for another error.
func StatusOf(err error) int {
	var e *Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Status
}

// Refusal returns a permanent error with a hint.
func Refusal(hint, format string, args ...any) error {
	return engine.WithHint(engine.Permanent(fmt.Errorf(format, args...)), hint)
}

// Regenerate is the hint how to make a root token after it was revoked
// (developer.hashicorp.com/vault/docs/troubleshoot/generate-root-token).
const Regenerate = "make one with the key shares (vault operator generate-root -init, then vault operator generate-root once for each share, " +
	"then vault operator generate-root -decode), put it into the key file as root_token and run again: with rootToken: revoke it is revoked at the end; " +
	"or give it as connections.vault.token and revoke it yourself. Vault 2 and OpenBao 2.5 answer 403 to generate-root without a token: " +
	"log in with one that may update sys/generate-root/*, or allow it for that time (enable_unauthenticated_access; see the README, \"When a root token is needed again\")"

// explain adds request, reason and a hint to an error of a request, and makes it
// permanent when another try cannot help.
func (c *Client) explain(ctx context.Context, verb, path string, err error) error {
	if errors.Is(err, ErrReadOnly) || context.Cause(ctx) != nil {
		return err
	}
	var re *api.ResponseError
	if !errors.As(err, &re) {
		return c.explainNetwork(ctx, verb, path, err)
	}
	e := &Error{Verb: verb, Path: path, Status: re.StatusCode, Messages: oneLine(re.Errors)}
	if !rootOnly[path] {
		e.Namespace = c.namespace
	}
	if re.StatusCode == http.StatusServiceUnavailable && e.Contains("Vault is sealed") {
		return c.explainSealed(ctx, e)
	}
	hint := hintFor(e.Error())
	switch {
	case re.StatusCode == http.StatusUnauthorized && hint == "":
		hint = "Vault itself never answers that: something in front of it wants credentials that ztplan does not have"
	case re.StatusCode == http.StatusForbidden && c.tokens != nil && e.Contains("invalid token"):
		return engine.WithHint(e, "the token of "+c.tokens.String()+" was revoked: the next request logs in again")
	case re.StatusCode == http.StatusForbidden && c.tokens != nil:
		hint = "the policies of " + c.tokens.String() + " do not cover this: change them in the plan; " +
			"the login may not do that itself, so the step that makes it needs a root token: " + Regenerate
	case re.StatusCode == http.StatusForbidden && hint == "":
		hint = hints.Or(e.Error(), "the token is wrong, expired or revoked, or its policies do not cover this path")
	case e.Contains(nameTaken):
		return withHint(e, hint) // the next Inspect may find the wanted object
	case hint == "" && busyHint(re.StatusCode) != "":
		return engine.WithHint(e, hints.Or(e.Error(), busyHint(re.StatusCode)))
	case re.StatusCode == http.StatusPreconditionFailed, re.StatusCode == http.StatusTooManyRequests, re.StatusCode >= 500:
		return withHint(e, hint)
	}
	return withHint(engine.Permanent(e), hint)
}

// nameTaken ends the refusals of a new issuer or key whose name another one has.
const nameTaken = "name already in use"

// busyHint is the hint for an answer that puts off.
func busyHint(status int) string {
	switch status {
	case http.StatusTooManyRequests:
		return "Vault, or something in front of it, limits how often it is asked: wait, or raise the quota (vault list sys/quotas/rate-limit)"
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "Vault, or something in front of it, is overloaded or restarting: its log says what it waits for"
	}
	return ""
}

// explainSealed distinguishes a sealed Vault from one that was never initialised:
// both answer 503.
func (c *Client) explainSealed(ctx context.Context, e *Error) error {
	if s, err := c.SealStatus(ctx); err == nil && !s.Initialized {
		return Refusal("let this step come after a vaultInit and a vaultUnseal step",
			"%s %s: %w", e.Verb, e.Path, ErrNotInitialized)
	}
	return Refusal("Vault seals itself whenever "+c.pick("it restarts", "its pod restarts")+": let this step come after a vaultUnseal step, or run the plan again to unseal it",
		"%s %s: %w", e.Verb, e.Path, ErrSealed)
}

func (c *Client) explainNetwork(ctx context.Context, verb, path string, err error) error {
	wrapped := fmt.Errorf("%s %s at %s: %w", verb, path, c.where, unwrapURL(err))
	if kubekit.IsNoService(err) {
		return kubekit.Settle(c.env, wrapped)
	}
	if engine.HintOf(err) != "" || errors.Is(err, engine.ErrPermanent) {
		return wrapped
	}
	var (
		unknownAuthority x509.UnknownAuthorityError
		hostname         x509.HostnameError
		invalid          x509.CertificateInvalidError
		record           tls.RecordHeaderError
	)
	switch {
	case strings.Contains(err.Error(), "remote error: tls:"):
		return refusedClient(wrapped)
	case errors.As(err, &unknownAuthority):
		return engine.WithHint(engine.Permanent(wrapped), "set vault.caFile, caBundle or trustFrom to the authority that signed Vault's own certificate")
	case errors.As(err, &hostname):
		return engine.WithHint(engine.Permanent(wrapped), "set vault.serverName to a name in Vault's own certificate")
	case errors.As(err, &invalid):
		return engine.WithHint(engine.Permanent(wrapped), "Vault's own certificate is not valid: renew it, or check this machine's clock")
	case errors.As(err, &record), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return engine.WithHint(engine.Permanent(wrapped), "Vault speaks plain HTTP here: "+c.pick("use http:// in vault.address", "leave vault.service.tls off"))
	case strings.Contains(err.Error(), "HTTP request to an HTTPS server"):
		return engine.WithHint(engine.Permanent(wrapped), "Vault speaks TLS here: "+c.pick("use https:// in vault.address", "set vault.service.tls"))
	}
	if c.trouble != nil {
		if why, hint := c.trouble(ctx); why != "" {
			return engine.WithHint(fmt.Errorf("%w: %s", wrapped, why),
				cmp.Or(hint, "kubectl describe shows what the pod waits for"))
		}
	}
	if c.outside {
		return engine.WithNext(engine.WithHint(wrapped, outsideHint(err)), "curl -sS "+c.base.String()+"/v1/sys/health")
	}
	return engine.WithHint(wrapped, "is Vault's pod running? kubectl get pods -A -l app.kubernetes.io/name=vault; kubectl describe shows why not")
}

// refusedClient adds a hint to the error of a handshake that the server ended with an
// alert: those that name certificates are about the client's (RFC 8446 6.2).
func refusedClient(err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "certificate required"), strings.Contains(text, "handshake failure"):
		return engine.WithHint(engine.Permanent(err), "the server wants a client certificate: set vault.certFile and vault.keyFile")
	case strings.Contains(text, "certificate"):
		return engine.WithHint(engine.Permanent(err), "the server refuses the client certificate, or wants one: see the authority and the dates of vault.certFile, and tls_client_ca_file of the server")
	}
	return engine.WithHint(err, "the server ended the TLS handshake: its log says why")
}

// pick returns outside for a Vault with an address of its own, inside for one behind a
// Service.
func (c *Client) pick(outside, inside string) string {
	if c.outside {
		return outside
	}
	return inside
}

// outsideHint is the hint for a Vault that is reached by an address of its own.
func outsideHint(err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return "the name cannot be resolved from here: check connections.vault.address, and the network"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at this address: does Vault run there, and is the port of connections.vault.address right?"
	}
	return "check connections.vault.address, and whether this machine reaches it: a firewall, a proxy or a VPN may be in between"
}

// unwrapURL drops the address that package net/http puts before its errors: it
// may be the tunnel's, and the message names the server already.
func unwrapURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func withHint(err error, hint string) error {
	if hint == "" {
		return err
	}
	return engine.WithHint(err, hint)
}

// oneLine strips Vault's list markup ("1 error occurred:\n\t* permission denied\n\n").
func oneLine(messages []string) []string {
	var out []string
	for _, m := range messages {
		_, list, isList := strings.Cut(m, "occurred:")
		if !isList {
			list = m
		}
		for line := range strings.Lines(list) {
			if line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "* ")); line != "" {
				out = append(out, line)
			}
		}
	}
	return out
}

// answerHints are hints for texts in an answer; the first match counts. Their
// sources are in the documentation of the kinds.
var answerHints = []struct{ match, hint string }{
	{"no handler for route", "nothing is mounted there: check the mount's name, and that the step that mounts it comes first"},
	{"invalid token", "the token is wrong, expired or revoked, or that of another Vault: check connections.vault.token, and that this is the right cluster"},
	{"longer than permitted maxTTL", "raise maxLeaseTTL of the mount, or shorten the ttl"},
	{"notAfter was truncated", "the parent expires before that: shorten ttl, or renew the parent first"},
	{"beyond the expiration of the CA certificate", "the issuer expires before that: shorten the ttl, or renew the issuer"},
	{"ignored these unrecognized parameters", "this version of Vault does not know the parameter: check its spelling"},
	{nameTaken, "another run made it at the same time: the next look says whether it is what the plan asks for; " +
		"if it stays, see who has the name: vault list -detailed MOUNT/issuers, and MOUNT/keys"},
	{"specifying an audience", "set the role's audience"},
	{"serviceaccount/ca.crt: no such file or directory", "this Vault does not run in a pod: set config.kubernetesCACert and config.disableLocalCAJWT"},
}

func hintFor(text string) string {
	for _, h := range answerHints {
		if strings.Contains(text, h.match) {
			return h.hint
		}
	}
	return ""
}
