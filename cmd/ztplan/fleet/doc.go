// Package fleet reads fleets: one plan over many clusters.
//
// A fleet is a YAML document that names a plan, the clusters that get it, and the waves
// in which they get it. It runs on Kubernetes Indexed Jobs of a hub cluster, an engine
// that its users operate already: the packages below read ClusterProfiles (profiles),
// render the objects (objects), run in the pods (member), read and write the hub (hub),
// let the waves go (drive), show them (view), and merge the evidence (ledger).
//
// # What is checked before anything is made
//
// [Load] checks the document, the inventory, and the plan with the variables of every
// cluster, and reports every problem with its place. A cluster is in a fleet once: two
// runs of one plan must not write to one cluster. The keys of a new Vault must not be in
// a file only, which would end with the pod.
//
// # Failures and the stop rule
//
// A cluster has failed when its last try has. The rule is checked in the pod before its
// first contact with the cluster ([github.com/ztplan/ztplan/cmd/ztplan/fleet/member]):
// when more clusters of the wave failed than may, the pod ends with exit code 4 and
// nothing is touched, while those that run finish. Jobs have no such rule:
// maxFailedIndexes ends running pods.
package fleet
