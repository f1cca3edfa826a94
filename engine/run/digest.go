package run

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/redact"
)

// digestVersion is hashed, too: digests of another form never
// compare equal by accident.
const digestVersion = "ztplan edits v2\n"

// changedSecret stands for a secret that differs from the one that is there.
const changedSecret = "(secret, changed)"

// finding is the result of a dry run for one step.
type finding struct {
	edits     []engine.Edit // as the step returned them, not yet redacted
	changes   []engine.Edit // that a proof declares
	looked    bool          // whether there is anything in edits is known
	blockedBy []string      // the differing needs; nil for a step that is settled
	after     *afterwards   // of a blocked step
}

type afterwards struct {
	Needs   []string          `json:"needs"`
	Literal any               `json:"literal"`
	Files   map[string]string `json:"files,omitempty"` // SHA-256 of the files and folders that the inputs name
}

// digestEntry is one edit in the form that is hashed.
type digestEntry struct {
	Path  string      `json:"path,omitempty"`
	Have  any         `json:"have"`
	Want  any         `json:"want"`
	Proof bool        `json:"proof,omitempty"`
	After *afterwards `json:"after,omitempty"`

	Hidden string `json:"hidden,omitempty"` // alone: stands for the secrets of a step
}

// digest sets the digest of all edits that a dry run found, and one for each
// step that has any. They are left out if a step could not be looked at, because
// then not all edits are known.
//
// It is made when the run is over: by then every secret of the settled steps is
// known, so that the redaction does not depend on the order in which the steps
// were done. Differences that only others can remove are no edits: they come and
// go by themselves.
func (r *runner) digest(sum *engine.Summary) {
	each, seen := make(map[string]string), make(map[string]string)
	ids := make([]string, 0, len(r.nodes))
	for i := range r.nodes {
		if r.results[i].State == Failed {
			return
		}
		f, id := &r.found[i], r.nodes[i].ID
		lines := r.withHidden(id, f.lines)
		if f.after != nil {
			if f.looked {
				seen[id] = hashOf(lines)
			}
			lines = r.withHidden(id, f.after.lines)
		}
		if len(lines) == 0 {
			continue
		}
		each[id] = hashOf(lines)
		ids = append(ids, id)
	}
	slices.Sort(ids)
	h := sha256.New()
	h.Write([]byte(digestVersion))
	for _, id := range ids {
		fmt.Fprintf(h, "%s %s\n", id, each[id])
	}
	sum.Digest, sum.Digests = "sha256:"+hex.EncodeToString(h.Sum(nil)), each
	if len(seen) > 0 {
		sum.Seen = seen
	}
}

// hashOf does not depend on the order of the lines.
func hashOf(lines [][]byte) string {
	slices.SortFunc(lines, bytes.Compare)
	sum := sha256.Sum256(bytes.Join(lines, []byte("\n")))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// lines returns the edits in the form that is hashed, one a line, and puts the
// secrets in them into h.
func (f *finding) lines(redactor *redact.Redactor, h *hidden) [][]byte {
	var lines [][]byte
	for _, e := range f.edits {
		if e.Apply != nil {
			h.add(redactor, e.Path+" have", e.Have)
			h.add(redactor, e.Path+" want", e.Want)
			lines = append(lines, lineOf(digestEntry{
				Path: redactor.Text(e.Path), Have: redactor.Value(e.Have), Want: redactor.Value(marked(e.Have, e.Want)),
			}))
		}
	}
	for _, e := range f.changes {
		h.add(redactor, e.Path+" change", e.Want)
		lines = append(lines, lineOf(digestEntry{Path: redactor.Text(e.Path), Want: redactor.Value(e.Want), Proof: true}))
	}
	return lines
}

func (a *afterwards) lines(redactor *redact.Redactor, h *hidden) [][]byte {
	after := *a
	h.add(redactor, "literal", after.Literal)
	after.Literal = redactor.Value(after.Literal)
	return [][]byte{lineOf(digestEntry{After: &after})}
}

func lineOf(e digestEntry) []byte {
	line, err := json.Marshal(e)
	if err != nil { // plain data always marshals
		return []byte(fmt.Sprint(e))
	}
	return line
}

// afterOf describes a step whose edits are known for certain only after others.
// The description has the content of the files that the step reads: without them
// a reviewed step could be given others under the same name.
func afterOf(n *Node, needs []string, env *engine.Env) *afterwards {
	after := &afterwards{Needs: slices.Sorted(slices.Values(needs)), Literal: n.literal()}
	if n.Preview == nil {
		return after
	}
	spec := n.Preview()
	after.Files = make(map[string]string)
	if r, ok := spec.(engine.FolderReader); ok {
		maps.Copy(after.Files, r.Folders(env))
	}
	for _, f := range engine.InputFiles(spec) {
		b, err := f.Read()
		if err != nil {
			after.Files[f.Name] = "unreadable"
			continue
		}
		sum := sha256.Sum256(b)
		after.Files[f.Name] = hex.EncodeToString(sum[:])
	}
	return after
}

// marked returns want, with a text in place of each secret that differs from
// the secret at the same place of have: redacted, they would look equal.
func marked(have, want any) any {
	switch want := want.(type) {
	case engine.Secret:
		if have, ok := have.(engine.Secret); ok && !have.Equal(want) {
			return changedSecret
		}
	case map[string]any:
		have, ok := have.(map[string]any)
		if !ok {
			return want
		}
		out := make(map[string]any, len(want))
		for k, w := range want {
			out[k] = marked(have[k], w)
		}
		return out
	case []any:
		have, ok := have.([]any)
		if !ok {
			return want
		}
		out := make([]any, len(want))
		for i, w := range want {
			if out[i] = w; i < len(have) {
				out[i] = marked(have[i], w)
			}
		}
		return out
	}
	return want
}
