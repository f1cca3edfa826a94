// Package registry keeps evidence in an OCI registry: an artifact for each try of each
// cluster, with one layer, the evidence as gzip, and the verdict as an annotation.
//
// TLS is always verified. Plain HTTP is spoken to this machine, and elsewhere only if
// the fleet has plainHTTP.
package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/engine"
)

// Types and annotations of the artifacts.
const (
	ArtifactType      = "application/vnd.ztplan.evidence.v1+json"
	layerType         = "application/vnd.ztplan.evidence.v1+json+gzip"
	layerFile         = "evidence.json.gz"
	AnnotationVerdict = "dev.ztplan.verdict"
)

// maxManifest and maxLayer bound the sizes that are fetched, in bytes.
const (
	maxManifest = 1 << 20
	maxLayer    = 256 << 20
)

// requestTimeout bounds one request.
const requestTimeout = time.Minute

// A Repository is one of a registry.
type Repository struct {
	repo *remote.Repository
}

// Open prepares the connection to a repository with the credentials of a Docker
// configuration (the data of a Secret of type kubernetes.io/dockerconfigjson), nil for
// none. Nothing is contacted.
func Open(at record.Registry, config []byte) (*Repository, error) {
	repo, err := remote.NewRepository(at.Repository)
	if err != nil {
		return nil, fmt.Errorf("repository %s: %w", at.Repository, err)
	}
	repo.PlainHTTP = at.PlainHTTP || engine.Loopback(repo.Reference.Registry)
	guard := plainGuard{next: http.DefaultTransport}
	if repo.PlainHTTP {
		guard.plain = repo.Reference.Host()
	}
	client := &auth.Client{
		Client: &http.Client{Timeout: requestTimeout, Transport: guard}, Cache: auth.NewCache(), Header: http.Header{"User-Agent": {"ztplan-fleet"}},
	}
	if config != nil {
		store, err := credentials.NewMemoryStoreFromDockerConfig(config)
		if err != nil {
			// The error may quote the configuration.
			return nil, errors.New("the credentials for the registry are no Docker configuration")
		}
		client.Credential = credentials.Credential(store)
	}
	repo.Client = client
	return &Repository{repo}, nil
}

// A plainGuard refuses plain HTTP but to one host: a registry names the server that
// takes the credentials, and may redirect a request.
type plainGuard struct {
	plain string
	next  http.RoundTripper
}

var errPlain = errors.New("it is sent on to an address without TLS")

func (g plainGuard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && req.URL.Host != g.plain {
		return nil, errPlain
	}
	return g.next.RoundTrip(req)
}

// Push stores compressed evidence with its verdict under a tag and returns the digest of
// its manifest. Pushing the same again changes nothing.
func (r *Repository) Push(ctx context.Context, tag string, v record.Verdict, packed []byte) (string, error) {
	layer := content.NewDescriptorFromBytes(layerType, packed)
	layer.Annotations = map[string]string{ocispec.AnnotationTitle: layerFile}
	if err := r.upload(ctx, layer, packed); err != nil {
		return "", r.explain(err)
	}
	created := cmp.Or(v.Ended, time.Unix(0, 0)).UTC().Format(time.RFC3339)
	d, err := oras.PackManifest(ctx, r.repo, oras.PackManifestVersion1_1, ArtifactType, oras.PackManifestOptions{
		Layers:              []ocispec.Descriptor{layer},
		ManifestAnnotations: map[string]string{ocispec.AnnotationCreated: created, AnnotationVerdict: string(v.Encode())},
	})
	if err == nil {
		err = r.repo.Tag(ctx, d, tag)
	}
	if err != nil {
		return "", r.explain(err)
	}
	return d.Digest.String(), nil
}

func (r *Repository) upload(ctx context.Context, d ocispec.Descriptor, data []byte) error {
	ok, err := r.repo.Exists(ctx, d)
	if err != nil || ok {
		return err
	}
	return r.repo.Push(ctx, d, strings.NewReader(string(data)))
}

// Fetch returns the compressed evidence of the artifact with a digest. Both it and its
// manifest have the digests that name them.
func (r *Repository) Fetch(ctx context.Context, manifest string) ([]byte, error) {
	d, err := r.repo.Resolve(ctx, manifest)
	if err != nil {
		return nil, r.explain(err)
	}
	if d.Digest.String() != manifest || d.Size > maxManifest {
		return nil, fmt.Errorf("repository %s: the manifest %s is another one", r.repo.Reference, manifest)
	}
	data, err := content.FetchAll(ctx, r.repo, d)
	if err != nil {
		return nil, r.explain(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil || m.ArtifactType != ArtifactType || len(m.Layers) != 1 || m.Layers[0].Size > maxLayer {
		return nil, fmt.Errorf("repository %s: %s is no evidence", r.repo.Reference, manifest)
	}
	data, err = content.FetchAll(ctx, r.repo, m.Layers[0])
	if err != nil {
		return nil, r.explain(err)
	}
	return data, nil
}

// explain names the repository in an error. It is permanent if the registry refuses the
// request, which asking again does not change.
func (r *Repository) explain(err error) error {
	named := fmt.Errorf("repository %s: %w", r.repo.Reference, err)
	var answer *errcode.ErrorResponse
	var refused bool
	hint := ""
	switch {
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		refused, hint = true, "name a Secret with credentials: evidence: {secret: …}"
	case errors.Is(err, errdef.ErrNotFound):
		refused = true
	case errors.As(err, &answer):
		refused = answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests && answer.StatusCode != http.StatusRequestTimeout
		if answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden {
			hint = "the credentials of evidence.secret must be allowed to push to the repository and to pull from it"
		}
	case errors.Is(err, errPlain):
		refused = true
	case isCertificateError(err):
		refused, hint = true, "TLS is always verified; for plain HTTP write evidence: {plainHTTP: true}"
	}
	if refused {
		named = engine.Permanent(named)
	}
	if hint != "" {
		named = engine.WithHint(named, hint)
	}
	return named
}

// isCertificateError reports whether the registry's certificate is not trusted, or it
// speaks no TLS at all.
func isCertificateError(err error) bool {
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &certificate) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}
