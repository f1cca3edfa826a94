package journal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/durable"
)

// hint goes with every error of writing: its reason is the disk.
const hint = "make room or choose another place with XDG_STATE_HOME, then run the same command again"

// A Plan identifies the journals of a plan.
type Plan struct {
	Base string // folder of all journals
	Name string // the plan's metadata.name
	File string // absolute path of the plan

	// Server is the address of the target of the run; "" if that does not distinguish one
	// target from another. Journals of one target do not count for another.
	Server string
	// Steps are the ids of all steps of the plan.
	Steps []string
	// Owns returns the function that reports which edits, by their paths, a step
	// of the plan could still make, given the kind that it had when it made them.
	// It and its result may be nil: the step is then taken to ask for
	// all that it ever made.
	Owns func(step, kind string) func(path string) bool
}

// Dir returns the folder that holds the plan's journals.
func (p Plan) Dir() string {
	sum := sha256.Sum256([]byte(p.File))
	return filepath.Join(p.Base, p.Name+"-"+hex.EncodeToString(sum[:6]))
}

// A Journal records a run under way. It is safe for concurrent use.
type Journal struct {
	run    string
	locked bool
	now    func() time.Time

	mu   sync.Mutex
	file *os.File
	seq  int
	prev string
	err  error // the first; nothing is written after it
}

// Open begins the journal of a run and removes the oldest ones. Now is the
// clock of the run.
func Open(p Plan, now func() time.Time) (*Journal, error) {
	dir := p.Dir()
	j, err := open(dir, p, now)
	if err != nil {
		return nil, engine.WithHint(fmt.Errorf("journal: %w", err), hint)
	}
	prune(dir, j.run)
	return j, nil
}

func open(dir string, p Plan, now func() time.Time) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var tail [4]byte
	rand.Read(tail[:])
	run := now().UTC().Format("20060102T150405.000000Z") + "-" + hex.EncodeToString(tail[:])
	f, err := os.OpenFile(filepath.Join(dir, run+suffix), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	j := &Journal{run: run, now: now, file: f, locked: durable.Lock(f) == nil}
	host, _ := os.Hostname()
	made, gone, dropped := p.made()
	err = j.write(Record{
		Type: Run, Version: Version, Run: run, Plan: p.Name, File: p.File, Host: host, PID: os.Getpid(), Locked: j.locked,
		Server: p.Server, Made: made, Told: stepsOf(gone), Dropped: dropped,
	})
	if err == nil {
		err = durable.SyncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return j, nil
}

// Run returns the id of the run.
func (j *Journal) Run() string { return j.run }

// Intent records that an edit is about to be applied; the record is on the disk
// when Intent returns.
func (j *Journal) Intent(e engine.Event) error { return j.edit(Intent, e) }

// Outcome records the end of an edit: by the event's action it was applied,
// cut off (unknown), or else refused. The record is on the disk when Outcome
// returns.
func (j *Journal) Outcome(e engine.Event) error {
	switch e.Action {
	case engine.ActionApplied:
		return j.edit(Done, e)
	case engine.ActionUnknown:
		return j.edit(Unknown, e)
	}
	return j.edit(Failed, e)
}

func (j *Journal) edit(t Type, e engine.Event) error {
	err := j.write(Record{
		Type: t, Step: e.Step, Kind: e.Kind, Path: e.Path, Proof: e.Proof, Attempt: e.Attempt, Error: e.Error, Seconds: e.Seconds,
	})
	if err != nil {
		return engine.WithHint(fmt.Errorf("journal: %w", err), hint)
	}
	return nil
}

// Close writes the last record of the run and closes the file.
func (j *Journal) Close(s engine.Summary) error {
	err := j.write(Record{Type: End, Summary: &s})
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err == nil {
		j.err = os.ErrClosed
	}
	if err := errors.Join(err, j.file.Close()); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

func (j *Journal) write(r Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	r.Seq, r.Prev, r.Time = j.seq+1, j.prev, j.now().UTC()
	line, err := json.Marshal(r)
	if err != nil {
		return err // nothing was written: the chain goes on
	}
	if _, err = j.file.Write(append(line, '\n')); err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		j.err = err
		return err
	}
	j.seq, j.prev = r.Seq, hashOf(line)
	return nil
}

func hashOf(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

const suffix = ".jsonl"

// runs returns the ids of the runs in dir, oldest first.
func runs(dir string) []string {
	entries, _ := os.ReadDir(dir) // sorted by name, so by time
	var out []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), suffix); ok && e.Type().IsRegular() {
			out = append(out, id)
		}
	}
	return out
}

// prune removes all but the newest files. One that cannot be removed, or whose
// run is alive, stays until next time.
func prune(dir, own string) {
	ids := slices.DeleteFunc(runs(dir), func(id string) bool { return id == own })
	for _, id := range ids[:max(0, len(ids)+1-Kept)] {
		if path := filepath.Join(dir, id+suffix); !durable.Locked(path) {
			_ = os.Remove(path)
		}
	}
}
