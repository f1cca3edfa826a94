package chartrepo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"

	"github.com/Masterminds/semver/v3"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/cmd/ztlab/charts"
)

// created is the time that the index gives for every chart: the index is the
// same for the same charts.
const created = "2026-01-01T00:00:00Z"

// indexOf writes a repository's index.yaml: for each chart its versions, newest
// first, each with the whole of its Chart.yaml, the archive's digest and its
// URL relative to the index.
func indexOf(archives []charts.Archive) ([]byte, error) {
	entries := map[string][]map[string]any{}
	for _, a := range archives {
		entry := maps.Clone(a.Metadata)
		entry["urls"] = []string{a.FileName()}
		entry["digest"] = digest(a.Data)
		entry["created"] = created
		entries[a.Name] = append(entries[a.Name], entry)
	}
	index, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1",
		"generated":  created,
		"entries":    entries,
	})
	if err != nil {
		return nil, fmt.Errorf("index.yaml: %w", err)
	}
	return index, nil
}

// digest is the hexadecimal SHA-256 of data.
func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// compareVersions orders versions as semver does, and other texts before those
// that are.
func compareVersions(a, b string) int {
	left, leftErr := semver.NewVersion(a)
	right, rightErr := semver.NewVersion(b)
	switch {
	case leftErr == nil && rightErr == nil:
		return left.Compare(right)
	case leftErr == nil:
		return 1
	case rightErr == nil:
		return -1
	}
	return 0
}
