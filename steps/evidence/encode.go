package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/ztplan/ztplan/engine/display"
)

// Seal computes the digests. Call it once the document is complete.
func (d *Document) Seal() error {
	digests, err := d.ComputeDigests()
	if err != nil {
		return err
	}
	d.Digests = digests
	return nil
}

// ComputeDigests returns the digests of the present content.
func (d *Document) ComputeDigests() (Digests, error) {
	out := Digests{Algorithm: "sha256"}
	overall := sha256.New()
	fmt.Fprintf(overall, "%s\n", d.Schema)
	v := reflect.ValueOf(*d)
	for i := range v.NumField() {
		name, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if name == "schema" || name == "digests" || name == "pages" {
			continue
		}
		if options == "omitempty" && v.Field(i).IsZero() {
			continue // a section that an older version did not have
		}
		b, err := encode(v.Field(i).Interface(), "")
		if err != nil {
			return Digests{}, fmt.Errorf("evidence: %s: %w", name, err)
		}
		digest := Digest(bytes.TrimSuffix(b, []byte("\n")))
		out.Sections = append(out.Sections, SectionDigest{name, digest})
		fmt.Fprintf(overall, "%s  %s\n", digest, name)
	}
	out.Overall = hex.EncodeToString(overall.Sum(nil))
	if len(d.Pages) > 0 {
		b, err := encode(d.Pages, "")
		if err != nil {
			return Digests{}, fmt.Errorf("evidence: pages: %w", err)
		}
		out.Pages = Digest(bytes.TrimSuffix(b, []byte("\n")))
	}
	return out, nil
}

// Digest returns the SHA-256 of b in lower-case hexadecimal.
func Digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// IsDigest reports whether s may be a result of [Digest].
func IsDigest(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && s == hex.EncodeToString(b)
}

// Encode returns the canonical bytes of the document. Characters that a terminal
// would execute are escapes in it, see [display.JSON]; the digests are of the
// values, however they are written.
func (d *Document) Encode() ([]byte, error) {
	b, err := encode(d, "  ")
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	return display.JSON(b), nil
}

func encode(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// Decode reads a document. Unknown fields and anything after the document are
// errors: nothing in the file may go unverified. Numbers in Have, Want, Limit,
// Saw and Data are json.Number.
func Decode(data []byte) (*Document, error) {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	if head.Schema != Schema {
		return nil, fmt.Errorf("evidence: schema %q is not %q: take a ztplan that writes and reads it", head.Schema, Schema)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	d := new(Document)
	if err := dec.Decode(d); err != nil {
		return nil, fmt.Errorf("evidence: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("evidence: there is something after the document")
	}
	return d, nil
}
