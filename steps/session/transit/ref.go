package transit

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

const scheme = "hashivault://"

// A Ref names a key.
type Ref struct{ Mount, Key string }

// String is the name as Parse reads it.
func (r Ref) String() string { return scheme + r.Mount + "/" + r.Key }

// IsRef reports whether text is meant to name a key in Vault.
func IsRef(text string) bool { return strings.HasPrefix(text, scheme) }

var name = regexp.MustCompile(`^\w([\w.-]*\w)?$`)

// Parse reads the name of a key: hashivault://[MOUNT/]KEY.
func Parse(text string) (Ref, error) {
	path, ok := strings.CutPrefix(text, scheme)
	if !ok {
		return Ref{}, fmt.Errorf("%q does not begin with %s", text, scheme)
	}
	parts := strings.Split(path, "/")
	for _, p := range parts {
		if !name.MatchString(p) {
			return Ref{}, engine.WithHint(fmt.Errorf("%q is not the name of a key in Vault", text), "write hashivault://KEY, or hashivault://MOUNT/KEY when the engine is not mounted at transit")
		}
	}
	r := Ref{Mount: "transit", Key: parts[len(parts)-1]}
	if len(parts) > 1 {
		r.Mount = strings.Join(parts[:len(parts)-1], "/")
	}
	return r, nil
}

var errSignature = errors.New("the signature that Vault returned is not one by the key that it named")
