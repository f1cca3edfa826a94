package compare

import (
	"maps"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/steps/evidence"
)

// versions finds the software that the runs met in different versions, and whether the
// plan changed.
func (c *Comparison) versions() {
	if c.Before.Plan.Name != c.After.Plan.Name {
		c.add(Difference{Kind: Plan, Subject: "name", Before: c.Before.Plan.Name, After: c.After.Plan.Name})
	}
	if c.Before.Plan.Digest != c.After.Plan.Digest {
		c.add(Difference{Kind: Plan, Subject: "content", Before: c.Before.Plan.Digest, After: c.After.Plan.Digest})
	}
	before, after := versionsOf(c.Before), versionsOf(c.After)
	names := maps.Clone(before)
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if before[name] != after[name] {
			c.add(Difference{Kind: Version, Subject: name, Before: orNil(before[name]), After: orNil(after[name])})
		}
	}
	before, after = contentsOf(c.Before), contentsOf(c.After)
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if was := before[name]; was != "" && was != after[name] {
			c.add(Difference{Kind: Version, Subject: "content of " + name, Before: was, After: after[name]})
		}
	}
}

// versionsOf returns the versions that a run met, by the name of the software.
func versionsOf(d *evidence.Document) map[string]string {
	out := map[string]string{"ztplan": d.Run.Version}
	maps.Copy(out, d.Run.Versions)
	for _, ch := range d.Charts {
		out["chart "+ch.Name] = joined(out["chart "+ch.Name], ch.Version)
	}
	if d.Subject == nil {
		return out
	}
	if cluster := d.Subject.Cluster; cluster != nil && cluster.Version != "" {
		out["API server"] = cluster.Version
	}
	for _, i := range d.Subject.Images {
		repository, version := cut(i.Image)
		name := "image " + repository
		out[name] = joined(out[name], version)
	}
	return out
}

// contentsOf returns the digests of charts and images, which can change without a new
// version.
func contentsOf(d *evidence.Document) map[string]string {
	out := make(map[string]string)
	for _, ch := range d.Charts {
		out["chart "+ch.Name+" "+ch.Version] = ch.Digest
	}
	if d.Subject != nil {
		for _, i := range d.Subject.Images {
			out["image "+i.Image] = i.ID
		}
	}
	return out
}

// cut splits the name of an image into its repository and its tag or digest.
func cut(image string) (repository, version string) {
	if repository, digest, ok := strings.Cut(image, "@"); ok {
		return repository, digest
	}
	slash := strings.LastIndex(image, "/")
	if colon := strings.LastIndex(image, ":"); colon > slash {
		return image[:colon], image[colon+1:]
	}
	return image, "latest"
}

// joined adds a version to a sorted list of versions.
func joined(list, version string) string {
	all := strings.Split(list, ", ")
	if list == "" {
		all = nil
	}
	if slices.Contains(all, version) {
		return list
	}
	all = append(all, version)
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// orNil returns nil for no version.
func orNil(version string) any {
	if version == "" {
		return nil
	}
	return version
}
