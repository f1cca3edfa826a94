// Package transit signs with a key that never leaves Vault: one of the transit
// secrets engine. It is no kind of step; the command line uses it for the
// evidence of a run.
//
// # Naming a key
//
// hashivault://[MOUNT/]KEY, as cosign and other users of sigstore's KMS write
// it; without MOUNT it is transit. The server and the token are those of the
// plan's connections.vault: nothing comes from VAULT_* variables.
//
// # What the token may have to
//
//	path "transit/keys/KEY" { capabilities = ["read"] }
//	path "transit/sign/KEY" { capabilities = ["update"] }
//
// # Keys
//
// Types ed25519 (not derived) and ecdsa-p256. The newest version at the time
// signs; its number is fixed by reading the key first, so that a rotation in
// between cannot mix two. A signature counts only once it was verified here
// with the public key that Vault named.
//
// Sources: https://developer.hashicorp.com/vault/api-docs/secret/transit
// (read key, sign data) and
// https://docs.sigstore.dev/cosign/key_management/overview/.
package transit
