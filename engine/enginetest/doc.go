// Package enginetest is the contract that every kind of step keeps, as a test
// against real systems. The tests of a kind are about its subject; this one is about
// its behaviour:
//
//   - Looking never writes. Looking twice finds the same differences.
//   - Applying the edits in order and looking again finds nothing, once the
//     differences that can only be awaited are gone.
//   - A step that awaits a person says what is to be done, and awaits the
//     same at the next look. When that is done, the step goes on.
//   - A second look finds nothing either, and has the same outputs.
//   - An output that comes with edits and is not empty is the same once they
//     are applied.
//   - An output that is foreseen is that of the run, and no secret. It does not depend on
//     an input that is not known.
//   - A run that was killed after any edit is continued by looking again.
//   - A cancelled context makes looking return at once.
//   - A proof makes only declared changes, and writes nothing beside its edits.
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
