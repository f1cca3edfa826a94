package run

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/scrypt"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/redact"
)

// hidden collects the secrets in the input of a digest, each with its place.
type hidden struct{ texts []string }

func (h *hidden) add(redactor *redact.Redactor, path string, v any) {
	switch v := v.(type) {
	case engine.Secret:
		h.texts = append(h.texts, fmt.Sprintf("%q %q", path, v.Reveal()))
	case string:
		if redactor.Text(v) != v {
			h.texts = append(h.texts, fmt.Sprintf("%q %q", path, v))
		}
	case map[string]any:
		for k, e := range v {
			h.add(redactor, path+"/"+k, e)
		}
	case []any:
		for i, e := range v {
			h.add(redactor, fmt.Sprintf("%s/%d", path, i), e)
		}
	}
}

// withHidden returns lines and one more that stands for the secrets in them, if
// there are some. The package doc states its worth.
func (r *runner) withHidden(step string, lines func(*redact.Redactor, *hidden) [][]byte) [][]byte {
	h := new(hidden)
	out := lines(r.settled, h)
	if len(h.texts) > 0 {
		out = append(out, lineOf(digestEntry{Hidden: h.hash(r.opts.Env.Plan+" "+step, len(r.nodes))}))
	}
	return out
}

// Work of one hash and of all hashes of a run, as scrypt counts it. 1<<15 takes 32 MiB
// and about 80 ms: the least that is advised (https://www.rfc-editor.org/rfc/rfc7914,
// https://pkg.go.dev/golang.org/x/crypto/scrypt).
const (
	hashWork = 1 << 15
	runWork  = hashWork << 6
)

// hash does not depend on the order of the texts. Of large plans each hash costs
// less, so that a dry run stays fast; steps is the number of steps.
func (h *hidden) hash(salt string, steps int) string {
	work := hashWork
	for work > 2 && work*steps > runWork {
		work /= 2
	}
	slices.Sort(h.texts)
	key, err := scrypt.Key([]byte(strings.Join(slices.Compact(h.texts), "\n")), []byte(digestVersion+salt), work, 8, 1, 32)
	if err != nil {
		panic(err) // the parameters are wrong
	}
	return base64.RawStdEncoding.EncodeToString(key)
}
