// Package journal keeps the record of a run on disk, so that the next run can
// say what a killed one was doing.
//
// It is for people and never a source of truth: the next run looks at the
// world and trusts only that. A lost or damaged journal loses nothing but the
// remark.
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
//	record  what it says:
//	  run      the first: version (of this form), run, plan, file, host, pid, locked,
//	           server (address of the API server), made (step, kind and paths of
//	           what earlier runs on it made), told (steps that were removed),
//	           dropped (what steps do not ask for any more, like made)
//	  intent   an edit is about to be applied: step, kind, path, attempt, proof
//	           (the step is one)
//	  done     it was applied: also seconds
//	  failed   it was refused: also error
//	  unknown  it was cut off, it may have taken effect: also error
//	  end      the last: summary
//
// An intent is on the disk (fsync) before its edit is applied, and the outcome
// before the run goes on. So a file without an end, whose run is over, is that
// of a run that was killed, and its intents without an outcome are what it was
// doing. The chain of hashes shows a line that was changed or lost; a last line
// that was cut off is no damage.
//
// # What a step leaves behind
//
// A step that is removed from a plan leaves what it made, and so does one that
// asks for less than before: an object taken out of its manifests, a role that
// is not in its list any more, another mount. ztplan deletes nothing. [Orphans]
// tells, by the plan and its journals, what that is; the kinds know what their
// steps ask for ([engine.Owner]). Each journal begins with what earlier ones say,
// so that it does not matter how many of them were removed. What was left is told
// until a run has been told of it; its journal says so.
//
// The journals know what runs on this machine did to the cluster at that address,
// by the plan at that path. They do not know what became of it since.
//
// A record holds no values, only paths and error texts, and those were redacted
// by the run before they came here.
//
// # Is that run still alive?
//
// A run holds a lock (flock) on its file for as long as it lives; the kernel
// drops it when the process ends, however it ends. Where the file system or the
// operating system has no such lock, locked is false and nothing is concluded.
package journal
