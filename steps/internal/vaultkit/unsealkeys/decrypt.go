package unsealkeys

import (
	"filippo.io/age"

	"github.com/ztplan/ztplan/engine"
)

// Decrypt adds to a, in the clear, the shares and the root token that identities
// are for. It reports parts that are for one of them and cannot be decrypted.
func (a *Answer) Decrypt(ids []age.Identity, report func(part string, err error)) {
	read := func(p Part, part string) (text engine.Secret, ok bool) {
		if len(p.Age) == 0 {
			return engine.Secret{}, false
		}
		plain, ok, err := openAge(p.Text, ids)
		if err != nil {
			report(part, err)
		}
		return engine.NewSecret(plain), ok
	}
	for _, p := range a.Sealed {
		if share, ok := read(p, "the share of "+p.Name); ok {
			a.Shares = append(a.Shares, share)
			a.Opened = append(a.Opened, p.Name)
		}
	}
	if p := a.SealedRootToken; p != nil {
		if token, ok := read(*p, "the root token"); ok {
			a.RootToken = token
		}
	}
}
