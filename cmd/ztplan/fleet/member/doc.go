// Package member is the part of a fleet that runs in a pod, beside the run of the plan:
// the stop rule, access to the cluster, and the evidence.
//
// A pod makes about five requests to its hub: the Job and its failed pods for the stop
// rule, a token with access.keyless (again before it expires), and the evidence. It may
// do nothing else there. With a registry the evidence goes there, and the hub gets the
// verdict and the digest.
package member
