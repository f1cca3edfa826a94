// Package journal records a run on disk, so that the next run can report the edits
// that a killed one had begun.
//
// A journal is for people and never a source of truth: the next run compares the
// systems themselves. A lost or damaged journal costs the report alone.
//
// # Where
//
// One file a run, DIR/<plan>-<hash>/<time>-<random>.jsonl, where hash stands
// for the absolute path of the plan, so that plans of one name do not share a
// folder. The name without its ending is the run's id. Files have mode 0600,
// folders 0700. The last [Kept] are kept.
//
// # Form
//
// JSON lines, only ever appended. Every record has
//
//	seq     its number, from 1
//	prev    SHA-256 of the line before it without the line end, lower-case hex;
//	        "" in the first
//	time    RFC 3339, UTC
//	record  its type:
//	  run      the first: version (of this form), run, plan, file, host, pid, locked,
//	           server (address of the API server), made (step, kind and paths of
//	           the things that earlier runs on it made), told (steps that were removed),
//	           dropped (things that steps do not ask for any more, like made)
//	  intent   an edit is about to be applied: step, kind, path, attempt, proof
//	           (the step is one)
//	  done     it was applied: also seconds
//	  failed   it was refused: also error
//	  unknown  it was cut off, it may have taken effect: also error
//	  end      the last: summary
//
// An intent is on the disk (fsync) before its edit is applied, and the outcome
// before the run goes on. So a file without an end, whose run is over, is that
// of a killed run, and its intents without an outcome are the edits that it had
// begun. The chain of hashes shows a line that was changed or lost; a last line
// that was cut off is no damage.
//
// # Orphans
//
// A step that is removed from a plan leaves the things that it made, and so does
// one that asks for less than before: an object taken out of a list, another
// path. ztplan deletes nothing. [Orphans] returns these things, by the plan and
// its journals; the kinds know the edits of their steps ([engine.Owner]). Each
// journal begins with the content of the earlier ones, so that old journals may
// be removed. Orphans are reported until the journal of a run records the report.
//
// The journals know the edits of runs on this machine, to the target at that
// address, by the plan at that path. They do not know later changes by others.
//
// A record holds no values, only paths and error texts, and those were redacted
// by the run before they came here.
//
// # Locks
//
// A run holds a lock on its file until its process ends. Where the file system or
// the operating system has no such lock, locked is false, and other runs conclude
// nothing from the missing lock.
package journal
