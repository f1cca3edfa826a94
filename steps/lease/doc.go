// Package lease keeps two runs of one plan apart: a run that is about to write
// holds a Lease (coordination.k8s.io/v1) in the plan's cluster.
//
// # The object
//
// The Lease is named ztplan-<plan>, in the namespace default unless the user
// names another: every cluster has it, and a Role with the verbs get, create and
// update on leases there is all that is needed. Its spec says who runs the plan
// (holderIdentity: user@host, process, run), since when (acquireTime) and that
// the holder lives (renewTime, written every third of leaseDurationSeconds). At
// the end the holder's name is taken out; the object stays, as the lock of the
// next run.
//
// # Taking it over
//
// A lock frees itself: it counts as free when it was not renewed for its
// duration, 30 s. Clocks of different machines may differ by minutes, so that
// all times are those of the API server, which says its own in every answer. A
// run on the same machine whose process is known to be dead need not be waited
// for: see [Request.Dead]. Every change carries the resourceVersion it was
// decided on, so that of two runs that take over at once only one can succeed.
//
// # Losing it
//
// A holder that could not renew the lock gives up shortly before others may take
// it: [Request.Lost] is told, once, and why.
//
// The lock keeps runs of this program apart that mean the same cluster; it does
// not keep anybody else from changing anything.
package lease
