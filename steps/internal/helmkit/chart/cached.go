package chart

import (
	"net/url"
	"path"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/session"
)

// Cached returns the chart that s names without contacting anything: from its path,
// or from the cache, where a run has left it. It is nil if the chart is in neither,
// cannot be read or has another version.
func Cached(env *engine.Env, s Source) *Chart {
	if c := cached(env, s); c != nil && s.names(c) {
		return c
	}
	return nil
}

func cached(env *engine.Env, s Source) *Chart {
	switch s.scheme() {
	case fromRepository:
		return cachedByIndex(env, s, session.Of(env).Mirrored(s.Repo), s.Chart)
	case fromRegistry:
		address := session.Of(env).Mirrored(s.reference())
		if u, err := url.Parse(address); err == nil && !isOCI(address) {
			name := path.Base(u.Path)
			u.Path = strings.TrimSuffix(path.Dir(u.Path), "/")
			return cachedByIndex(env, s, u.String(), name)
		}
		var known pin
		if !cacheOf(env).read("tags", address+":"+s.Version, &known) {
			return nil
		}
		return cachedArchive(env, known.Archive, address)
	}
	c, err := Local(env, s)
	if err != nil {
		return nil
	}
	return c
}

func cachedByIndex(env *engine.Env, s Source, address, name string) *Chart {
	at, err := indexAddress(strings.TrimSuffix(address, "/"))
	if err != nil {
		return nil
	}
	var known index
	if !cacheOf(env).read("indexes", at, &known) {
		return nil
	}
	v, ok := known.find(name, s.Version)
	if !ok {
		return nil
	}
	return cachedArchive(env, v.Digest, at)
}

func cachedArchive(env *engine.Env, digest, from string) *Chart {
	b := cacheOf(env).archive(digest)
	if b == nil {
		return nil
	}
	c, err := parseArchive(b, redacted(from))
	if err != nil {
		return nil
	}
	return c
}
