package chart

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/durable"
	"github.com/ztplan/ztplan/steps/evidence"
)

// A cache keeps files that can be fetched again below a directory. Several processes
// may use it at once: files appear complete, by renaming, and are
// checked against their digests. The empty cache keeps nothing.
type cache string

func cacheOf(env *engine.Env) cache {
	if env.CacheDir == "" {
		return ""
	}
	return cache(filepath.Join(env.CacheDir, "helm"))
}

// archive returns the chart archive with the SHA-256 digest (hex), or nil. A
// file that does not have the digest in its name is removed.
func (c cache) archive(digest string) []byte {
	if c == "" || !evidence.IsDigest(digest) {
		return nil
	}
	path := filepath.Join(string(c), "charts", digest+".tgz")
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	if evidence.Digest(b) != digest {
		_ = os.Remove(path)
		return nil
	}
	return b
}

func (c cache) keepArchive(b []byte) error {
	return c.write(filepath.Join("charts", evidence.Digest(b)+".tgz"), b)
}

// read decodes the record name, in a folder of the cache, into v. It reports
// whether there was one.
func (c cache) read(folder, key string, v any) bool {
	if c == "" {
		return false
	}
	b, err := os.ReadFile(filepath.Join(string(c), folder, evidence.Digest([]byte(key))+".json"))
	return err == nil && json.Unmarshal(b, v) == nil
}

func (c cache) keep(folder, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.write(filepath.Join(folder, evidence.Digest([]byte(key))+".json"), b)
}

// write replaces a file of the cache.
func (c cache) write(name string, b []byte) error {
	if c == "" {
		return nil
	}
	path := filepath.Join(string(c), name)
	if _, err := os.Stat(path); err == nil && filepath.Ext(path) == ".tgz" {
		return nil // named by its content
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("chart cache: %w", err)
	}
	if err := durable.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("chart cache: %w", err)
	}
	return nil
}
