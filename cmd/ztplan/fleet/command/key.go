package main

import (
	"cmp"
	"path/filepath"

	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/engine"
)

// fleetKey reads the key that signs the report of a fleet: that of --sign-key, or the one
// that the fleet names, beside its file. It is nil without one, and without a report.
func (a *app) fleetKey(file string, d *fleet.Document) (*attest.Key, error) {
	name, what := a.signKey, "--sign-key"
	switch {
	case name != "" && a.report == "":
		return nil, &exitError{code: exitInvalid, text: "--sign-key: there is nothing to sign", hint: "add --report DIR"}
	case name == "" && d.Evidence.Sign != "":
		name, what = d.Evidence.Sign, "evidence.sign"
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(file), name)
		}
	}
	if name == "" || a.report == "" {
		return nil, nil
	}
	data, err := a.inputs.ReadGiven(name)
	var key *attest.Key
	if err == nil {
		key, err = attest.ParsePrivate(name, data)
	}
	if err == nil {
		err = a.inputs.Exposed(name)
	}
	if err != nil {
		return nil, &exitError{code: exitInvalid, text: what + ": " + err.Error(), hint: cmp.Or(engine.HintOf(err), "make one with: openssl genpkey -algorithm ed25519 -out key.pem")}
	}
	return key, nil
}
