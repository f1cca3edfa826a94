// Package evidence is the record of a run that can be checked again later,
// offline: comparisons, changes and observations, with digests and public
// certificates, and never a secret.
//
// A [Collector] reads the events of a run and makes a [Document]; package verify
// reads the document's bytes and computes everything again that can be
// computed from them alone.
//
// # The document
//
// evidence.json is one JSON object (schemas/evidence.schema.json describes
// every field for machines). Times are RFC 3339 in UTC, durations are seconds,
// digests are SHA-256 in lower-case hexadecimal.
//
//	schema        "ztplan.dev/evidence/v1". Fields may be added to a version;
//	              none changes its meaning or goes away.
//	plan          name, file, digest of the plan file, and name and digest of
//	              every file that the plan reads. Files that secrets are
//	              written to are not among them.
//	run           began, ended, mode (apply or dry-run), result ([engine.Result];
//	              passed in evidence of older versions, see [Document.Result]),
//	              whether it met a lab of stand-ins, versions of ztplan and of
//	              the components, platform.
//	subject       where it ran and by whom: cluster, user, host or CI job, Git
//	              commit of the plan's checkout, values of the plan's variables,
//	              selection, images that ran, digest of the program. Facts that could
//	              not be read are left out with a remark. Absent in evidence of
//	              older versions.
//	charts        the Helm charts that were installed, with the digests of the
//	              packages.
//	steps         per step: kind, position in the plan, needs, state, times,
//	              retries, edits with the old and the wanted value,
//	              findings with their verdicts, error and hint.
//	timeline      the events in order; each has a step and an action.
//	rotations     measurements of assertRotation: hops, rules with limit and
//	              measurement, every sample of every endpoint.
//	handshakes    observations of curlTLS.
//	denials       requests that had to be refused, the refusals, and the requests
//	              that were granted just before under the same conditions.
//	records       other records of steps, as they are.
//	certificates  every public certificate that appears, once. Others refer to
//	              it by fingerprint.
//	summary       counts, duration and critical path, as at the end of the run.
//	digests       see below.
//	pages         names and digests of the renderings that lie beside the file.
//	              They show the sections and the overall digest, so that neither
//	              covers this section; it has a digest of its own.
//
// # Digests
//
// The bytes of the file are canonical: the JSON encoding of a [Document] with
// two spaces of indentation, keys in the order of its fields (of maps: sorted)
// and a final newline. Two files with the same content have the same bytes.
//
// The digest of a section is that of its compact encoding. The overall digest
// is that of the text which has the schema in its first line and then a line
// "DIGEST  SECTION" for each section in order, as sha256sum prints them. The
// digests find accidents and careless changes; who tampers with care computes
// them anew, and only a signature finds that. Therefore package verify also computes
// the sums of the measurements, and the in-toto statement beside the
// document signs its bytes.
package evidence
