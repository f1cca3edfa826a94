package unsealkeys

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/ztplan/ztplan/engine"
)

// WithoutRootToken returns a document without the token. One in the clear is not
// encoded anew, so that nothing else in it changes.
func WithoutRootToken(text []byte, token engine.Secret) ([]byte, error) {
	before, err := Decode(text)
	if err != nil {
		return nil, engine.Permanent(err)
	}
	switch {
	case len(before.Sealed) > 0:
		// Only its readers can compare the token. The document is one that Encode
		// wrote.
		if before.SealedRootToken == nil {
			return text, nil
		}
		before.SealedRootToken = nil
		return before.Encode(), nil
	case before.RootToken.IsZero():
		return text, nil
	case !before.RootToken.Equal(token):
		return nil, errors.New("holds another root token than a moment ago")
	}
	out := bytes.ReplaceAll(text, []byte(strconv.Quote(token.Reveal())), []byte(`""`))
	after, err := Decode(out)
	if err != nil || !after.RootToken.IsZero() || bytes.Contains(out, []byte(token.Reveal())) || !after.SameKeys(before) {
		return nil, engine.WithHint(engine.Permanent(errors.New("the root token is written there in an unusual form")),
			"take root_token out by hand; Vault does not know the token any more")
	}
	return out, nil
}
