package pkiintermediate

import (
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// An External parent signs outside of this Vault: an offline root, or an authority of
// another organisation. The request leaves as a file, and the certificate comes back as
// one.
type External struct {
	// CSRFile is where the certificate signing request is written, in PEM, mode 0644. It
	// is overwritten only when its own request is signed and imported.
	CSRFile engine.File `yaml:"csrFile" check:"required"`
	// CertificateFile is where the signed certificate is expected, in PEM: the
	// intermediate first, then, if there are any, the authorities between it and the root,
	// each signed by the next; the root may follow. It need not be there before the request
	// is signed.
	CertificateFile engine.File `yaml:"certificateFile" check:"required"`
	// RootFile has the certificate of the root, in PEM, that the intermediate must lead
	// to.
	RootFile engine.File `yaml:"rootFile" check:"required,exists"`
}

// String names the parent.
func (e *External) String() string { return "the root in " + e.RootFile.Name }

func (e *External) validate(p *engine.Problems) {
	fields := map[string]string{} // by path
	for _, f := range []struct {
		field string
		file  engine.File
	}{{"rootFile", e.RootFile}, {"csrFile", e.CSRFile}, {"certificateFile", e.CertificateFile}} {
		field := "parent.external." + f.field
		if first, again := fields[filepath.Clean(f.file.Path)]; again && !f.file.IsZero() {
			p.Add(field, "%s is given as %s as well", f.file.Name, first)
		}
		fields[filepath.Clean(f.file.Path)] = f.field
	}
	if e.RootFile.IsZero() {
		return
	}
	if _, err := e.root(); err != nil {
		p.AddProblem(engine.Problem{Field: "parent.external.rootFile", Message: err.Error(), Hint: engine.HintOf(err)})
	}
}

// root returns the certificate of the root.
func (e *External) root() (*x509.Certificate, error) {
	text, err := e.RootFile.Read()
	if err != nil {
		return nil, err
	}
	root, err := certs.ParseOne(string(text))
	switch {
	case err != nil:
		err = fmt.Errorf("%s: %w", e.RootFile.Name, err)
	case !certs.SelfSigned(root):
		err = engine.WithHint(fmt.Errorf("%s: %s is signed by %s: it is no root", e.RootFile.Name, certs.Subject(root), root.Issuer),
			"give the root that it leads to; authorities below it belong into certificateFile")
	case !root.IsCA || root.KeyUsage != 0 && !certs.Signs(root): // old roots may not name their uses
		err = fmt.Errorf("%s: %s may not sign certificates", e.RootFile.Name, certs.Subject(root))
	}
	return root, err
}

// todo returns the instruction to a person before the next run.
func (e *External) todo() string {
	return fmt.Sprintf("sign %s with your root and put the certificate at %s, then run again", e.CSRFile.Name, e.CertificateFile.Name)
}

// lead returns the authorities over c up to the root, or why c does not lead to it, with
// the authorities that are at hand: those of the mount, and more.
func (a *authority) lead(c *x509.Certificate, more ...*x509.Certificate) ([]*x509.Certificate, error) {
	root := a.signing.root
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(root)
	for _, i := range a.issuers {
		between.AddCert(i.Certificate)
	}
	for _, other := range more {
		between.AddCert(other)
	}
	chains, err := c.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: a.now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, err
	}
	if len(chains[0]) < 2 {
		return nil, errors.New("it is the root itself")
	}
	above := chains[0][1:]
	for n, over := range above {
		// The chain was verified as one of a leaf, and c is an authority below all of them.
		if limit, has := pathLength(over).(int); has && limit <= n {
			return nil, fmt.Errorf("the path length of %s, %d, allows no such authority below it", certs.Subject(over), limit)
		}
	}
	return above, nil
}

// expired refuses a root that signs nothing any more.
func (a *authority) expired(root *x509.Certificate) error {
	if a.now.Before(root.NotAfter) {
		return nil
	}
	return vaultkit.Refusal("make a new root first, and put its certificate there",
		"%s: %s expired at %s", a.Parent.External.RootFile.Name, certs.Subject(root), stamp(root.NotAfter))
}
