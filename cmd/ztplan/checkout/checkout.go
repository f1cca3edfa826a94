// Package checkout finds the commit that a plan's file was read from.
//
// It reads the repository with go-git and starts no program: a machine that runs
// plans need not have git, and git's behaviour depends on its configuration. HEAD
// and refs alone could be read in fifty lines; comparing the work tree with the
// commit needs the index, the ignore rules and objects in packs, hence the
// library. It costs 3.8 MB of 86 in the binary; nothing of its network code is
// called.
//
// Where it differs from git it reports "not clean": it applies no filters, so
// that files of Git LFS and line endings that git converts count as changed.
package checkout

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5"

	"github.com/ztplan/ztplan/steps/evidence"
)

// mostChanges bounds the changes on record.
const mostChanges = 10

// Read returns the checkout that the directory dir is in, nil without an error
// if it is in none. Looking at a large work tree takes its time: when ctx ends,
// the error says so.
func Read(ctx context.Context, dir string) (*evidence.Checkout, error) {
	type answer struct {
		checkout *evidence.Checkout
		err      error
	}
	done := make(chan answer, 1)
	go func() {
		c, err := read(dir)
		done <- answer{c, err}
	}()
	select {
	case a := <-done:
		return a.checkout, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("the work tree could not be compared in time: %w", context.Cause(ctx))
	}
}

func read(dir string) (*evidence.Checkout, error) {
	repo, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	head, err := repo.Head()
	if err != nil {
		return nil, fmt.Errorf("HEAD: %w", err)
	}
	tree, err := repo.Worktree()
	if err != nil {
		return nil, err
	}
	status, err := tree.Status()
	if err != nil {
		return nil, fmt.Errorf("status of the work tree: %w", err)
	}
	c := &evidence.Checkout{Commit: head.Hash().String(), Clean: status.IsClean()}
	for name, s := range status {
		if s.Worktree != git.Unmodified || s.Staging != git.Unmodified {
			c.Changes = append(c.Changes, fmt.Sprintf("%c%c %s", s.Staging, s.Worktree, name))
		}
	}
	slices.Sort(c.Changes)
	if more := len(c.Changes) - mostChanges; more > 0 {
		c.Changes = append(c.Changes[:mostChanges], fmt.Sprintf("and %d more", more))
	}
	return c, nil
}
