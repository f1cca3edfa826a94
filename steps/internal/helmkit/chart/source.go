package chart

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

// A Source names a chart and its origin.
type Source struct {
	// Repo is the address of a chart repository ("https://charts.jetstack.io"),
	// of an OCI registry's folder or chart ("oci://quay.io/jetstack/charts"),
	// or empty if Chart is an address or a path.
	Repo string
	// Chart is the chart's name in Repo; without Repo it is an oci:// address,
	// or the path of a chart directory or archive.
	Chart string
	// Version is exact. It may be empty for a path only.
	Version string

	Username string
	Password engine.Secret
	CAFile   engine.File // PEM certificates to trust in addition to the system's
}

// A scheme is a way of getting at a chart.
type scheme int

const (
	fromPath scheme = iota
	fromRepository
	fromRegistry
)

func (s Source) scheme() scheme {
	switch {
	case isOCI(s.Repo), s.Repo == "" && isOCI(s.Chart):
		return fromRegistry
	case s.Repo != "":
		return fromRepository
	}
	return fromPath
}

// IsPath reports whether the chart is a file or directory.
func (s Source) IsPath() bool { return s.scheme() == fromPath }

// Name returns the chart's name as far as the source has it: for a path it is
// only known once the chart is read, and Name is "".
func (s Source) Name() string {
	switch s.scheme() {
	case fromRegistry:
		return path.Base(s.reference())
	case fromRepository:
		return s.Chart
	}
	return ""
}

// reference is the oci:// address of the chart, without a tag. A Repo that
// already ends with the chart's name is that address.
func (s Source) reference() string {
	if s.Repo == "" {
		return strings.TrimSuffix(s.Chart, "/")
	}
	repo := strings.TrimSuffix(s.Repo, "/")
	if s.Chart == "" || path.Base(repo) == s.Chart {
		return repo
	}
	return repo + "/" + s.Chart
}

func (s Source) path(dir string) string {
	if filepath.IsAbs(s.Chart) {
		return s.Chart
	}
	return filepath.Join(dir, s.Chart)
}

func isOCI(s string) bool { return strings.HasPrefix(s, "oci://") }

var exactVersion = regexp.MustCompile(`^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// CheckVersion returns why version does not name exactly one version of a chart,
// or nil. Helm resolves ranges, shortened versions and "latest" anew on
// each run, so that two runs of one plan could install different software.
func CheckVersion(version string) error {
	switch {
	case exactVersion.MatchString(version):
		return nil
	case version == "":
		return fmt.Errorf("an exact version is required: without one every run may install another chart")
	case strings.ContainsAny(version, "^~><=*|, ") || strings.Contains(version, ".x"):
		return fmt.Errorf("%q is a range: every run may install another chart; write one exact version, such as 1.2.3", version)
	}
	return fmt.Errorf("%q is not an exact version: Helm would pick a chart that matches today; write all three numbers, such as 1.2.3", version)
}

// Fetch returns the chart that s names. Steps of one run share a fetched chart;
// other runs share the cache. The error is permanent if the chart, the version
// or the permission does not exist.
func Fetch(ctx context.Context, env *engine.Env, s Source) (*Chart, error) {
	key := strings.Join([]string{"helmkit chart", s.Repo, s.Chart, s.Version, s.Username, s.CAFile.Path, env.Dir}, "\x00")
	return engine.Share(ctx, env.Session, key, func(ctx context.Context) (*Chart, error) {
		switch s.scheme() {
		case fromRegistry:
			return s.checked(fetchFromRegistry(ctx, env, s))
		case fromRepository:
			return s.checked(fetchFromRepository(ctx, env, s))
		}
		return Local(env, s)
	})
}

func (s Source) names(c *Chart) bool { return s.Version == "" || SameVersion(s.Version, c.Version) }

// checked refuses a chart of another version than s names. Helm takes an archive by its
// entry in an index or by its tag, whatever version its Chart.yaml has: software that the
// plan does not name would run.
func (s Source) checked(c *Chart, err error) (*Chart, error) {
	if err != nil || s.names(c) {
		return c, err
	}
	err = engine.Permanent(fmt.Errorf("chart %s: its version is %s and the plan asks for %s", c.From, c.Version, s.Version))
	if s.IsPath() {
		return nil, err
	}
	return nil, engine.WithHint(err, "its Chart.yaml disagrees with the index or the tag that it was found by: do not install it; ask the repository's owner")
}
