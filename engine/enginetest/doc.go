// Package enginetest is the contract that every kind of step keeps, as a test
// against the real world. A kind's own test says what it does; this one says
// how it behaves:
//
//   - Looking never writes. Looking twice finds the same differences.
//   - Applying the edits in order and looking again finds nothing, once what
//     can only be awaited has come.
//   - A second look finds nothing either, and has the same outputs.
//   - An output that comes with edits and is not empty is the same once they
//     are applied.
//   - A run that was killed after any edit is continued by looking again.
//   - A cancelled context makes looking return at once.
//   - A proof changes only what it declares, and writes nothing beside its edits.
//   - A secret shows in no edit, finding, message or error.
//
// Test of a kind:
//
//	func TestContract(t *testing.T) {
//		env := labtest.Env(t)
//		enginetest.Run(t, enginetest.Case{
//			Kind: account.Kind,
//			Env:  env,
//			Spec: func() any { … },
//			Reset: func(ctx context.Context) error { … },
//		})
//	}
package enginetest
