// Package controlplane runs the Kubernetes control plane of a lab: etcd,
// kube-apiserver, kube-controller-manager and kube-scheduler, each the real
// program's own code in a child process of its own.
//
// # Identity
//
// A lab has one certificate authority, made when the lab is made and kept with
// it. Every part proves itself with a certificate of that authority, and the
// user "kubernetes-admin" is a member of system:masters, as kubeadm's super
// administrator is. etcd trusts a second authority that nothing else uses and
// that lasts for one run: a certificate signed through the cluster's signing
// API must not open the store.
//
// # Ports
//
// Every port is a free one on the lab's own loopback address, chosen before
// the part starts. The API server keeps the port of the last run when it can,
// so that a kubeconfig copied elsewhere survives a restart of the lab.
package controlplane
