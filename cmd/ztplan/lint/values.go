package lint

import (
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/hosting"
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
		imageTags(c.values, "", tags)
		const etcd = "etcd.image.tag"
		if _, given := tags[etcd]; !given && c.name == "apisix" && versions.FloatingEtcd.Has(c.version) && c.value("etcd.enabled") != false {
			tags[etcd] = "latest"
		}
		for _, path := range slices.Sorted(maps.Keys(tags)) {
			if image := strings.TrimSuffix(path, ".tag"); floats(tags[path]) && c.text(image+".digest") == "" {
				out = append(out, c.finding(path, "floating-image", "set "+image+".digest, or "+path+" to a version",
					"%s of chart %s is %q", path, c.name, tags[path]))
			}
		}
	}
	for _, o := range f.objects {
		for _, spec := range podSpecs(o.fields) {
			for _, list := range []string{"initContainers", "containers"} {
				containers, _ := spec.fields[list].([]any)
				for _, c := range containers {
					m, _ := c.(map[string]any)
					image, _ := m["image"].(string)
					if tag, ok := tagOf(image); ok && floats(tag) {
						out = append(out, o.finding(spec.path+"."+list, "floating-image", "", "%s %s runs image %s", o.kind, o.id(), image))
					}
				}
			}
		}
	}
	return out
}

// imageTags collects the texts below a key image.tag, by dotted path.
func imageTags(m map[string]any, prefix string, into map[string]string) {
	for key, v := range m {
		path := prefix + key
		switch v := v.(type) {
		case map[string]any:
			imageTags(v, path+".", into)
		case string:
			if strings.HasSuffix("."+path, ".image.tag") && v != "" {
				into[path] = v
			}
		}
	}
}

// floats reports whether a tag has no digit: latest, stable, alpine.
func floats(tag string) bool { return !strings.ContainsAny(tag, "0123456789") }

// tagOf returns the tag of an image, "latest" if it has none; not ok for an image with a
// digest, and for none.
func tagOf(image string) (tag string, ok bool) {
	if image == "" || strings.Contains(image, "@") {
		return "", false
	}
	if _, tag, ok := strings.Cut(lastPart(image), ":"); ok {
		return tag, true
	}
	return "latest", true
}

// A podSpec is the specification of pods in an object.
type podSpec struct {
	path   string // in the object, "spec.template.spec"
	fields map[string]any
}

// podSpecs returns that of a Pod, of a workload, and of a CronJob.
func podSpecs(object map[string]any) []podSpec {
	var out []podSpec
	for _, path := range []string{"spec", "spec.template.spec", "spec.jobTemplate.spec.template.spec"} {
		fields, _ := hosting.Dig(object, strings.Split(path, ".")...).(map[string]any)
		if fields["containers"] != nil {
			out = append(out, podSpec{path, fields})
		}
	}
	return out
}
