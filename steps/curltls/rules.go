package curltls

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
)

// A rule is one thing that is asserted about a call that got its answer.
type rule struct {
	name  string
	want  any
	check func(v *call) (have any, holds bool, detail string)
}

// rules lists the rules of the spec, in the order of a reader's questions.
func (s *Spec) rules() []rule {
	e := s.Expect
	var list []rule
	if e.TLS != "" {
		list = append(list, tlsRule(e.TLS))
	}
	if e.Protocol != "" {
		list = append(list, rule{"protocol is " + e.Protocol, e.Protocol, func(v *call) (any, bool, string) {
			return v.protocol(), v.protocol() == e.Protocol, ""
		}})
	}
	list = append(list, e.Certificate.rules()...)
	list = append(list, statusRule(e.Status))
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		list = append(list, headerRule(name, mustPattern(e.Headers[name])))
	}
	if e.Body != "" {
		list = append(list, bodyRule(mustPattern(e.Body)))
	}
	return list
}

func tlsRule(least string) rule {
	version := uint16(tls.VersionTLS12)
	if least == "1.3" {
		version = tls.VersionTLS13
	}
	return rule{"TLS is at least " + least, least, func(v *call) (any, bool, string) {
		return tls.VersionName(v.conn.State.Version), v.conn.State.Version >= version, ""
	}}
}

func statusRule(want int) rule {
	if want == 0 {
		return rule{"status is below 400", "below 400", func(v *call) (any, bool, string) {
			return v.response.Code, v.response.Code < 400, v.excerpt()
		}}
	}
	return rule{fmt.Sprintf("status is %d", want), want, func(v *call) (any, bool, string) {
		return v.response.Code, v.response.Code == want, v.excerpt()
	}}
}

func headerRule(name string, want pattern) rule {
	return rule{fmt.Sprintf("header %s %s %s", name, want.verb("is"), want), want.text, func(v *call) (any, bool, string) {
		values := v.response.Header[http.CanonicalHeaderKey(name)]
		if len(values) == 0 {
			return nil, false, "the answer has no such header"
		}
		return strings.Join(values, ", "), slices.ContainsFunc(values, want.equals), ""
	}}
}

func bodyRule(want pattern) rule {
	return rule{fmt.Sprintf("body %s %s", want.verb("contains"), want), want.text, func(v *call) (any, bool, string) {
		return fmt.Sprintf("%d bytes", v.response.Size), want.within(string(v.response.Body)), v.excerpt()
	}}
}

// rules lists the rules about the certificate.
func (c Certificate) rules() []rule {
	return slices.Concat(c.nameRules(), c.lifetimeRules(), c.identityRules())
}

// certificateRules are rules about the certificate.
type certificateRules []rule

func (l *certificateRules) add(name string, want any, check func(v *call) (any, bool, string)) {
	*l = append(*l, rule{"certificate " + name, want, check})
}

// nameRules are the rules about subject and issuer.
func (c Certificate) nameRules() (list certificateRules) {
	if c.CommonName != "" {
		list.add("has common name "+c.CommonName, c.CommonName, func(v *call) (any, bool, string) {
			have := v.conn.Leaf().Subject.CommonName
			return have, have == c.CommonName, ""
		})
	}
	if c.Subject != "" {
		want := mustPattern(c.Subject)
		list.add(fmt.Sprintf("subject %s %s", want.verb("is"), want), c.Subject, func(v *call) (any, bool, string) {
			have := v.conn.Leaf().Subject.String()
			return have, want.equals(have), ""
		})
	}
	if len(c.DNSNames) > 0 {
		want := strings.Join(c.DNSNames, ", ")
		list.add("has the names "+want, want, func(v *call) (any, bool, string) {
			have := v.conn.Leaf().DNSNames
			missing := slices.DeleteFunc(slices.Clone(c.DNSNames), func(n string) bool { return slices.Contains(have, n) })
			if len(missing) > 0 {
				return strings.Join(have, ", "), false, "missing: " + strings.Join(missing, ", ")
			}
			return strings.Join(have, ", "), true, ""
		})
	}
	if c.Issuer != "" {
		want := mustPattern(c.Issuer)
		list.add(fmt.Sprintf("issuer %s %s", want.verb("is"), want), c.Issuer, func(v *call) (any, bool, string) {
			issuer := v.conn.Leaf().Issuer
			return issuer.String(), want.equals(issuer.String()) || want.equals(issuer.CommonName), ""
		})
	}
	return list
}

// lifetimeRules are the rules about chain and lifetime.
func (c Certificate) lifetimeRules() (list certificateRules) {
	if c.ChainLength > 0 {
		list.add(fmt.Sprintf("chain is %d long", c.ChainLength), c.ChainLength, func(v *call) (any, bool, string) {
			have := len(v.conn.State.PeerCertificates)
			return have, have == c.ChainLength, ""
		})
	}
	if c.MinRemaining > 0 {
		list.add(fmt.Sprintf("is valid for another %s", c.MinRemaining), c.MinRemaining.String(), func(v *call) (any, bool, string) {
			left := v.conn.Leaf().NotAfter.Sub(v.at).Truncate(1e9)
			return engine.Duration(left).String(), left >= c.MinRemaining.Std(), ""
		})
	}
	if c.MaxLifetime > 0 {
		list.add(fmt.Sprintf("lives for at most %s", c.MaxLifetime), c.MaxLifetime.String(), func(v *call) (any, bool, string) {
			leaf := v.conn.Leaf()
			life := leaf.NotAfter.Sub(leaf.NotBefore)
			return engine.Duration(life).String(), life <= c.MaxLifetime.Std(), ""
		})
	}
	return list
}

// identityRules are the rules about which certificate it is.
func (c Certificate) identityRules() (list certificateRules) {
	if c.Serial != "" {
		list.add("has serial "+c.Serial, c.Serial, func(v *call) (any, bool, string) {
			have := certs.Serial(v.conn.Leaf())
			return have, certs.NormalHex(have) == certs.NormalHex(c.Serial), ""
		})
	}
	if c.NotSerial != "" {
		list.add("no longer has serial "+c.NotSerial, "another serial", func(v *call) (any, bool, string) {
			have := certs.Serial(v.conn.Leaf())
			return have, certs.NormalHex(have) != certs.NormalHex(c.NotSerial), ""
		})
	}
	if c.EqualsSecret != nil {
		list.add(fmt.Sprintf("is the one in secret %s", c.EqualsSecret), nil, func(v *call) (any, bool, string) {
			served := v.conn.Leaf()
			if v.secret == nil {
				return nil, false, v.secretProblem
			}
			if served.Equal(v.secret) {
				return certs.Serial(served), true, ""
			}
			return certs.Serial(served), false, fmt.Sprintf("the Secret holds serial %s, the gateway has not taken it over", certs.Serial(v.secret))
		})
	}
	return list
}

// validate reports patterns that are no regular expressions and serials that
// are not hexadecimal.
func (e Expect) validate(p *engine.Problems) {
	check := func(field, text string) {
		if _, err := parsePattern(text); err != nil {
			p.Add(field, "%v", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		check("expect.headers."+name, e.Headers[name])
	}
	check("expect.body", e.Body)
	check("expect.certificate.subject", e.Certificate.Subject)
	check("expect.certificate.issuer", e.Certificate.Issuer)
	serial := func(field, serial string) {
		if strings.Trim(strings.ToLower(serial), "0123456789abcdef: ") != "" {
			p.Add("expect.certificate."+field, "%s %q is not a hexadecimal number", field, serial)
		}
	}
	serial("serial", e.Certificate.Serial)
	serial("notSerial", e.Certificate.NotSerial)
	if e.Status != 0 && e.Status < 100 {
		p.Add("expect.status", "status %d is not a status code", e.Status)
	}
}
