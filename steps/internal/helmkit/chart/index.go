package chart

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/nearest"
)

// An index is the part of a chart repository's index.yaml that ztplan needs. It is
// cached in this form, because the original may take a second to parse.
type index struct {
	ETag     string                    `json:"etag,omitempty"`
	Modified string                    `json:"modified,omitempty"`
	Charts   map[string][]indexVersion `json:"charts"`
}

type indexVersion struct {
	Version string   `json:"version"`
	Digest  string   `json:"digest,omitempty"` // SHA-256 of the archive, hex
	URLs    []string `json:"urls"`             // relative to the repository
}

// parseIndex reads an index.yaml, which may be JSON.
func parseIndex(b []byte) (*index, error) {
	var raw struct {
		APIVersion string                    `json:"apiVersion"`
		Entries    map[string][]indexVersion `json:"entries"`
	}
	var err error
	if json.Valid(b) {
		err = json.Unmarshal(b, &raw)
	} else {
		err = yaml.Unmarshal(b, &raw)
	}
	if err != nil {
		return nil, err
	}
	if raw.APIVersion == "" && len(raw.Entries) == 0 {
		return nil, errors.New("it is not the index of a chart repository")
	}
	for name, versions := range raw.Entries {
		for i := range versions {
			versions[i].Digest = strings.ToLower(strings.TrimPrefix(versions[i].Digest, "sha256:"))
		}
		raw.Entries[name] = versions
	}
	return &index{Charts: raw.Entries}, nil
}

// find returns the entry of a version. "v1.2.3" and "1.2.3" are the same
// version, as for Helm, but the same spelling wins.
func (x *index) find(chart, version string) (indexVersion, bool) {
	versions := x.Charts[chart]
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, SameVersion} {
		if i := slices.IndexFunc(versions, func(v indexVersion) bool { return same(v.Version, version) && len(v.URLs) > 0 }); i >= 0 {
			return versions[i], true
		}
	}
	return indexVersion{}, false
}

func (x *index) versions(chart string) []string {
	var out []string
	for _, v := range x.Charts[chart] {
		out = append(out, v.Version)
	}
	return out
}

// SameVersion reports whether two exact versions are the same, with or without a
// leading v.
// Unlike the order of versions, it takes build metadata into account.
func SameVersion(a, b string) bool {
	return strings.TrimPrefix(a, "v") == strings.TrimPrefix(b, "v")
}

// NewerVersion reports whether version a is newer than b by the order of
// semantic versions. Versions that are none are never newer.
func NewerVersion(a, b string) bool {
	va, errA := semver.NewVersion(a)
	vb, errB := semver.NewVersion(b)
	return errA == nil && errB == nil && va.GreaterThan(vb)
}

// nearestVersions describes the few versions around wanted, newest first.
// Pre-releases are left out unless there is nothing else or wanted is one.
func nearestVersions(wanted string, versions []string) string {
	want, err := semver.NewVersion(wanted)
	if err != nil || len(versions) == 0 {
		return ""
	}
	var all, stable []*semver.Version
	for _, s := range versions {
		v, err := semver.NewVersion(s)
		if err != nil {
			continue
		}
		all = append(all, v)
		if v.Prerelease() == "" {
			stable = append(stable, v)
		}
	}
	if want.Prerelease() == "" && len(stable) > 0 {
		all = stable
	}
	slices.SortFunc(all, func(a, b *semver.Version) int { return b.Compare(a) })
	all = slices.CompactFunc(all, func(a, b *semver.Version) bool { return a.Equal(b) })
	const newer, older = 2, 3
	at, _ := slices.BinarySearchFunc(all, want, func(v, want *semver.Version) int { return want.Compare(v) })
	from := max(0, min(at-newer, len(all)-newer-older))
	var names []string
	for _, v := range all[from:min(len(all), from+newer+older)] {
		names = append(names, v.Original())
	}
	return strings.Join(names, ", ")
}

// missing returns an error for a chart or version that the index has not, with the
// nearest ones as its hint.
func (x *index) missing(where, chart, version string) error {
	if len(x.Charts[chart]) > 0 {
		near := nearestVersions(version, x.versions(chart))
		return engine.WithHint(fmt.Errorf("chart %s has no version %s in %s: the nearest are %s", chart, version, where, near),
			"set version to one of them: "+near)
	}
	names := make([]string, 0, len(x.Charts))
	for n := range x.Charts {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(nearest.Distance(chart, a), nearest.Distance(chart, b)), strings.Compare(a, b))
	})
	near := strings.Join(names[:min(len(names), 5)], ", ")
	if near == "" {
		return engine.WithHint(fmt.Errorf("chart %s is not in %s, which is empty", chart, where), "check the address of the repository")
	}
	return engine.WithHint(fmt.Errorf("chart %s is not in %s: the nearest names are %s", chart, where, near),
		"set chart to one of them: "+near)
}
