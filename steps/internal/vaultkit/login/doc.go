// Package login lets steps in to Vault: with the token of a plan, or by a login.
//
// # Login
//
// The root token may do everything and is meant for the first minutes only. So
// a [Connection] has a login beside its token: to one of Vault's auth methods, with
// a token of a ServiceAccount or of a CI job, a secret ID or a client certificate, for
// a short-lived token of a role. The login comes first, for every step, in Inspect and
// in Apply, so that a dry run has the rights of the run. As long as something of the
// login does not exist (the ServiceAccount, the Kubernetes method, its role), the token
// bootstraps. When Vault refuses a login that should work, the token is used with a
// warning; without a token that is an error. [Bootstrap] is the one exception, for the
// step that makes the login.
//
// The token of a login is shared by all steps of a run, renewed by another login
// after two thirds of its life, and concealed, as is everything that logs in. When
// another one has replaced it and no request carries it any more, or the session closes,
// it is revoked, if it has a lease: Vault stores nothing of a batch token, which only
// expires. Files of credentials are read for each login, since
// others renew them.
//
// # Logins in Inspect
//
// A login is a POST request, or two with a token from the API server, and Inspect never
// writes. They are allowed because they leave nothing: the API server keeps nothing of a
// token request, and Vault nothing of a login to a role with batch tokens, except the entity
// of its identity, which the first login makes, and a secret ID that is good for a number of
// logins and has one less. A role with service tokens leaves a lease until the token is
// replaced or the session closes, which revokes it. The guards allow exactly these paths.
package login
