// Package e2e holds tests that drive the shipped binaries, ztplan and ztlab, on
// labs of their own, as a user would: nothing of ztplan is called but its
// command line.
//
//   - Looking writes nothing: the API server's audit log and an audit device in
//     Vault record the requests of a dry run and of a second run (zero_test.go).
//   - Every plan of plans/ is taken through its life (gallery_test.go; the table of what
//     each needs is gallery_plans_test.go), and so is an intermediate under an offline root
//     (external_test.go).
//   - The permissions that ztplan rbac prints are enough, and none is too many
//     (permissions_test.go).
//   - Drift is found, named, and removed or refused (drift_test.go), and another
//     cluster than the last one is not taken for it (elsewhere_test.go).
//   - A run that is killed loses nothing (crash_test.go), Vault's keys included
//     (crash_init_test.go).
//   - A server that is slow, busy, cut off or of another opinion about the time
//     makes a step take longer, or fail with the cause (faults_test.go,
//     interrupt_test.go).
//   - Attacks on all of it do no harm: replaced inputs, hostile text and variables,
//     full disks, stopped runs, forged evidence and more (attack_test.go has the
//     table).
//   - No secret is in anything that a run shows or leaves (leaks_test.go).
//
// Each test has a lab of its own, and in the quick form tests run beside each other;
// quick attacks and secrets are on that of TestOneLab, failures, new intermediates and quick
// faults on that of TestCrash, quick plans of the gallery and interruptions on that of
// TestRotations: three labs that take equally long.
//
// The binaries come from the directory in ZTPLAN_BIN, else from bin/ of the
// checkout. make test runs a quick form of each: one row of each kind, the cheapest. With
// ZTPLAN_FULL=1, as in make gallery, make rotations, make drift, make crash, make faults,
// make attack and make proof, the whole tables run and are printed. CI does that every
// night.
package e2e
