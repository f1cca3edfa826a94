// Package images finds the images in the values of charts and in manifests, and knows which
// of their tags move.
package images

import (
	"strings"

	"github.com/ztplan/ztplan/steps/hosting"
)

// Tags collects the texts below a key image.tag, by dotted path.
func Tags(m map[string]any, prefix string, into map[string]string) {
	for key, v := range m {
		path := prefix + key
		switch v := v.(type) {
		case map[string]any:
			Tags(v, path+".", into)
		case string:
			if strings.HasSuffix("."+path, ".image.tag") && v != "" {
				into[path] = v
			}
		}
	}
}

// Floats reports whether a tag has no digit: latest, stable, alpine.
func Floats(tag string) bool { return !strings.ContainsAny(tag, "0123456789") }

// TagOf returns the tag of an image, "latest" if it has none; not ok for an image with a
// digest, and for none.
func TagOf(image string) (tag string, ok bool) {
	if image == "" || strings.Contains(image, "@") {
		return "", false
	}
	if _, tag, ok := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], ":"); ok {
		return tag, true
	}
	return "latest", true
}

// A PodSpec is the specification of pods in an object.
type PodSpec struct {
	Path   string // in the object, "spec.template.spec"
	Fields map[string]any
}

// PodSpecs returns that of a Pod, of a workload, and of a CronJob.
func PodSpecs(object map[string]any) []PodSpec {
	var out []PodSpec
	for _, path := range []string{"spec", "spec.template.spec", "spec.jobTemplate.spec.template.spec"} {
		fields, _ := hosting.Dig(object, strings.Split(path, ".")...).(map[string]any)
		if fields["containers"] != nil {
			out = append(out, PodSpec{path, fields})
		}
	}
	return out
}
