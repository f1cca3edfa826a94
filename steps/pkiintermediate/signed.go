package pkiintermediate

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
)

// lookSigned reads the certificate that the external parent signed. A missing certificate,
// or that of a former request, is awaited. One that does not fit is a permanent error with
// all its faults.
func (a *authority) lookSigned() error {
	e := a.Parent.External
	text, err := e.CertificateFile.Read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var bundle []*x509.Certificate
	if err == nil {
		bundle, err = certs.Parse(string(text))
	}
	if err != nil {
		return a.unfit([]string{err.Error()})
	}
	if a.holder(certs.SubjectKeyID(bundle[0].RawSubjectPublicKeyInfo)) != nil {
		return nil
	}
	chain, problems := a.judge(bundle)
	if len(problems) > 0 {
		return a.unfit(problems)
	}
	a.signing.chain = chain
	return nil
}

// handed returns the certificates in the file of the signed one, as far as they can be
// read: authorities between it and the root that the mount may have lost.
func (a *authority) handed() []*x509.Certificate {
	text, err := a.Parent.External.CertificateFile.Read()
	if err != nil {
		return nil
	}
	bundle, _ := certs.Parse(string(text)) // its faults are reported where it is judged
	return bundle
}

func (a *authority) unfit(problems []string) error {
	e := a.Parent.External
	text := problems[0]
	if len(problems) > 1 {
		text = fmt.Sprintf("%d things are wrong with it:\n  - %s", len(problems), strings.Join(problems, "\n  - "))
	}
	return engine.WithHint(engine.Permanent(fmt.Errorf("%s: %s", e.CertificateFile.Name, text)),
		fmt.Sprintf("nothing was imported; sign %s again, as an authority (CA:TRUE, keyCertSign, cRLSign), and put the certificate at %s, the intermediate first",
			e.CSRFile.Name, e.CertificateFile.Name))
}

// judge returns the chain of a signed certificate, itself first and the root last, or all
// that is wrong with the bundle that it came in.
func (a *authority) judge(bundle []*x509.Certificate) (chain []*x509.Certificate, problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	c, csr := bundle[0], a.Parent.External.CSRFile.Name
	if !bytes.Equal(c.RawSubjectPublicKeyInfo, a.signing.request.RawSubjectPublicKeyInfo) {
		add("its first certificate, %s, has another key than the request in %s", certs.Subject(c), csr)
		for n, other := range bundle[1:] {
			if bytes.Equal(other.RawSubjectPublicKeyInfo, a.signing.request.RawSubjectPublicKeyInfo) {
				add("the order is wrong: certificate %d, %s, is the intermediate, and belongs first", n+2, certs.Subject(other))
			}
		}
		return nil, problems // the rest is about another certificate
	}
	for n := range len(bundle) - 1 {
		if err := bundle[n].CheckSignatureFrom(bundle[n+1]); err != nil {
			add("the order is wrong, or a certificate too many: certificate %d, %s, is not signed by the next, %s", n+1, certs.Subject(bundle[n]), certs.Subject(bundle[n+1]))
		}
	}
	a.judgeOwn(c, add)
	above, err := a.lead(c, bundle[1:]...)
	if err != nil && a.now.Before(c.NotAfter) && !a.now.Before(c.NotBefore) {
		add("it does not lead to %s in %s: %v", certs.Subject(a.signing.root), a.Parent.External.RootFile.Name, err)
	}
	for _, over := range above {
		if c.NotAfter.After(over.NotAfter) {
			add("it lives until %s, longer than %s, which ends at %s", stamp(c.NotAfter), certs.Subject(over), stamp(over.NotAfter))
		}
	}
	return append([]*x509.Certificate{c}, above...), problems
}

// judgeOwn judges the content of a signed certificate.
func (a *authority) judgeOwn(c *x509.Certificate, add func(string, ...any)) {
	for _, d := range a.misnamed(c) {
		add("%s is %v, and the plan asks for %v", d.Field, d.Have, d.Want)
	}
	if !c.BasicConstraintsValid || !c.IsCA {
		add("it is no authority: its basic constraints do not say CA:TRUE")
	}
	if c.KeyUsage&x509.KeyUsageCertSign == 0 {
		add("it may not sign certificates: its key usage lacks keyCertSign")
	}
	if c.KeyUsage&x509.KeyUsageCRLSign == 0 {
		add("it may not sign revocation lists, which Vault does with it: its key usage lacks cRLSign")
	}
	if n := a.MaxPathLength; n != nil && pathLength(c) != any(*n) {
		add("its path length is %v, and the plan asks for maxPathLength %d", orNone(pathLength(c)), *n)
	}
	switch left := c.NotAfter.Sub(a.now); {
	case a.now.Before(c.NotBefore):
		add("it is valid only from %s on", stamp(c.NotBefore))
	case left <= 0:
		add("it expired at %s", stamp(c.NotAfter))
	case left <= a.RenewBefore.Std():
		add("it ends at %s, within renewBefore (%s): it would be replaced at once", stamp(c.NotAfter), a.RenewBefore)
	}
}

func orNone(v any) any {
	if v == nil {
		return "not limited"
	}
	return v
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
