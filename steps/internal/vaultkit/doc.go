// Package vaultkit is how steps talk to Vault: where it is, how a request gets
// there, and what an answer means.
//
// # Where
//
// A [Server] is either a Kubernetes Service, reached through the API server
// without opening a local port, or an address. Nothing is read from VAULT_*
// environment variables: a plan means the same on every machine, and a token
// can only come from the plan.
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
// caller allows it ([Allow]). Errors say what Vault said, and carry a hint;
// those that another try cannot cure are permanent.
//
// # Differences
//
// [Object] compares what Vault reports with what a plan asks for, field by
// field: durations by their length, lists by their members, whatever form Vault
// chose for them.
package vaultkit
