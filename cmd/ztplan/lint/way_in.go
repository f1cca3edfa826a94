package lint

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/assertdenied"
	"github.com/ztplan/ztplan/steps/assertrotation"
	"github.com/ztplan/ztplan/steps/k8sauth"
	"github.com/ztplan/ztplan/steps/pkiintermediate"
	"github.com/ztplan/ztplan/steps/pkiroot"
	"github.com/ztplan/ztplan/steps/vaultinit"
)

// A wayIn is the connection to Vault of a step.
type wayIn interface {
	PlainText() bool
	HasToken() bool
	HasLogin() bool
}

// wayInOf returns the connection of a step, nil for one without a token or a login.
func wayInOf(spec any) wayIn {
	switch spec := spec.(type) {
	case *k8sauth.Spec:
		return spec.Vault
	case *pkiroot.Spec:
		return spec.Vault
	case *pkiintermediate.Spec:
		return spec.Vault
	case *vaultinit.Spec:
		return spec.Vault
	case *assertdenied.Spec:
		return spec.Vault
	case *assertrotation.Spec:
		return spec.Vault
	}
	return nil
}

// waysIn: credentials of the connections to Vault that are kept, exposed or sent in the
// clear. A connection that several steps share has one finding.
func waysIn(f *facts) []Finding {
	var out []Finding
	add := func(found Finding) {
		if !slices.ContainsFunc(out, func(other Finding) bool { return other.Rule == found.Rule && other.Place == found.Place }) {
			out = append(out, found)
		}
	}
	for _, s := range f.plan.Steps {
		spec, _ := s.Draft()
		tokenField := "vault.token"
		for _, c := range engine.Credentials(spec) {
			if c.Field == "vault.tokenFile" {
				tokenField = c.Field
			}
			err := c.File.Uncached().Exposed()
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				continue
			}
			found := at(s, c.Field, "exposed-credential", "", "%v", err)
			if !c.Private {
				found = found.as(Warning)
			}
			add(found)
		}
		way := wayInOf(spec)
		if way == nil {
			continue
		}
		if way.PlainText() && (way.HasToken() || way.HasLogin() || !isKnown(s, "vault.token")) {
			add(at(s, "vault.address", "plaintext-token", "", "tokens are sent to Vault over plain HTTP"))
		}
		if way.HasToken() && !way.HasLogin() {
			add(at(s, tokenField, "kept-token", "", "a token from outside of the plan lets in its steps, in every run"))
		}
	}
	return out
}
