package kubekit

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

// Claims returns the claims of a step that gives an object this content: each of
// its fields, sorted, without empty ones. ref has the namespace, if the kind has any,
// and field is the input with the content.
func Claims(ref Ref, content map[string]any, field string) []engine.Claim {
	gk := ref.GVK().GroupKind()
	leaves := kubefields.Condense(gk, kubefields.Flatten(content))
	object := ClaimPath(ref)
	var claims []engine.Claim
	for _, path := range slices.Sorted(maps.Keys(leaves)) {
		v := leaves[path]
		if m, is := v.(map[string]any); v == nil || is && len(m) == 0 {
			continue
		}
		if key, plain := strings.CutPrefix(path, "stringData/"); plain && gk == (schema.GroupKind{Kind: "Secret"}) {
			text, _ := v.(string)
			path, v = "data/"+key, base64.StdEncoding.EncodeToString([]byte(text))
		}
		claims = append(claims, engine.Claim{Path: object + "/" + path, Want: v, Field: field})
	}
	return claims
}

// ClaimPath identifies an object in a cluster, whatever version of its kind a manifest
// uses.
func ClaimPath(ref Ref) string {
	ref.Kind = ref.GVK().GroupKind().String()
	return ref.String()
}
