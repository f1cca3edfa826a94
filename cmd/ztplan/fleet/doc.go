// Package fleet reads fleets: one plan over many clusters.
//
// A fleet is a YAML document that names a plan, the clusters that get it, and the waves
// in which they get it. It runs on Kubernetes Indexed Jobs of a hub cluster, an engine
// that its users operate already: the packages below read ClusterProfiles (profiles),
// render the objects (objects), run in the pods (member), read and write the hub (hub),
// let the waves go (drive), show them (view), keep the evidence in a registry (registry),
// and merge it (ledger). Tests in e2e predict how long fleets take that no test machine
// holds.
//
// # Checks before anything is made
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
// maxFailedIndexes ends running pods. A cluster that is held costs a pod that looks and
// ends.
//
// # Faults
//
// The truth is on the hub. A driver that was killed is continued by the next one, which
// waits until the lock of the dead one frees itself, unless its pod is known to have ended.
// Nothing is let go before all objects of a round are there; a round that was not made to
// its end is removed. The waves that a round leaves behind are stopped for good by the
// round that replaces it, and a resumption waits for the pods that are ending: a cluster
// has one pod at a time.
//
// Driver and pods wait five minutes for a hub whose API server does not answer
// ([github.com/ztplan/ztplan/cmd/ztplan/fleet/patience]).
//
// A pod may add evidence under any name, so that evidence alone settles nothing: the Job
// says that an index succeeded, and the evidence that counts is the one of its last pod,
// with the verdict that the node keeps of that pod. Evidence that was removed or made anew
// is refused, and its cluster is owed again. Once a Job is deleted, its clusters are owed
// again as well; once only its pods are gone, the evidence is taken at its word.
//
// # Without credentials on a hub
//
// With pull, each cluster gets a Job by a tool that delivers objects (OCM, Sveltos, Argo
// CD), and runs it with a ServiceAccount of its own. No hub sees the results, so that
// there is no stop rule, and waves are folders of the rendered files only. The evidence is
// in a ConfigMap of each cluster, or, better to collect, in a registry; each is checked
// with ztplan verify.
package fleet
