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
// # Clusters
//
// A redirect (307 of a standby that cannot reach the active node) is an error, unless
// the plan lists the node (redirectTo): following it hands over the token. A sealed node
// behind an address is asked again over other connections, since another one may answer.
// Answers of performance standbys name a state (X-Vault-Index); later requests of the run
// want it, and a node that does not have it yet is asked again.
//
// # Namespaces
//
// Requests carry the namespace, except those about the server itself, which exist in the
// root only. Vault's Community Edition ignores the header; it is asked for its edition,
// and a plan for a namespace is refused there.
//
// # Tokens
//
// A request carries a token of its own, or that of a login: see [Tokens] and package
// login. A login is a POST request, which Inspect never sends otherwise: the guard
// allows exactly its path, from exactly this code ([Client.Authenticate],
// [Client.LogOut]), and sys/capabilities-self, a question in the form of a POST.
//
// # Requests
//
// [Client] sends a request once; the engine decides about another try. A request
// that is not a read is refused unless its context allows writes (see
// [engine.WritesAllowed]); the refusal sits in the transport (package guard), where no
// caller can forget it. A token travels in its header and nowhere else.
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
