package ledger

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

const (
	maxHead   = 16 << 20
	maxLeaves = 256 << 20
	maxProof  = 256 << 20 // evidence of one cluster
	maxPage   = 256 << 20
)

// Options are the demands of a verification.
type Options struct {
	Key  *attest.Key // nil demands no signature
	Deep bool        // verify the evidence of every cluster, not only its digest
	// Version of this ztplan: the page that the same version wrote must equal its rendering.
	Version string
	// Cluster, if not empty, is the only one that is looked at: its leaf is shown to be
	// in the tree, and its evidence is verified.
	Cluster string
}

// A Report is a report with the checks that were made of it.
type Report struct {
	Head   *Head
	Leaves []Leaf
	Checks []verify.Check
	Signed bool

	head []byte // fleet.json
}

// Holds reports whether everything that was checked holds.
func (r *Report) Holds() bool {
	for _, c := range r.Checks {
		if !c.Holds() {
			return false
		}
	}
	return r.Head != nil
}

// Verify checks the folder of a fleet's report, offline: the leaves against the root, the
// counts and the result against the leaves, the evidence of each cluster against its leaf,
// and the statement. An error means that something cannot be read.
func Verify(ctx context.Context, dir string, o Options) (*Report, error) {
	head, err := engine.ReadFile(filepath.Join(dir, HeadFile), maxHead)
	if err != nil {
		return nil, err
	}
	lines, err := engine.ReadFile(filepath.Join(dir, LeavesFile), maxLeaves)
	if err != nil {
		return nil, err
	}
	r := &Report{Head: new(Head), head: head}
	dec := json.NewDecoder(bytes.NewReader(head))
	dec.DisallowUnknownFields()
	if err := dec.Decode(r.Head); err != nil || r.Head.Schema != Schema {
		r.Head = nil
		r.Checks = append(r.Checks, verify.Check{Name: "format", Problems: []string{fmt.Sprintf("%s is no evidence of a fleet that this ztplan reads: %v", HeadFile, err)}})
		return r, nil
	}
	t, check := r.leaves(lines)
	r.Checks = append(r.Checks, check, r.numbers(), r.files(dir, o), r.page(dir, o.Version))
	if o.Cluster != "" {
		r.Checks = append(r.Checks, r.inclusion(t, lines, o.Cluster))
	}
	signature, err := r.statement(ctx, dir, head, lines, o.Key)
	r.Checks = append(r.Checks, signature)
	return r, err
}

// leaves reads the leaves and compares the root over them.
func (r *Report) leaves(lines []byte) (*tree, verify.Check) {
	c := verify.Check{Name: "tree"}
	t := new(tree)
	scan := bufio.NewScanner(bytes.NewReader(lines))
	scan.Buffer(nil, 1<<20)
	previous := ""
	for scan.Scan() {
		var l Leaf
		if err := json.Unmarshal(scan.Bytes(), &l); err != nil {
			c.Problems = append(c.Problems, fmt.Sprintf("%s:%d: %v", LeavesFile, t.size+1, err))
			return t, c
		}
		if l.Cluster <= previous && t.size > 0 {
			c.Problems = append(c.Problems, fmt.Sprintf("%s:%d: %q is not after %q", LeavesFile, t.size+1, l.Cluster, previous))
		}
		previous = l.Cluster
		if err := t.add(scan.Bytes()); err != nil {
			c.Problems = append(c.Problems, err.Error())
			return t, c
		}
		r.Leaves = append(r.Leaves, l)
	}
	root, err := t.root()
	if err = errors.Join(scan.Err(), err); err != nil {
		c.Problems = append(c.Problems, err.Error())
	}
	if t.size != r.Head.Size || root != r.Head.Root {
		c.Problems = append(c.Problems, fmt.Sprintf("%d leaves have the root %s; %s has %d with the root %s", t.size, root, HeadFile, r.Head.Size, r.Head.Root))
	}
	c.Did = fmt.Sprintf("of %s, root %s", display.Count(len(r.Leaves), "cluster"), short(root))
	return t, c
}

// numbers compares the counts, the result and the verdicts.
func (r *Report) numbers() verify.Check {
	c := verify.Check{Name: "result", Did: fmt.Sprintf("%s, as the leaves say", r.Head.Result)}
	counts := Count(r.Leaves)
	for _, s := range States {
		if counts[s] != r.Head.Counts[s] {
			c.Problems = append(c.Problems, fmt.Sprintf("%d clusters are %s; %s has %d", counts[s], s, HeadFile, r.Head.Counts[s]))
		}
	}
	if want := Result(counts, r.Head.Stopped); want != r.Head.Result {
		c.Problems = append(c.Problems, fmt.Sprintf("the result is %s; %s has %s", want, HeadFile, r.Head.Result))
	}
	for _, l := range r.Leaves {
		v := l.Verdict
		switch {
		case v == nil && l.Settled():
			c.Problems = append(c.Problems, fmt.Sprintf("cluster %s is %s, without a verdict", l.Cluster, l.State))
		case v == nil:
		case v.Cluster != l.Cluster || v.Run != r.Head.Run:
			c.Problems = append(c.Problems, fmt.Sprintf("the verdict of cluster %s is that of %s in run %s", l.Cluster, v.Cluster, v.Run))
		case l.State != StateOf(v):
			c.Problems = append(c.Problems, fmt.Sprintf("cluster %s is %s, and its verdict says %s", l.Cluster, l.State, StateOf(v)))
		case l.Settled() && v.Evidence == "":
			c.Problems = append(c.Problems, fmt.Sprintf("cluster %s is %s, without evidence", l.Cluster, l.State))
		}
	}
	return c
}

// files compares the evidence of the clusters with their leaves.
func (r *Report) files(dir string, o Options) verify.Check {
	c := verify.Check{Name: "evidence"}
	problems := make([][]string, len(r.Leaves))
	checked := make([]bool, len(r.Leaves))
	var all sync.WaitGroup
	work := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for i := range work {
				checked[i], problems[i] = r.file(dir, r.Leaves[i], o.Deep || o.Cluster != "")
			}
		})
	}
	for i, l := range r.Leaves {
		if l.Verdict != nil && l.Verdict.Evidence != "" && (o.Cluster == "" || o.Cluster == l.Cluster) {
			work <- i
		}
	}
	close(work)
	all.Wait()
	n := 0
	for i := range r.Leaves {
		c.Problems = append(c.Problems, problems[i]...)
		if checked[i] {
			n++
		}
	}
	how := "by digest"
	if o.Deep || o.Cluster != "" {
		how = "computed again"
	}
	c.Did = fmt.Sprintf("of %s %s", display.Count(n, "cluster"), how)
	return c
}

func (r *Report) file(dir string, l Leaf, deep bool) (checked bool, problems []string) {
	if !isName(l.Cluster) {
		return false, []string{fmt.Sprintf("cluster %q: is no name", l.Cluster)}
	}
	name := filepath.Join(ClustersDir, l.Cluster, "evidence.json")
	data, err := engine.ReadFile(filepath.Join(dir, name), maxProof)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, []string{name + " is missing"}
	case err != nil:
		return false, []string{err.Error()}
	case evidence.Digest(data) != l.Verdict.Evidence:
		return true, []string{name + " is not the evidence that its leaf names"}
	case !deep:
		return true, nil
	}
	d, checks := verify.Evidence(data)
	for _, c := range checks {
		for _, p := range c.Problems {
			problems = append(problems, name+": "+p)
		}
	}
	if d != nil && d.Result() != l.Verdict.Result {
		problems = append(problems, fmt.Sprintf("%s: the result is %s, and the leaf says %s", name, d.Result(), l.Verdict.Result))
	}
	if d != nil && d.Subject != nil && d.Subject.Cluster != nil && d.Subject.Cluster.UID != l.Verdict.UID {
		problems = append(problems, fmt.Sprintf("%s: the cluster has the UID %s, and the leaf says %q", name, d.Subject.Cluster.UID, l.Verdict.UID))
	}
	return true, problems
}

// page compares the page with the rendering of the head and the leaves. Another version
// may render it otherwise; then the digest on record decides.
func (r *Report) page(dir, version string) verify.Check {
	c := verify.Check{Name: "page", Did: "as the leaves render"}
	add := func(format string, args ...any) { c.Problems = append(c.Problems, fmt.Sprintf(format, args...)) }
	data, err := engine.ReadFile(filepath.Join(dir, PageFile), maxPage)
	if err != nil {
		add("%v", err)
		return c
	}
	want, err := Page(r.Head, r.Leaves)
	same := r.Head.Version == version && version != "devel"
	switch {
	case err != nil:
		add("%v", err)
	case evidence.Digest(data) != r.Head.Page:
		add("%s does not have the digest on record: it was edited, or belongs to another run", PageFile)
	case bytes.Equal(data, want):
	case same:
		add("%s is not what the leaves render to", PageFile)
	default:
		c.Did = fmt.Sprintf("by digest: ztplan %s made it, this one is %s", r.Head.Version, version)
	}
	return c
}

// inclusion shows that the leaf of a cluster is in the tree.
func (r *Report) inclusion(t *tree, lines []byte, cluster string) verify.Check {
	c := verify.Check{Name: "inclusion"}
	for i, l := range r.Leaves {
		if l.Cluster != cluster {
			continue
		}
		line := bytes.Split(lines, []byte("\n"))[i]
		proof, err := tlog.ProveRecord(t.size, int64(i), t)
		var root tlog.Hash
		if err == nil {
			_, err = hex.Decode(root[:], []byte(r.Head.Root))
		}
		if err == nil {
			err = tlog.CheckRecord(proof, t.size, root, int64(i), tlog.RecordHash(line))
		}
		if err != nil {
			c.Problems = append(c.Problems, err.Error())
		}
		c.Did = fmt.Sprintf("of %s, leaf %d, with %d hashes", cluster, i, len(proof))
		return c
	}
	c.Problems = append(c.Problems, fmt.Sprintf("there is no cluster %q", cluster))
	return c
}

func (r *Report) statement(ctx context.Context, dir string, head, lines []byte, key *attest.Key) (verify.Check, error) {
	c := verify.Check{Name: "signature"}
	envelope, err := engine.ReadFile(filepath.Join(dir, StatementFile), maxLeaves)
	switch {
	case errors.Is(err, os.ErrNotExist) && key == nil && r.Head.Key == "":
		c.Open, c.Did = true, "there is none"
		return c, nil
	case errors.Is(err, os.ErrNotExist):
		c.Problems = append(c.Problems, StatementFile+" is missing")
		return c, nil
	case err != nil:
		return c, err
	}
	ids, err := attest.VerifyStatement(ctx, StatementOf(r.Head, r.Leaves, head, lines), envelope, key)
	if err != nil {
		c.Problems = append(c.Problems, err.Error())
	}
	c.Did = fmt.Sprintf("by key %s", strings.Join(ids, ", "))
	if key == nil {
		c.Open, c.Did = true, c.Did+", which is not checked: give --key"
	}
	r.Signed = key != nil && err == nil
	return c, nil
}

func short(root string) string { return root[:min(len(root), 16)] }
