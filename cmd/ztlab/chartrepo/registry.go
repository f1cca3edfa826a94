package chartrepo

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztlab/charts"
)

// Media types of a chart in an OCI registry
// (https://helm.sh/docs/topics/registries/).
const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.cncf.helm.config.v1+json"
	layerType    = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// A registry is the pulling half of the OCI distribution protocol
// (https://github.com/opencontainers/distribution-spec) over charts in memory,
// keyed by repository name, for example jetstack/charts/cert-manager.
type registry map[string]*imageRepository

// An imageRepository holds one chart's versions.
type imageRepository struct {
	tags      []string
	manifests map[string]blob // by tag and by digest
	blobs     map[string]blob // by digest
}

type blob struct {
	mediaType string
	digest    string // sha256:…
	data      []byte
}

func newBlob(mediaType string, data []byte) blob {
	return blob{mediaType: mediaType, digest: "sha256:" + digest(data), data: data}
}

// add offers archives below prefix.
func (g registry) add(prefix string, archives []charts.Archive) error {
	type descriptor struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int    `json:"size"`
	}
	describe := func(b blob) descriptor { return descriptor{b.mediaType, b.digest, len(b.data)} }
	for _, a := range archives {
		name := prefix + "/" + a.Name
		r := g[name]
		if r == nil {
			r = &imageRepository{manifests: map[string]blob{}, blobs: map[string]blob{}}
			g[name] = r
		}
		metadata, err := json.Marshal(a.Metadata)
		if err != nil {
			return fmt.Errorf("%s %s: %w", a.Name, a.Version, err)
		}
		config, layer := newBlob(configType, metadata), newBlob(layerType, a.Data)
		text, err := json.Marshal(map[string]any{
			"schemaVersion": 2,
			"mediaType":     manifestType,
			"config":        describe(config),
			"layers":        []descriptor{describe(layer)},
		})
		if err != nil {
			return fmt.Errorf("%s %s: %w", a.Name, a.Version, err)
		}
		manifest := newBlob(manifestType, text)
		// A tag cannot hold the + of a version; Helm writes _ for it.
		tag := strings.ReplaceAll(a.Version, "+", "_")
		r.tags = append(r.tags, tag)
		r.manifests[tag], r.manifests[manifest.digest] = manifest, manifest
		r.blobs[config.digest], r.blobs[layer.digest] = config, layer
	}
	return nil
}

// ServeHTTP answers GET and HEAD below /v2/.
func (g registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	rest := strings.TrimPrefix(r.URL.Path, "/v2/")
	if rest == "" {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, "{}")
		return
	}
	parts := strings.Split(rest, "/")
	if len(parts) < 3 {
		refuse(w, "NAME_UNKNOWN", rest)
		return
	}
	name := strings.Join(parts[:len(parts)-2], "/")
	kind, reference := parts[len(parts)-2], parts[len(parts)-1]
	images := g[name]
	if images == nil {
		refuse(w, "NAME_UNKNOWN", name)
		return
	}
	var found blob
	code := ""
	switch {
	case kind == "tags" && reference == "list":
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"name": name, "tags": slices.Sorted(slices.Values(images.tags))})
		return
	case kind == "manifests":
		found, code = images.manifests[reference], "MANIFEST_UNKNOWN"
	case kind == "blobs":
		found, code = images.blobs[reference], "BLOB_UNKNOWN"
	default:
		refuse(w, "UNSUPPORTED", kind)
		return
	}
	if found.data == nil {
		refuse(w, code, reference)
		return
	}
	mediaType := found.mediaType
	if kind == "blobs" {
		mediaType = "application/octet-stream"
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Docker-Content-Digest", found.digest)
	w.Header().Set("Content-Length", fmt.Sprint(len(found.data)))
	if r.Method != http.MethodHead {
		w.Write(found.data)
	}
}

// refuse answers with the protocol's error body.
func refuse(w http.ResponseWriter, code, detail string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	json.NewEncoder(w).Encode(map[string]any{
		"errors": []map[string]string{{"code": code, "message": strings.ToLower(strings.ReplaceAll(code, "_", " ")), "detail": detail}},
	})
}
