// Package vaultkit connects steps to Vault: its address, the requests, and the
// meaning of its answers.
//
// # Address
//
// A [Server] is either a Kubernetes Service, reached through the API server
// without opening a local port, or an address. Nothing is read from VAULT_*
// environment variables: a plan means the same on every machine, and a token
// can only come from the plan. So the client of Vault's own Go package is not
// used: making one reads them. A proxy (HTTPS_PROXY, HTTP_PROXY, NO_PROXY) counts
// for an address, but not on this machine's own loopback, and never for a Service.
//
// A redirect (307 of a standby that cannot reach the active node) is an error:
// Vault's client would send the token to the host that the answer names.
//
// # Login
//
// The root token may do everything and is meant for the first minutes only. So
// a [Connection] has a login beside its token: a short-lived ServiceAccount
// token from the API server (TokenRequest), exchanged at Vault's Kubernetes auth
// method for a short-lived token of a role. The login comes first, for every
// step, in Inspect and in Apply, so that a dry run has the rights of the run. As
// long as something of the login does not exist (the ServiceAccount, the method,
// the role), the token bootstraps. When Vault refuses a login that should work, the
// token is used with a warning; without a token that is an error. [Bootstrap] is the
// one exception, for the step that makes the login.
//
// The token of a login is shared by all steps of a run, renewed by another login
// after two thirds of its life, and concealed, as is the ServiceAccount's. When
// the session closes it is revoked, if it has a lease: Vault stores nothing of a
// batch token, which only expires.
//
// # Logins in Inspect
//
// A login is two POST requests, and Inspect never writes. They are allowed because
// they leave nothing: the API server keeps nothing of a token request, and Vault
// nothing of a login to a role with batch tokens, except the entity of the
// ServiceAccount, which its first login makes. A role with service tokens leaves a
// lease until the session closes and revokes it. The guards allow exactly these
// paths, from exactly this code ([Client.Authenticate], [Client.LogOut]), and
// sys/capabilities-self, a question in the form of a POST.
//
// # Requests
//
// [Client] sends a request once; the engine decides about another try. A request
// that is not a read is refused unless its context allows writes (see
// [engine.WritesAllowed]); the refusal sits in the transport, where no caller can
// forget it. A token travels in its header and nowhere else.
//
// # Answers
//
// Vault answers many mistakes with 200 and a warning: a lifetime that it cut, a
// parameter that it ignored. A warning of a write is an error here unless the
// caller allows it ([Allow]). Errors quote Vault and carry a hint; those that
// another try cannot cure are permanent. An answer behind a wrapping token
// (wrap_info) is an error, never an empty answer.
//
// # Differences
//
// [Object] compares Vault's values with the plan's, field by field: durations by
// their length, lists by their members, in any form that Vault chose for them.
package vaultkit
