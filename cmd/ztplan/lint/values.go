package lint

import (
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/images"
	"github.com/ztplan/ztplan/cmd/ztplan/lint/versions"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/session"
)

// ignoredValues: values that have no effect.
func ignoredValues(f *facts) []Finding {
	var out []Finding
	for _, c := range f.charts {
		env := &engine.Env{
			Plan: f.plan.Name, Step: c.step.ID, Dir: f.plan.Dir, Inputs: f.plan.Inputs, CacheDir: f.options.CacheDir,
			Settings: session.Settings{Mirrors: f.options.Mirrors},
		}
		for _, v := range c.spec.IgnoredValues(env) {
			rule, text := "unknown-value", "chart %s %s does not know %s and ignores it"
			if v.Unread {
				rule, text = "unused-value", "chart %s %s has a default for %s, and no template reads it"
			}
			out = append(out, c.finding(v.Path, rule, v.Advice, text, c.name, c.spec.Version, v.Path))
		}
	}
	return out
}

// helmSupport: the Helm in this program.
func helmSupport(f *facts) []Finding {
	if len(f.charts) == 0 || !versions.HelmWithoutFixes.Has(semver.Canonical(f.options.Helm)) {
		return nil
	}
	return []Finding{at(f.charts[0].step, "uses", "helm-support", "", "this ztplan installs charts with Helm %s", strings.TrimPrefix(f.options.Helm, "v"))}
}

// floatingImages: tags that move, in values and in manifests.
func floatingImages(f *facts) []Finding {
	var out []Finding
	for _, c := range f.charts {
		tags := make(map[string]string) // by dotted path
		images.Tags(c.values, "", tags)
		const etcd = "etcd.image.tag"
		if _, given := tags[etcd]; !given && c.name == "apisix" && versions.FloatingEtcd.Has(c.version) && c.value("etcd.enabled") != false {
			tags[etcd] = "latest"
		}
		for _, path := range slices.Sorted(maps.Keys(tags)) {
			if image := strings.TrimSuffix(path, ".tag"); images.Floats(tags[path]) && c.text(image+".digest") == "" {
				out = append(out, c.finding(path, "floating-image", "set "+image+".digest, or "+path+" to a version",
					"%s of chart %s is %q", path, c.name, tags[path]))
			}
		}
	}
	for _, o := range f.objects {
		for _, spec := range images.PodSpecs(o.fields) {
			for _, list := range []string{"initContainers", "containers"} {
				containers, _ := spec.Fields[list].([]any)
				for _, c := range containers {
					m, _ := c.(map[string]any)
					image, _ := m["image"].(string)
					if tag, ok := images.TagOf(image); ok && images.Floats(tag) {
						out = append(out, o.finding(spec.Path+"."+list, "floating-image", "", "%s %s runs image %s", o.kind, o.id(), image))
					}
				}
			}
		}
	}
	return out
}
