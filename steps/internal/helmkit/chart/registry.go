package chart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/session"
)

// Media types of a chart in a registry (helm.sh/docs/topics/registries): the
// manifest has one layer of the first; old charts have the second.
const (
	chartLayer       = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	legacyChartLayer = "application/tar+gzip"
)

// maxManifest bounds an image manifest; registries accept up to 4 MiB.
const maxManifest = 4 << 20

// A pin is the archive that a tag meant, in the cache.
type pin struct {
	Manifest string `json:"manifest"` // digest of the image manifest, "sha256:…"
	Archive  string `json:"archive"`  // SHA-256 of the chart archive, hex
}

// fetchFromRegistry fetches a chart from an OCI registry. Its mirror may be
// another registry, or a chart repository that has the chart by its name.
func fetchFromRegistry(ctx context.Context, env *engine.Env, s Source) (*Chart, error) {
	named := s.reference()
	address := session.Of(env).Mirrored(named)
	if !isOCI(address) {
		u, err := url.Parse(address)
		if err != nil {
			return nil, engine.Permanent(fmt.Errorf("chart %s: mirror %s: %w", named, redacted(address), err))
		}
		chart := path.Base(u.Path)
		u.Path = strings.TrimSuffix(path.Dir(u.Path), "/")
		return fetchByIndex(ctx, env, s, strings.TrimSuffix(named, "/"+chart), u.String(), chart)
	}
	client, err := httpClient(s.CAFile)
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	repo, err := openRegistry(client, s, named, address)
	if err != nil {
		return nil, err
	}
	return pull(ctx, env, repo, s, named, address)
}

func openRegistry(client *http.Client, s Source, named, address string) (*remote.Repository, error) {
	repo, err := remote.NewRepository(strings.TrimPrefix(address, "oci://"))
	if err != nil {
		return nil, engine.WithHint(engine.Permanent(fmt.Errorf("chart %s: %w", address, err)),
			"write oci://HOST/PATH/CHART without a tag; the version says which tag")
	}
	// As container engines do: a registry on this machine may speak plain HTTP.
	repo.PlainHTTP = engine.Loopback(repo.Reference.Registry)
	at := &url.URL{Scheme: "https", Host: repo.Reference.Host()}
	if repo.PlainHTTP {
		at.Scheme = "http"
	}
	guarded := *client
	guarded.Transport = tokenGuard{registry: at, next: client.Transport}
	ac := &auth.Client{Client: &guarded, Cache: auth.NewCache(), Header: http.Header{"User-Agent": {"ztplan"}}}
	if s.Username != "" {
		host, _, _ := strings.Cut(strings.TrimPrefix(named, "oci://"), "/")
		ac.Credential = auth.StaticCredential(host, auth.Credential{Username: s.Username, Password: s.Password.Reveal()})
	}
	repo.Client = ac
	return repo, nil
}

// pull asks which manifest the tag means, and takes the archive from the cache
// if it is there. A registry that does not answer is no obstacle then.
func pull(ctx context.Context, env *engine.Env, repo *remote.Repository, s Source, named, address string) (*Chart, error) {
	c, key := cacheOf(env), address+":"+s.Version
	var known pin
	c.read("tags", key, &known)
	env.Statusf("asking %s for version %s", address, s.Version)
	desc, err := repo.Resolve(ctx, tagOf(s.Version))
	if errors.Is(err, errdef.ErrNotFound) {
		return nil, missingTag(ctx, repo, named, address, s.Version)
	}
	if err != nil {
		err = registryError(ctx, named, address, s, err)
		if b := c.archive(known.Archive); b != nil && ctx.Err() == nil && !errors.Is(err, errRefused) {
			env.Warnf("%v: using version %s from the cache", err, s.Version)
			return parseArchive(b, address)
		}
		return nil, err
	}
	if known.Manifest == desc.Digest.String() {
		if b := c.archive(known.Archive); b != nil {
			env.Logf("chart %s %s: from the cache, sha256 %s", address, s.Version, known.Archive)
			return parseArchive(b, address)
		}
	}
	env.Statusf("fetching %s", address)
	b, err := chartLayerOf(ctx, repo, desc)
	if err != nil {
		return nil, registryError(ctx, named, address, s, err)
	}
	err = errors.Join(c.keepArchive(b), c.keep("tags", key, pin{desc.Digest.String(), evidence.Digest(b)}))
	if err != nil {
		env.Logf("%v", err)
	}
	return parseArchive(b, address)
}

// chartLayerOf fetches the manifest and its chart layer; both are checked
// against their digests.
func chartLayerOf(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor) ([]byte, error) {
	if desc.Size > maxManifest {
		return nil, engine.Permanent(fmt.Errorf("its manifest is larger than %d MiB", maxManifest>>20))
	}
	b, err := fetchAll(ctx, repo, desc)
	if err != nil {
		return nil, err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(b, &manifest); err != nil {
		return nil, engine.Permanent(fmt.Errorf("its manifest: %w", err))
	}
	for _, l := range manifest.Layers {
		if l.MediaType != chartLayer && l.MediaType != legacyChartLayer {
			continue
		}
		if l.Size > maxArchive {
			return nil, engine.Permanent(fmt.Errorf("the chart is larger than %d MiB", maxArchive>>20))
		}
		return fetchAll(ctx, repo, l)
	}
	return nil, engine.Permanent(errors.New("it is an image but not a Helm chart"))
}

func fetchAll(ctx context.Context, repo *remote.Repository, desc ocispec.Descriptor) ([]byte, error) {
	r, err := repo.Fetch(ctx, desc)
	if err != nil {
		return nil, err
	}
	verified := content.NewVerifyReader(r, desc) // content.ReadAll refuses more than 32 MiB
	b, err := io.ReadAll(verified)
	if err == nil {
		err = verified.Verify()
	}
	return b, errors.Join(err, r.Close())
}

// tagOf returns the tag of a version: tags cannot hold the plus sign, and Helm
// writes an underscore for it.
func tagOf(version string) string { return strings.ReplaceAll(version, "+", "_") }

// errEnough ends a listing of tags.
var errEnough = errors.New("enough")

func missingTag(ctx context.Context, repo *remote.Repository, named, address, version string) error {
	var versions []string
	err := repo.Tags(ctx, "", func(tags []string) error {
		for _, t := range tags {
			versions = append(versions, strings.ReplaceAll(t, "_", "+"))
		}
		if len(versions) > 20_000 {
			return errEnough
		}
		return nil
	})
	where := named
	if named != address {
		where = fmt.Sprintf("%s (fetched from its mirror %s)", named, address)
	}
	var resp *errcode.ErrorResponse
	if errors.As(err, &resp) && resp.StatusCode == http.StatusNotFound {
		return engine.WithHint(engine.Permanent(fmt.Errorf("chart %s does not exist", where)), "check the address of the chart")
	}
	near := nearestVersions(version, versions)
	if near == "" {
		return engine.WithHint(engine.Permanent(fmt.Errorf("chart %s has no version %s", where, version)), "check the version")
	}
	return engine.WithHint(
		engine.Permanent(fmt.Errorf("chart %s has no version %s: the nearest are %s", where, version, near)),
		"set version to one of them: "+near)
}

// registryError explains an error of the registry, permanent or not.
func registryError(ctx context.Context, named, address string, s Source, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("chart %s: %w", named, cause)
	}
	var resp *errcode.ErrorResponse
	switch {
	case errors.As(err, &resp):
		return fmt.Errorf("chart %s: %w", named, refused(resp.URL, resp.StatusCode, s.Username != ""))
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return engine.WithHint(engine.Permanent(refusal{fmt.Errorf("chart %s: the registry wants credentials", named)}), "set username and password")
	case errors.Is(err, engine.ErrPermanent):
		return fmt.Errorf("chart %s: %w", named, err)
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrTrailingData):
		return engine.WithHint(engine.Permanent(fmt.Errorf("chart %s: the archive from %s does not have the digest that the registry states: %w", named, hostOf(address), err)),
			"the archive was changed on the way or in the registry: do not install it; ask the registry's owner")
	}
	return fmt.Errorf("chart %s: %w", named, unreachable(ctx, &url.URL{Scheme: "oci", Host: hostOf(address)}, err))
}

func hostOf(address string) string {
	host, _, _ := strings.Cut(strings.TrimPrefix(address, "oci://"), "/")
	return host
}
