package fleet

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/steps/pkiintermediate"
	"github.com/ztplan/ztplan/steps/vaultinit"
)

// checked has the findings in the plan with the variables of a cluster.
type checked struct {
	name     string // of the plan
	problems []*source.Problem
	files    map[string]engine.File
}

// Where the kubelet puts secrets into a pod, and the token of its ServiceAccount.
const (
	podSecrets = "/var/run/secrets/"
	podToken   = podSecrets + "kubernetes.io/serviceaccount/token"
)

// checkPlan collects the files that a plan reads, and refuses inputs that only work on
// a machine that stays: a pod ends.
func (f *Fleet) checkPlan(p *plan.Plan) checked {
	c := checked{name: p.Name, files: make(map[string]engine.File)}
	add := func(at source.Position, hint, format string, args ...any) {
		c.problems = append(c.problems, &source.Problem{Position: at, Summary: fmt.Sprintf(format, args...), Hint: hint})
	}
	for _, s := range p.Steps {
		draft, unknown := s.Draft()
		if init, ok := draft.(*vaultinit.Spec); ok && f.Mode == ModeRun && !init.Keys.InCluster("keys", unknown) {
			add(s.PositionOf("keys"), "keep them in the cluster as well, with keys.secret; with custodians each share is encrypted there",
				"step %s (vaultInit): the keys would be in a file of the pod only, and end with it", s.ID)
		}
		if ca, ok := draft.(*pkiintermediate.Spec); ok && f.Mode == ModeRun && ca.Parent.External != nil {
			add(s.PositionOf("parent"), "run the plan that makes this authority from a machine that stays, and leave it out of the fleet",
				"step %s (pkiIntermediate): the request for an external parent would be in a file of the pod only, and end with it", s.ID)
		}
		for _, c := range engine.Credentials(draft) {
			if !strings.HasPrefix(c.File.Path, podSecrets) {
				add(s.PositionOf(c.Field), "let the plan log in with the pod's own identity: connections.vault.login with method: jwt and jwtFile: "+podToken+", or with serviceAccount",
					"%s: %s is a secret, and a fleet stores none", c.Field, c.File.Name)
			}
		}
		files := engine.InputFiles(draft)
		if folders, ok := draft.(engine.FolderReader); ok {
			more, err := filesBelow(p, folders)
			if err != nil {
				add(s.Position, "", "step %s: %v", s.ID, err)
			}
			files = append(files, more...)
		}
		for _, file := range files {
			if !c.ship(p, file) {
				add(s.Position, "put it beside the plan or below", "step %s: %s is outside of the plan's directory, and the pods get that directory only", s.ID, file.Name)
			}
		}
	}
	for _, file := range p.Fragments() {
		if !c.ship(p, file) {
			add(source.Position{File: p.Display(file.Path)}, "put it beside the plan or below", "fragment %s is outside of the plan's directory, and the pods get that directory only", file.Name)
		}
	}
	if value, at := p.Connection("kubernetes"); value != nil {
		add(at, "remove it: each pod reaches its own cluster", "connections.kubernetes: a fleet chooses the cluster")
	}
	return c
}

// ship adds a file to those that the pods get. It reports false for one outside of the
// plan's directory.
func (c *checked) ship(p *plan.Plan, file engine.File) bool {
	rel, err := filepath.Rel(p.Dir, file.Path)
	if err != nil || !filepath.IsLocal(rel) {
		return false
	}
	c.files[filepath.ToSlash(rel)] = file
	return true
}

// filesBelow returns the files of the folders that a step reads, such as a chart.
func filesBelow(p *plan.Plan, step engine.FolderReader) ([]engine.File, error) {
	var out []engine.File
	for name := range step.Folders(&engine.Env{Dir: p.Dir, Inputs: p.Inputs}) {
		top := p.Inputs.File(p.Dir, name).Path
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
				return err
			}
			out = append(out, p.Inputs.File(p.Dir, strings.TrimPrefix(path, p.Dir+string(filepath.Separator))))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
