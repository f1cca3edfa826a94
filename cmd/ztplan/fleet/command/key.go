package command

import (
	"cmp"
	"path/filepath"

	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/engine"
)

// key reads the key that signs the report of a fleet: that of --sign-key, or the one
// that the fleet names, beside its file. It is nil without one, and without a report.
func (a *commands) key(file string, d *fleet.Document) (*attest.Key, error) {
	name, what := a.signKey, "--sign-key"
	switch {
	case name != "" && a.report == "":
		return nil, &cli.Error{Code: cli.Invalid, Text: "--sign-key: there is nothing to sign", Hint: "add --report DIR"}
	case name == "" && d.Evidence.Sign != "":
		name, what = d.Evidence.Sign, "evidence.sign"
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(file), name)
		}
	}
	if name == "" || a.report == "" {
		return nil, nil
	}
	data, err := a.Inputs.ReadGiven(name)
	var key *attest.Key
	if err == nil {
		key, err = attest.ParsePrivate(name, data)
	}
	if err == nil {
		err = a.Inputs.Exposed(name)
	}
	if err != nil {
		return nil, &cli.Error{Code: cli.Invalid, Text: what + ": " + err.Error(), Hint: cmp.Or(engine.HintOf(err), "make one with: openssl genpkey -algorithm ed25519 -out key.pem")}
	}
	return key, nil
}
