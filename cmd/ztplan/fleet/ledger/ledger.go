// Package ledger merges the evidence of the clusters of a fleet into one document, and
// verifies it offline.
//
// The folder of a fleet's report has
//
//	fleet.json            the head: fleet, run, counts, and the root of the tree
//	leaves.jsonl          a leaf for each cluster, in the order of their names
//	fleet.intoto.jsonl    the signed statement, with a key
//	index.html            the page: a rendering of fleet.json and leaves.jsonl
//	clusters/NAME/        evidence.json of the try that counts, and its pages
//
// A leaf is one line of JSON: the cluster, its state, its verdict with the SHA-256 of its
// evidence. The root is the Merkle tree hash of the lines without their ends (RFC 6962,
// section 2.1). So one cluster of a thousand is shown to belong to the fleet's statement
// with ten hashes, without the evidence of the others.
package ledger

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// Schema of fleet.json.
const Schema = "ztplan.dev/fleet-evidence/v1"

// Names of the files.
const (
	HeadFile      = "fleet.json"
	LeavesFile    = "leaves.jsonl"
	StatementFile = "fleet.intoto.jsonl"
	PageFile      = "index.html"
	ClustersDir   = "clusters"
)

// States of a cluster.
const (
	Proved    = "proved"    // the run's result
	Converged = "converged" // it ended well, and proved nothing
	Awaiting  = "awaiting"  // nothing failed, and the rest waits for a person
	Differs   = "differs"   // status: there are differences
	Failed    = "failed"
	Crashed   = "crashed" // failed without a verdict
	Held      = "held"    // by the stop rule: not touched
	Waiting   = "waiting" // its wave has not begun, or it runs
)

// States in the order in which they are counted.
var States = []string{Proved, Converged, Awaiting, Differs, Failed, Crashed, Held, Waiting}

// A Leaf is one cluster.
type Leaf struct {
	Cluster string          `json:"cluster"`
	Wave    string          `json:"wave"`
	State   string          `json:"state"`
	Tries   int             `json:"tries"`         // that left evidence
	Pod     string          `json:"pod,omitempty"` // of the try that counts, else of the last one
	Verdict *record.Verdict `json:"verdict,omitempty"`
	Cause   string          `json:"cause,omitempty"` // without a verdict
}

// Settled reports whether nothing is owed to the cluster.
func (l Leaf) Settled() bool { return l.State == Proved || l.State == Converged }

// A Head is fleet.json.
type Head struct {
	Schema  string         `json:"schema"`
	Fleet   string         `json:"fleet"`
	Run     string         `json:"run"`
	Rounds  int            `json:"rounds"`
	Digest  string         `json:"digest"` // of plan, files, fleet and image
	Mode    string         `json:"mode"`
	Image   string         `json:"image"`
	Hub     string         `json:"hub"` // address of its API server
	Began   time.Time      `json:"began"`
	Ended   time.Time      `json:"ended"`
	Result  string         `json:"result"` // proved, converged, awaiting, differs, failed or stopped
	Stopped string         `json:"stopped,omitempty"`
	Waves   []Wave         `json:"waves"`
	Counts  map[string]int `json:"counts"` // by state
	Size    int64          `json:"size"`   // leaves
	Root    string         `json:"root"`   // hexadecimal
	Version string         `json:"version"`
	Key     string         `json:"key,omitempty"`  // id of the key that signs the statement; empty without one
	Page    string         `json:"page,omitempty"` // SHA-256 of index.html
}

// A Wave is a wave of the run.
type Wave struct {
	Name     string          `json:"name"`
	Clusters int             `json:"clusters"`
	Parallel int             `json:"parallel"`
	Limit    string          `json:"limit"`
	Soak     record.Duration `json:"soak"`
}

// Encode returns leaves.jsonl and the root over its lines. Leaves are sorted by cluster.
func Encode(leaves []Leaf) (lines []byte, root string, err error) {
	slices.SortFunc(leaves, func(a, b Leaf) int { return cmp.Compare(a.Cluster, b.Cluster) })
	var out bytes.Buffer
	var t tree
	for _, l := range leaves {
		line, err := json.Marshal(l)
		if err != nil {
			return nil, "", err
		}
		if err := t.add(line); err != nil {
			return nil, "", err
		}
		out.Write(line)
		out.WriteByte('\n')
	}
	root, err = t.root()
	return out.Bytes(), root, err
}

// A tree is a Merkle tree in memory.
type tree struct {
	hashes []tlog.Hash // in the order of tlog.StoredHashIndex
	size   int64
}

// ReadHashes implements tlog.HashReader.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x < 0 || x >= int64(len(t.hashes)) {
			return nil, fmt.Errorf("hash %d is not in the tree", x)
		}
		out[i] = t.hashes[x]
	}
	return out, nil
}

func (t *tree) add(line []byte) error {
	more, err := tlog.StoredHashes(t.size, line, t)
	if err != nil {
		return err
	}
	t.hashes = append(t.hashes, more...)
	t.size++
	return nil
}

func (t *tree) root() (string, error) {
	h, err := tlog.TreeHash(t.size, t)
	return hex.EncodeToString(h[:]), err
}

// Count returns how many leaves are in each state.
func Count(leaves []Leaf) map[string]int {
	out := make(map[string]int)
	for _, l := range leaves {
		out[l.State]++
	}
	return out
}

// Result returns the result of a fleet: the worst state decides.
func Result(counts map[string]int, stopped string) string {
	switch {
	case stopped != "" || counts[Held] > 0 || counts[Waiting] > 0:
		return "stopped"
	case counts[Failed]+counts[Crashed] > 0:
		return Failed
	case counts[Differs] > 0:
		return Differs
	case counts[Awaiting] > 0:
		return Awaiting
	case counts[Converged] > 0:
		return Converged
	}
	return Proved
}
