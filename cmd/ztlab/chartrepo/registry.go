package chartrepo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/ztplan/ztplan/cmd/ztlab/charts"
)

// Media types of a chart in an OCI registry
// (https://helm.sh/docs/topics/registries/).
const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.cncf.helm.config.v1+json"
	layerType    = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// An ociRegistry keeps charts in memory, in repositories such as
// jetstack/charts/cert-manager. It takes writes too: newHandler lets reads through.
type ociRegistry struct{ http.Handler }

func newRegistry() ociRegistry {
	return ociRegistry{registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
}

// A descriptor names a blob in a manifest.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int    `json:"size"`
}

// add offers archives below prefix.
func (g ociRegistry) add(prefix string, archives []charts.Archive) error {
	for _, a := range archives {
		if err := g.push(prefix+"/"+a.Name, a); err != nil {
			return fmt.Errorf("%s %s: %w", a.Name, a.Version, err)
		}
	}
	return nil
}

// push writes one archive to the repository name.
func (g ociRegistry) push(name string, a charts.Archive) error {
	metadata, err := json.Marshal(a.Metadata)
	if err != nil {
		return err
	}
	config, err := g.blob(name, configType, metadata)
	if err != nil {
		return err
	}
	layer, err := g.blob(name, layerType, a.Data)
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     manifestType,
		"config":        config,
		"layers":        []descriptor{layer},
	})
	if err != nil {
		return err
	}
	// A tag cannot hold the + of a version; Helm writes _ for it.
	tag := strings.ReplaceAll(a.Version, "+", "_")
	return g.write(http.MethodPut, "/v2/"+name+"/manifests/"+tag, manifestType, manifest)
}

// blob writes data to the repository name.
func (g ociRegistry) blob(name, mediaType string, data []byte) (descriptor, error) {
	d := descriptor{MediaType: mediaType, Digest: "sha256:" + digest(data), Size: len(data)}
	return d, g.write(http.MethodPost, "/v2/"+name+"/blobs/uploads/?digest="+d.Digest, "application/octet-stream", data)
}

// write makes one request of the distribution protocol, without a network.
func (g ociRegistry) write(method, path, contentType string, data []byte) error {
	request := httptest.NewRequest(method, path, bytes.NewReader(data))
	request.Header.Set("Content-Type", contentType)
	answer := httptest.NewRecorder()
	g.ServeHTTP(answer, request)
	if answer.Code != http.StatusCreated {
		return fmt.Errorf("registry: %s %s: %d %s", method, path, answer.Code, answer.Body)
	}
	return nil
}
