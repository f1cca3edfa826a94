package chart

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/session"
)

// A repository is a chart repository at the address from which it is really
// fetched.
type repository struct {
	named   string // as the plan writes it
	address string // after mirrors, without a slash at the end
	fetch   *fetcher
	index   *index
	// stale is why the index comes from the cache without having been checked
	// against the repository, or nil.
	stale error
}

// Close ends idle connections; the session calls it.
func (r *repository) Close() error {
	r.fetch.client.CloseIdleConnections()
	return nil
}

// where names the repository for messages.
func (r *repository) where() string {
	if strings.TrimSuffix(r.named, "/") == r.address {
		return redacted(r.address)
	}
	return fmt.Sprintf("%s (fetched from its mirror %s)", redacted(r.named), redacted(r.address))
}

func redacted(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return address
}

func fetchFromRepository(ctx context.Context, env *engine.Env, s Source) (*Chart, error) {
	return fetchByIndex(ctx, env, s, s.Repo, session.Of(env).Mirrored(s.Repo), s.Chart)
}

// fetchByIndex fetches a chart from the repository at address, which the plan
// calls named.
func fetchByIndex(ctx context.Context, env *engine.Env, s Source, named, address, chart string) (*Chart, error) {
	r, err := openRepository(ctx, env, s, named, strings.TrimSuffix(address, "/"))
	if err != nil {
		return nil, err
	}
	v, ok := r.index.find(chart, s.Version)
	if !ok {
		if r.stale != nil {
			return nil, r.stale
		}
		return nil, engine.Permanent(r.index.missing(r.where(), chart, s.Version))
	}
	from, err := r.resolve(env, v.URLs[0])
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("chart repository %s: chart %s %s: %w", r.where(), chart, s.Version, err))
	}
	if b := cacheOf(env).archive(v.Digest); b != nil {
		if r.stale != nil {
			env.Warnf("chart repository %s cannot be reached: using chart %s %s from the cache (%v)", r.where(), chart, s.Version, r.stale)
		}
		env.Logf("chart %s %s: from the cache, sha256 %s", chart, s.Version, v.Digest)
		return parseArchive(b, redacted(from))
	}
	if r.stale != nil {
		return nil, r.stale
	}
	return r.download(ctx, env, v, from)
}

// download fetches an archive and checks it against the index.
func (r *repository) download(ctx context.Context, env *engine.Env, v indexVersion, from string) (*Chart, error) {
	env.Statusf("fetching %s", redacted(from))
	got, err := r.fetch.get(ctx, from, "", "", maxArchive)
	if err != nil {
		return nil, fmt.Errorf("chart repository %s: %w", r.where(), err)
	}
	sum := evidence.Digest(got.body)
	if v.Digest != "" && v.Digest != sum {
		return nil, engine.WithHint(
			engine.Permanent(fmt.Errorf("chart %s: its sha256 is %s, and the index of %s says %s", redacted(from), sum, r.where(), v.Digest)),
			"the archive was changed or cut off on the way, or the index is out of date: do not install it; ask the repository's owner")
	}
	if v.Digest != "" {
		if err := cacheOf(env).keepArchive(got.body); err != nil {
			env.Logf("%v", err)
		}
	}
	env.Logf("chart %s: fetched, sha256 %s", redacted(from), sum)
	return parseArchive(got.body, redacted(from))
}

// resolve returns where a chart's URL in the index really points: relative
// ones are relative to the repository, absolute ones may have a mirror.
func (r *repository) resolve(env *engine.Env, ref string) (string, error) {
	u, err := url.Parse(ref)
	if err != nil {
		return "", err
	}
	if !u.IsAbs() {
		base, err := url.Parse(r.address)
		if err != nil {
			return "", err
		}
		query := base.RawQuery
		base.Path, base.RawPath, base.RawQuery = strings.TrimSuffix(base.Path, "/")+"/", "", ""
		u = base.ResolveReference(u)
		if u.RawQuery == "" {
			u.RawQuery = query
		}
		return u.String(), nil
	}
	address := session.Of(env).Mirrored(ref)
	if u, err = url.Parse(address); err != nil {
		return "", err
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return "", fmt.Errorf("its address %s is not http or https", address)
	}
	return address, nil
}

// openRepository reads the index, once per run and repository. With an answer
// that is younger than the cache, it is parsed and cached.
func openRepository(ctx context.Context, env *engine.Env, s Source, named, address string) (*repository, error) {
	key := strings.Join([]string{"helmkit index", named, address, s.Username, s.CAFile.Path}, "\x00")
	return engine.Share(ctx, env.Session, key, func(ctx context.Context) (*repository, error) {
		base, err := url.Parse(named)
		if err != nil {
			return nil, engine.Permanent(fmt.Errorf("chart repository %s: %w", named, err))
		}
		index, err := indexAddress(address)
		if err != nil {
			return nil, engine.Permanent(fmt.Errorf("chart repository %s: %w", address, err))
		}
		client, err := httpClient(s.CAFile)
		if err != nil {
			return nil, err
		}
		r := &repository{
			named:   named,
			address: address,
			fetch:   &fetcher{client: client, base: base, username: s.Username, password: s.Password},
		}
		return r, r.readIndex(ctx, env, index)
	})
}

// indexAddress returns where the index of the repository at an address is.
func indexAddress(address string) (string, error) {
	at, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	at.Path = path.Join("/", at.Path, "index.yaml")
	return at.String(), nil
}

func (r *repository) readIndex(ctx context.Context, env *engine.Env, address string) error {
	c := cacheOf(env)
	known := new(index)
	cached := c.read("indexes", address, known) && known.Charts != nil
	if !cached { // or the repository would be asked about what is not there
		known = new(index)
	}
	env.Statusf("reading the index of chart repository %s", redacted(r.address))
	got, err := r.fetch.get(ctx, address, known.ETag, known.Modified, maxIndex)
	switch {
	case err != nil:
		err = fmt.Errorf("chart repository %s: %w", r.where(), err)
		if !cached || ctx.Err() != nil || errors.Is(err, errRefused) {
			return err
		}
		r.index, r.stale = known, err
		return nil
	case got.unchanged:
		r.index = known
		return nil
	}
	x, err := parseIndex(got.body)
	if err != nil {
		return engine.WithHint(engine.Permanent(fmt.Errorf("chart repository %s: index.yaml: %w", r.where(), err)),
			"check the address of the repository")
	}
	x.ETag, x.Modified = got.etag, got.modified
	r.index = x
	if err := c.keep("indexes", address, x); err != nil {
		env.Logf("%v", err)
	}
	return nil
}
