// Package objects renders a run of a fleet as Kubernetes objects. It contacts nothing.
//
// # A run
//
// The record is an immutable ConfigMap with the plan, the files that it reads, and the
// waves. Each wave is one Indexed Job, made suspended. The clusters of a wave are the
// completions of its Job: immutable ConfigMaps map an index to a cluster, at most 200 in
// each, and are mounted with a subPathExpr, so that a container sees the entry of its own
// cluster only. So do the Secrets of access.secrets.
//
// # Failures
//
// The Job's failure policy follows the exit codes of ztplan: see failurePolicy. A cluster
// has at most one live pod: podReplacementPolicy is Failed.
//
// # A driver
//
// [Round.Driver] adds a Job that lets the waves go. Its Role covers the requests of
// package hub for a driver: it reads Jobs, pods and ConfigMaps, patches Jobs, and holds
// the Lease of the fleet. It makes no Job and reads no Secret; those of access.secrets it
// deletes by name.
//
// # Limits
//
// The API server takes objects of at most 1 MiB of data; a Job with backoffLimitPerIndex
// takes 100,000 completions (k8s.io/kubernetes/pkg/apis/batch/validation). At 10,000
// clusters a run has 50 ConfigMaps of clusters; see TestLimits.
package objects
