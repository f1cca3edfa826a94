// Package view shows a run of a fleet to people and programs: on a terminal in place
// ([Live]), in a log ([Lines]), as JSON ([JSON]), and at its end ([Ending], [GitHub],
// [Summary]).
//
// All of it follows from the snapshots of the driver and from the leaves. Text from
// outside is made safe before it is shown, see package display.
//
// # JSON
//
// Every line is one object with time (RFC 3339) and action:
//
//   - wave: the numbers of the wave that runs, when one has changed: wave, clusters, and
//     of these settled, running, again (failed and tried again), failed, held and toCome;
//     cannotStart counts pods that wait for an image or room; holds says why no further
//     cluster is touched; soakingUntil is when the next wave is let go.
//   - cluster: a try has ended: wave, cluster, pod, state (see package ledger), again if
//     it is tried again, cause, and its verdict (see package record) if it left one.
//   - end: head is the content of fleet.json; report is the directory of the report, if
//     one was written.
package view
