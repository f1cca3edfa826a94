// Package lease keeps two runs of one plan apart: a run that is about to write
// holds a Lease (coordination.k8s.io/v1) in the plan's cluster.
//
// # The object
//
// The Lease is named ztplan-<plan>, in the namespace default unless the user
// names another: every cluster has it, and a Role with the verbs get, create and
// update on leases there is all that is needed. Its spec holds the runner of the plan
// (holderIdentity: user@host, process, run), since when (acquireTime) and that
// the holder lives (renewTime, written every third of leaseDurationSeconds). At
// the end the holder's name is taken out; the object stays, as the lock of the
// next run.
//
// # Taking it over
//
// A lock frees itself: it counts as free when it was not renewed for its
// duration, 30 s. Clocks of different machines may differ by minutes, so that
// all times are those of the API server, which sends its own in every answer. A
// run on the same machine whose process is known to be dead need not be waited
// for: see [Request.Dead]. Every change carries the resourceVersion it was
// decided on, so that of two runs that take over at once only one can succeed.
//
// # Doubting it
//
// A holder that could not renew the lock in time, because the API server was away
// or because it was stopped itself, does not know whether another run took the
// lock. It starts no edit then ([Lock.Wait]), and one that is under way sends
// nothing more ([Lock.Enclose]), shortly before others may take the lock. The age
// of the last renewal is measured with a clock that counts suspend. When the lock
// can be renewed after all, it was not taken, and the run goes on.
//
// # Losing it
//
// When another run has the lock, or had it meanwhile, or when the Lease was
// deleted, [Request.Lost] is called, once, with the reason.
//
// # Why not leaderelection
//
// The object is read and written by client-go's resourcelock. Its leaderelection is
// not used: it waits a whole duration before it takes over a lock, by its own clock,
// and gives a lock up that it could not renew. A run takes the lock of a dead run at
// once, by the API server's clock, and goes on if no other run took it meanwhile.
//
// # The lock of a Vault
//
// Two plans may mean the same Vault. A run that changes one which it reaches
// through the cluster holds the Lease ztplan.vault.<namespace>.<service> as well,
// beside the plan's, in the same namespace; another plan waits for it. A Vault
// that is reached by its address has no such lock: two plans need not see the
// same cluster.
//
// The lock keeps runs of this program apart that mean the same cluster; it does
// not keep other programs from changing anything.
package lease
