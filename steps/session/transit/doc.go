// Package transit signs the evidence of a run with a key of Vault's transit
// secrets engine. The private key never leaves Vault.
//
// # Naming a key
//
// hashivault://[MOUNT/]KEY, as cosign and other users of sigstore's KMS write
// it; without MOUNT it is transit. The server and the token are those of the
// plan's connections.vault: nothing comes from VAULT_* variables.
//
// # Policy of the token
//
//	path "transit/keys/KEY" { capabilities = ["read"] }
//	path "transit/sign/KEY" { capabilities = ["update"] }
//
// # Keys
//
// Types ed25519 (not derived) and ecdsa-p256. Open reads the number of the newest
// version, and Sign asks for exactly that version: a rotation in between changes
// nothing. Sign verifies each signature with the public key that Vault named.
//
// Sources: https://developer.hashicorp.com/vault/api-docs/secret/transit
// (read key, sign data) and
// https://docs.sigstore.dev/cosign/key_management/overview/.
package transit
