// Package unsealkeys is the document of Vault's unseal key shares and root token: its
// forms, and its encryption to custodians.
//
// Without custodians the document is the output of "vault operator init -format=json";
// [Decode] reads the answer of Vault's API as well. With custodians each share and
// the root token are encrypted: with age recipients by this process, with PGP keys
// by Vault itself. All parts are one document, so that either all custodians have
// their shares or none has. It holds nothing that is not public or encrypted, and may
// lie in git.
//
// Where documents are stored is the subject of package custody.
package unsealkeys
