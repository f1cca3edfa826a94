// Package kubekit reaches a Kubernetes cluster for steps: one
// connection per run, tunnels to pods, readiness, and waits that watch.
//
// # Looking never writes
//
// Every request passes a guard. A request that could change the cluster is
// refused with [ErrReadOnly] unless its context belongs to an edit being
// applied (engine.WritesAllowed). Reading, server-side dry runs, access reviews
// and port-forwards pass always, and so do the tokens of [Cluster.RequestToken].
//
// # Tunnels
//
// [Cluster.DialService] and [ServicePod] open streams (package portforward) through the API
// server, as kubectl port-forward does, but without a local listener: no other
// program can use them, and there is no port to collide. All
// streams to one pod share one connection, which is opened again when it
// breaks.
//
// # Errors
//
// Errors that another try cannot cure are permanent (engine.ErrPermanent):
// every answer of the API server from 400 to 499 except 408, 409, 410 and 429.
// Network errors and answers from 500 on are worth another try. Errors carry a
// hint where there is something to do about them (engine.HintOf).
package kubekit
