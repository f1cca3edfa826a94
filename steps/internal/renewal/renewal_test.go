package renewal_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/renewal"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

// A scene is a renewal as it should be, for a case to change.
type scene struct {
	ca          *tlstest.CA
	old, leaf   tlstest.Leaf
	before      certwatch.Certificate
	after       certwatch.Certificate
	annotations map[string]string
	keyProblem  string
	newKey      *bool
	same        bool // the old certificate itself
}

// TestFindings: each rule finds what differs from the plan, and nothing else.
func TestFindings(t *testing.T) {
	ca, other := tlstest.NewCA(t, "root"), tlstest.NewCA(t, "other")
	trust, err := tlskit.ParseTrust(ca.PEM())
	if err != nil {
		t.Fatal(err)
	}
	now, key, yes, no := time.Now(), tlstest.NewKey(t), true, false
	for name, c := range map[string]struct {
		change func(*scene)
		want   []string // the rules that do not hold
	}{
		"as it should be":   {func(*scene) {}, nil},
		"the same again":    {func(s *scene) { s.same = true }, []string{"the serial number is new", "notBefore is later", "the private key is new"}},
		"made before":       {func(s *scene) { s.leaf.NotBefore = s.old.NotBefore }, []string{"notBefore is later"}},
		"its key again":     {func(s *scene) { s.leaf.Key = key }, []string{"the private key is new"}},
		"a key that stays":  {func(s *scene) { s.leaf.Key, s.after.Spec.PrivateKey.RotationPolicy = key, "Never" }, nil},
		"another key":       {func(s *scene) { s.after.Spec.PrivateKey.RotationPolicy = "Never" }, []string{"the private key is kept"}},
		"the plan's policy": {func(s *scene) { s.after.Spec.PrivateKey.RotationPolicy, s.newKey = "Never", &yes }, nil},
		"another policy":    {func(s *scene) { s.newKey = &no }, []string{"the private key is kept"}},
		"not counted":       {func(s *scene) { s.after.Status.Revision = 1 }, []string{"the revision is higher"}},
		"a wrong key":       {func(s *scene) { s.keyProblem = "it is another" }, []string{"the private key in the Secret belongs to the certificate"}},
		"another authority": {func(s *scene) { s.ca = other }, []string{"the certificate in the Secret leads to CN=root"}},
		"a name less":       {func(s *scene) { s.leaf.Names = s.leaf.Names[:1] }, []string{"the names are those of the Certificate"}},
		"a name more":       {func(s *scene) { s.leaf.Names = append(s.leaf.Names, "x.example") }, []string{"the names are those of the Certificate"}},
		"no common name":    {func(s *scene) { s.leaf.CommonName = "" }, []string{"the names are those of the Certificate"}},
		"a common name":     {func(s *scene) { s.after.Spec.CommonName = "" }, nil},
		"another issuer":    {func(s *scene) { s.after.Spec.IssuerRef.Name = "b" }, []string{"the issuer is the one of the Certificate"}},
		"another kind":      {func(s *scene) { s.after.Spec.IssuerRef.Kind = "ClusterIssuer" }, []string{"the issuer is the one of the Certificate"}},
		"its kind, written": {func(s *scene) {
			s.after.Spec.IssuerRef.Kind, s.annotations[certwatch.AnnotationIssuerKind] = "Issuer", "Issuer"
		}, nil},
		"dated back":  {func(s *scene) { s.leaf.Lifetime = time.Hour + 30*time.Second }, nil},
		"a long life": {func(s *scene) { s.leaf.Lifetime = time.Hour + 31*time.Second }, []string{"the lifetime is at most the planned one"}},
		"a short one": {func(s *scene) { s.leaf.Lifetime = time.Minute }, nil},
		"out of date": {func(s *scene) { s.leaf.Lifetime = 10 * time.Second }, []string{"the certificate in the Secret leads to CN=root"}},
	} {
		s := &scene{
			ca: ca, old: tlstest.Leaf{CommonName: "a.example", Names: []string{"a.example", "10.0.0.1"}, NotBefore: now.Add(-time.Minute), Key: key},
			annotations: map[string]string{certwatch.AnnotationIssuerName: "a"},
		}
		s.leaf = s.old
		s.leaf.NotBefore, s.leaf.Key, s.leaf.Lifetime = now.Add(-30*time.Second), nil, time.Hour
		s.before.Status.Revision, s.after.Status.Revision = 1, 2
		s.after.Spec.CommonName, s.after.Spec.DNSNames, s.after.Spec.IPAddresses = "a.example", []string{"a.example"}, []string{"10.0.0.1"}
		s.after.Spec.Duration, s.after.Spec.IssuerRef.Name = &metav1.Duration{Duration: time.Hour}, "a"
		c.change(s)
		old := s.ca.Issue(t, s.old)
		issued := old
		if !s.same {
			issued = s.ca.Issue(t, s.leaf)
		}
		var got []string
		for _, f := range (renewal.Renewal{
			Before: renewal.Issued{Certificate: &s.before, Secret: &certwatch.Bundle{Chain: old.Chain}},
			After: renewal.Issued{Certificate: &s.after, Secret: &certwatch.Bundle{
				Metadata: metav1.ObjectMeta{Annotations: s.annotations}, Chain: issued.Chain, KeyProblem: s.keyProblem}},
			Leaf: issued.Leaf(), Trust: trust, Server: "a.example", NewKey: s.newKey, At: now,
		}).Findings() {
			if !f.Holds {
				got = append(got, f.Rule)
			}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}
