package curltls

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// A rule is one assertion about a call that got its answer.
type rule struct {
	name  string
	want  any
	check func(v *call) (have any, holds bool, detail string)

	// record returns the rule for the evidence. It is nil for patterns, headers
	// and the body, whose verdicts are among the findings only.
	record func(v *call) []evidence.Rule
}

// compare returns a rule that the evidence can judge again: recorded is its name
// there, and decides how limit and the measured value are compared
// ([evidence.Rule.Verdict]). shown renders the value for the finding; nil shows it
// as it is.
func compare(name string, want any, recorded string, limit any, measure func(*call) any, shown func(*call) any) rule {
	record := func(v *call) evidence.Rule {
		r := evidence.Rule{Name: recorded, Limit: limit, Saw: measure(v)}
		r.Holds, _ = r.Verdict() // both are always there and alike
		return r
	}
	if shown == nil {
		shown = measure
	}
	return rule{name, want, func(v *call) (any, bool, string) {
		return shown(v), record(v).Holds, ""
	}, func(v *call) []evidence.Rule { return []evidence.Rule{record(v)} }}
}

// rules lists the rules of the spec, in the order of a reader's questions.
func (s *Spec) rules() []rule {
	e := s.Expect
	list := append(s.connectionRules(), statusRule(e.Status))
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		list = append(list, headerRule(name, mustPattern(e.Headers[name])))
	}
	if e.Body != "" {
		list = append(list, bodyRule(mustPattern(e.Body)))
	}
	return list
}

// connectionRules are the rules that need no answer.
func (s *Spec) connectionRules() []rule {
	e := s.Expect
	var list []rule
	if s.Client != nil {
		list = append(list, clientRule())
	}
	if e.TLS != "" {
		list = append(list, tlsRule(e.TLS))
	}
	if e.Protocol != "" {
		list = append(list, compare("protocol is "+e.Protocol, e.Protocol, "protocol", e.Protocol,
			func(v *call) any { return v.protocol() }, nil))
	}
	c := e.Certificate
	return slices.Concat(list, c.nameRules(), c.lifetimeRules(), c.identityRules())
}

// askedRule is the rule of a proof that presents a client certificate.
const askedRule = "the server asks for the client certificate"

// clientRule: a server that does not ask lets anybody in.
func clientRule() rule {
	r := compare(askedRule, "a certificate is presented", "clientAsked", true, func(v *call) any { return v.conn.Asked }, nil)
	r.check = func(v *call) (any, bool, string) {
		if !v.conn.Asked {
			return "it does not", false, "client certificates are not verified there: with APISIX give client.caSecret in the ApisixTls, in a Gateway spec.tls.frontend, for ingress-nginx the annotation auth-tls-secret"
		}
		leaf := v.conn.Presented[0]
		return certs.Subject(leaf) + ", serial " + certs.Serial(leaf), true, ""
	}
	return r
}

func tlsRule(least string) rule {
	version := tls.VersionTLS12
	if least == "1.3" {
		version = tls.VersionTLS13
	}
	return compare("TLS is at least "+least, least, "minTLS", version,
		func(v *call) any { return int(v.conn.State.Version) },
		func(v *call) any { return tls.VersionName(v.conn.State.Version) })
}

func statusRule(want int) rule {
	code := func(v *call) any { return v.response.Code }
	r := compare(fmt.Sprintf("status is %d", want), want, "status", want, code, nil)
	if want == 0 {
		r = compare("status is below 400", "below 400", "maxStatus", 399, code, nil)
	}
	check := r.check
	r.check = func(v *call) (any, bool, string) {
		have, holds, _ := check(v)
		return have, holds, v.excerpt()
	}
	return r
}

func headerRule(name string, want pattern) rule {
	return rule{fmt.Sprintf("header %s %s %s", name, want.verb("is"), want), want.text, func(v *call) (any, bool, string) {
		values := v.response.Header[http.CanonicalHeaderKey(name)]
		if len(values) == 0 {
			return nil, false, "the answer has no such header"
		}
		return strings.Join(values, ", "), slices.ContainsFunc(values, want.equals), ""
	}, nil}
}

func bodyRule(want pattern) rule {
	return rule{fmt.Sprintf("body %s %s", want.verb("contains"), want), want.text, func(v *call) (any, bool, string) {
		return fmt.Sprintf("%d bytes", v.response.Size), want.within(string(v.response.Body)), v.excerpt()
	}, nil}
}

// nameRules are the rules about subject and issuer.
func (c Certificate) nameRules() (list []rule) {
	if c.CommonName != "" {
		list = append(list, compare("certificate has common name "+c.CommonName, c.CommonName, "commonName", c.CommonName,
			func(v *call) any { return v.conn.Leaf().Subject.CommonName }, nil))
	}
	if c.Subject != "" {
		want := mustPattern(c.Subject)
		list = append(list, rule{fmt.Sprintf("certificate subject %s %s", want.verb("is"), want), c.Subject, func(v *call) (any, bool, string) {
			have := v.conn.Leaf().Subject.String()
			return have, want.equals(have), ""
		}, nil})
	}
	if len(c.DNSNames) > 0 {
		list = append(list, namesRule(c.DNSNames))
	}
	if c.Issuer != "" {
		want := mustPattern(c.Issuer)
		list = append(list, rule{fmt.Sprintf("certificate issuer %s %s", want.verb("is"), want), c.Issuer, func(v *call) (any, bool, string) {
			issuer := v.conn.Leaf().Issuer
			return issuer.String(), want.equals(issuer.String()) || want.equals(issuer.CommonName), ""
		}, nil})
	}
	return list
}

// namesRule is one finding, and one rule of the evidence for each name.
func namesRule(names []string) rule {
	var each []rule
	for _, name := range names {
		each = append(each, compare(name, name, "containsName", name, func(v *call) any { return v.conn.Leaf().DNSNames }, nil))
	}
	want := strings.Join(names, ", ")
	return rule{"certificate has the names " + want, want, func(v *call) (any, bool, string) {
		var missing []string
		for _, r := range each {
			if _, holds, _ := r.check(v); !holds {
				missing = append(missing, r.name)
			}
		}
		have := strings.Join(v.conn.Leaf().DNSNames, ", ")
		if len(missing) > 0 {
			return have, false, "missing: " + strings.Join(missing, ", ")
		}
		return have, true, ""
	}, func(v *call) (list []evidence.Rule) {
		for _, r := range each {
			list = append(list, r.record(v)...)
		}
		return list
	}}
}

// lifetimeRules are the rules about chain and lifetime.
func (c Certificate) lifetimeRules() (list []rule) {
	if c.ChainLength > 0 {
		list = append(list, compare(fmt.Sprintf("certificate chain is %d long", c.ChainLength), c.ChainLength, "chainLength", c.ChainLength,
			func(v *call) any { return len(v.conn.State.PeerCertificates) }, nil))
	}
	if c.MinRemaining > 0 {
		list = append(list, compareTime(fmt.Sprintf("certificate is valid for another %s", c.MinRemaining), "minRemaining", c.MinRemaining,
			func(v *call) time.Duration { return v.conn.Leaf().NotAfter.Sub(v.at).Truncate(time.Second) }))
	}
	if c.MaxLifetime > 0 {
		list = append(list, compareTime(fmt.Sprintf("certificate lives for at most %s", c.MaxLifetime), "maxLifetime", c.MaxLifetime,
			func(v *call) time.Duration { return v.conn.Leaf().NotAfter.Sub(v.conn.Leaf().NotBefore) }))
	}
	return list
}

// compareTime is compare for durations, which the evidence has in seconds.
func compareTime(name, recorded string, limit engine.Duration, measure func(*call) time.Duration) rule {
	return compare(name, limit.String(), recorded, limit.Std().Seconds(),
		func(v *call) any { return measure(v).Seconds() },
		func(v *call) any { return engine.Duration(measure(v)).String() })
}

// identityRules are the rules that identify the certificate.
func (c Certificate) identityRules() (list []rule) {
	serial := func(v *call) any { return certs.Serial(v.conn.Leaf()) }
	normal := func(v *call) any { return certs.NormalHex(certs.Serial(v.conn.Leaf())) }
	if c.Serial != "" {
		list = append(list, compare("certificate has serial "+c.Serial, c.Serial, "serial", certs.NormalHex(c.Serial), normal, serial))
	}
	if c.NotSerial != "" {
		list = append(list, compare("certificate no longer has serial "+c.NotSerial, "another serial", "notSerial", certs.NormalHex(c.NotSerial), normal, serial))
	}
	if c.EqualsSecret != nil {
		list = append(list, secretRule(c.EqualsSecret))
	}
	return list
}

func secretRule(ref *tlskit.SecretRef) rule {
	return rule{fmt.Sprintf("certificate is the one in secret %s", ref), nil, func(v *call) (any, bool, string) {
		served := v.conn.Leaf()
		switch {
		case v.secret == nil:
			return nil, false, v.secretProblem
		case served.Equal(v.secret):
			return certs.Serial(served), true, ""
		}
		return certs.Serial(served), false, fmt.Sprintf("the Secret holds serial %s, the gateway has not taken it over", certs.Serial(v.secret))
	}, func(v *call) []evidence.Rule {
		if v.secret == nil {
			return nil
		}
		return []evidence.Rule{{
			Name: "equalsSecret", Limit: certs.Fingerprint(v.secret), Saw: certs.Fingerprint(v.conn.Leaf()), Holds: v.conn.Leaf().Equal(v.secret),
		}}
	}}
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
