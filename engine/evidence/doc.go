// Package evidence is the record of a run that can be checked again later,
// offline: what was compared, changed and observed, with digests and public
// certificates, and never a secret.
package evidence
