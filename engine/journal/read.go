package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/durable"
)

// Read returns the records of a journal, as many as are whole. The error gives the line
// from which on it is damaged: no JSON, a number or a hash that does not
// follow. A last line that was cut off is left out without an error.
func Read(path string) ([]Record, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	var out []Record
	prev := ""
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		if !whole {
			break
		}
		b = rest
		var r Record
		err := json.Unmarshal(line, &r)
		switch {
		case err != nil:
		case r.Seq != len(out)+1:
			err = fmt.Errorf("number %d after %d", r.Seq, len(out))
		case r.Prev != prev:
			err = fmt.Errorf("the line before it was changed")
		case r.Seq == 1 && (r.Type != Run || r.Version != Version):
			err = fmt.Errorf("not the first record of a journal of version %d", Version)
		}
		if err != nil {
			return out, fmt.Errorf("journal %s: line %d: %w", path, len(out)+1, err)
		}
		out = append(out, r)
		prev = hashOf(line)
	}
	return out, nil
}

// A Report is the content of the journal of an earlier run.
type Report struct {
	Path    string
	Run     Record   // its first record
	Records []Record // those that are whole, the first included
	Ended   bool     // it came to its end
	Alive   bool     // it is under way on this machine
	Damage  error    // why later records cannot be read; nil if all can be

	// Unfinished are the edits of which it is not known whether they took
	// effect, in the order in which they began.
	Unfinished []Record
}

// Summary returns the summary of a run that came to its end, else nil.
func (r *Report) Summary() *engine.Summary {
	if !r.Ended {
		return nil
	}
	return r.Records[len(r.Records)-1].Summary
}

// Last returns the report on the newest run of the plan, other than own, or nil
// if there is none that can be read. The error is the reason why a journal that is there
// cannot be.
func Last(p Plan, own string) (*Report, error) {
	dir := p.Dir()
	ids := slices.DeleteFunc(runs(dir), func(id string) bool { return id == own })
	if len(ids) == 0 {
		return nil, nil
	}
	return report(filepath.Join(dir, ids[len(ids)-1]+suffix))
}

// report reads the journal at path; the report is nil if there is no whole record.
func report(path string) (*Report, error) {
	live := durable.Locked(path)
	records, err := Read(path)
	if len(records) == 0 {
		return nil, err // an empty file: killed before its first record
	}
	return &Report{
		Path: path, Run: records[0], Records: records, Alive: live, Damage: err, Unfinished: unfinished(records),
		Ended: records[len(records)-1].Type == End,
	}, err
}

// History returns the reports on the runs of all plans whose journals are below
// base, newest first. A journal without one whole record is left out.
func History(base string) []*Report {
	folders, _ := os.ReadDir(base) // without the folder there were no runs
	var out []*Report
	for _, f := range folders {
		dir := filepath.Join(base, f.Name())
		for _, id := range runs(dir) {
			if r, _ := report(filepath.Join(dir, id+suffix)); r != nil {
				out = append(out, r)
			}
		}
	}
	slices.SortFunc(out, func(a, b *Report) int { return strings.Compare(b.Run.Run, a.Run.Run) })
	return out
}

// unfinished returns the edits of which it is not known whether they took
// effect, in the order in which they began.
func unfinished(records []Record) []Record {
	var open []Record
	for _, rec := range records[1:] {
		i := slices.IndexFunc(open, func(o Record) bool { return o.Step == rec.Step && o.Path == rec.Path })
		switch {
		case rec.Type == End:
		case (rec.Type == Intent || rec.Type == Unknown) && i < 0:
			open = append(open, rec)
		case rec.Type == Intent || rec.Type == Unknown:
			open[i] = rec
		case i >= 0: // done or failed
			open = slices.Delete(open, i, i+1)
		}
	}
	return open
}

// Dead reports whether the run with this id, of whatever plan, is known to be over: its
// journal is in the folder of all journals and its lock is free. False means that nothing
// is known.
func Dead(base, run string) bool {
	if run == "" || filepath.Base(run) != run {
		return false
	}
	folders, _ := os.ReadDir(base)
	for _, f := range folders {
		path := filepath.Join(base, f.Name(), run+suffix)
		if records, _ := Read(path); len(records) > 0 && records[0].Run == run && records[0].Locked {
			return !durable.Locked(path)
		}
	}
	return false
}
