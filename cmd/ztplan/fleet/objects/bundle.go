package objects

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// maxBundle is how many bytes a bundle may have: a ConfigMap holds at most 1 MiB, and the
// fleet is in it as well.
const maxBundle = 900 << 10

// maxUnpacked bounds a bundle when it is unpacked.
const maxUnpacked = 64 << 20

// Pack returns files as a compressed archive, the same bytes for the same files.
func Pack(files map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(files[name])), Format: tar.FormatPAX}); err != nil {
			return nil, err
		}
		if _, err := t.Write(files[name]); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return nil, err
	}
	if out.Len() > maxBundle {
		return nil, fmt.Errorf("the plan and its files have %d bytes when compressed, and a ConfigMap takes at most %d of them", out.Len(), maxBundle)
	}
	return out.Bytes(), nil
}

// Unpack writes the files of a bundle below dir.
func Unpack(bundle []byte, dir string) error {
	z, err := gzip.NewReader(bytes.NewReader(bundle))
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	t := tar.NewReader(io.LimitReader(z, maxUnpacked))
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("bundle: %w", err)
		}
		data, err := io.ReadAll(t)
		if err != nil {
			return fmt.Errorf("bundle: %s: %w", h.Name, err)
		}
		if err := root.MkdirAll(filepath.Dir(h.Name), 0o700); err != nil {
			return err
		}
		if err := root.WriteFile(h.Name, data, 0o600); err != nil {
			return err
		}
	}
}
