package custody

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// ignoredByGit refuses a key file that a git work tree would offer to commit:
// keys that were pushed once are public. Git itself is asked, since only it knows
// all the places that rules come from. Without git there is no error.
func (s fileSink) ignoredByGit(ctx context.Context) error {
	if s.emergency {
		return nil
	}
	root := workTree(filepath.Dir(s.path))
	if root == "" {
		return nil
	}
	git, err := exec.LookPath("git")
	if err != nil {
		return nil
	}
	ask := func(args ...string) int {
		cmd := exec.CommandContext(ctx, git, append([]string{"-C", filepath.Dir(s.path)}, args...)...)
		// In a git hook, these would speak of another repository.
		cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GIT_") })
		err := cmd.Run()
		var exit *exec.ExitError
		switch {
		case err == nil:
			return 0
		case errors.As(err, &exit):
			return exit.ExitCode()
		}
		return -1
	}
	base := filepath.Base(s.path)
	if ask("ls-files", "--error-unmatch", "--", base) == 0 {
		return vaultkit.Refusal(fmt.Sprintf("git -C %s rm --cached %s, ignore it, and take the keys for known: rekey this Vault", filepath.Dir(s.path), base),
			"%s: is tracked by git in %s: the keys are in its history", s, root)
	}
	// 1 means that no rule matches; anything above is git's own trouble.
	if ask("check-ignore", "--quiet", "--", base) != 1 {
		return nil
	}
	inTree, err := filepath.Rel(root, s.path)
	if err != nil {
		inTree = base
	}
	return vaultkit.Refusal(fmt.Sprintf("add the line /%s* to %s", filepath.ToSlash(inTree), filepath.Join(root, ".gitignore")),
		"%s: lies in the git work tree %s and is not ignored", s, root)
}

// workTree returns the work tree that dir lies in, or "".
func workTree(dir string) string {
	for {
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}
