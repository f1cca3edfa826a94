// Package sensitive finds secrets in configuration: by name, by shape, and by origin.
//
// # By data flow
//
// Values in the data of a Secret, in a manifest or the rendering of a chart, are
// secret, and so are values of secret variables and under telling names. They are
// hidden where they stand. Beyond that they are searched for, and replaced, in
// everything that a run shows or keeps, by this rule, see [Findable]:
//
//   - A value under a telling name (password, refreshToken, …): from 6
//     characters on.
//   - Any other value of a Secret: from 8 characters on, and from 16 on if it is
//     made of words, such as a user's name. The names of hosts, addresses
//     without a password, paths and certificates are never searched for.
//   - Never: booleans, short numbers, and words that are telling names
//     themselves, such as "password".
//
// So "admin", "true" or "monitoring" in a Secret do not blank half of the
// output. They are still hidden in the Secret, under telling names, and under the
// same key elsewhere in the same release.
//
// # By name
//
// See [Name]. Names of objects and of files, switches and durations
// (existingSecret, secretName, tokenTTL) are no secrets. The argument after an option counts
// as the option's value, see [Arguments], and texts are searched for assignments, see
// [Assigned].
//
// # By shape
//
// Private keys in PEM, also in base64; JSON web tokens; age keys; the passwords in
// URLs; tokens of Vault, GitHub, GitLab and Slack; keys of AWS. See [Mask].
//
// # Limits
//
// A secret that a template transforms, by hashing or encrypting, is not
// recognised. Neither is a short one in the middle of a text.
package sensitive
