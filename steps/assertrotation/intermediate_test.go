package assertrotation_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/assertrotation"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
	"github.com/ztplan/ztplan/steps/internal/carollover"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/disrupt"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/rollover"
)

// Intermediates are two authorities of a world and Vault's part with them; the
// steps of a rollover against a real Vault are that package's tests. One value
// serves one rotation.
type intermediates struct {
	w         *world
	old, next *tlstest.CA
	did       []string // in order
	busy      atomic.Int64
	most      atomic.Int64 // certificates that were issued at once

	// The faults.
	foreign   *tlstest.CA       // signs in place of the new one
	refuse    map[string]string // the message with which an action fails, by action
	elsewhere bool              // cert-manager goes on with the old one
	lenient   bool              // the retired one signs
	other     string            // the refusal of the retired one
	broken    string            // the Certificate whose issuance fails
	hanging   string            // the Certificate whose issuance never ends
}

func (w *world) addIntermediates(others ...string) *intermediates {
	w.vaults = &intermediates{w: w, old: w.sub, refuse: map[string]string{}}
	for _, name := range others {
		w.put(certificates, w.other(name, 1, ""))
		w.put(secrets, w.otherSecret(name, w.sub))
	}
	return w.vaults
}

func (v *intermediates) look(context.Context) (carollover.Authorities, error) {
	v.next = nil
	return v, v.do("look")
}

func (v *intermediates) do(what string) error {
	v.did = append(v.did, what)
	if message, ok := v.refuse[what]; ok {
		return engine.Permanent(errors.New(message))
	}
	return nil
}

func (v *intermediates) Make(context.Context) error {
	v.next = v.w.root.Intermediate(v.w.t, "Intermediate CA Lab")
	return v.do("make")
}

func (v *intermediates) Old() []*x509.Certificate {
	return []*x509.Certificate{v.old.Cert, v.w.root.Cert}
}

func (v *intermediates) Next() []*x509.Certificate {
	if v.next == nil {
		return nil
	}
	return []*x509.Certificate{v.next.Cert, v.w.root.Cert}
}

func (v *intermediates) sign(ca *tlstest.CA) {
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	v.w.sub = ca
}

func (v *intermediates) TakeOver(context.Context) error {
	if !v.elsewhere {
		v.sign(v.next)
	}
	return v.do("take over")
}

func (v *intermediates) Back(context.Context) error {
	v.sign(v.old)
	return v.do("back")
}

func (v *intermediates) Retire(context.Context) error {
	v.old.Cert.MaxPathLen = 0
	return v.do("retire")
}

func (v *intermediates) Refusal() evidence.Refusal {
	return evidence.Refusal{Status: http.StatusInternalServerError, Text: "but only had usage crl-signing"}
}

func (v *intermediates) Ask(names ...string) (carollover.Trial, error) {
	return tried{v, names}, v.do("ask for " + strings.Join(names, ","))
}

type tried struct {
	v     *intermediates
	names []string
}

func (r tried) by(ca *tlstest.CA) ([]*x509.Certificate, error) {
	return ca.Issue(r.v.w.t, tlstest.Leaf{CommonName: r.names[0], Names: r.names, Lifetime: 90 * time.Second}).Chain, nil
}

func (r tried) ByOld(context.Context) ([]*x509.Certificate, error) { return r.by(r.v.old) }

func (r tried) ByNext(context.Context) ([]*x509.Certificate, error) {
	if r.v.foreign != nil {
		return r.by(r.v.foreign)
	}
	return r.by(r.v.next)
}

func (r tried) Refused(context.Context) (int, string, error) {
	switch {
	case r.v.lenient:
		return http.StatusOK, "", engine.Permanent(rollover.ErrSigned)
	case r.v.other != "":
		return http.StatusServiceUnavailable, r.v.other, nil
	}
	return http.StatusInternalServerError, "requested usage issuing-certificates but only had usage crl-signing", nil
}

// other is a Certificate that is not measured.
func (w *world) other(name string, revision int64, failed string) *unstructured.Unstructured {
	u := object("cert-manager.io/v1", "Certificate", name, map[string]any{
		"spec":   map[string]any{"secretName": name + "-tls", "dnsNames": []any{name + ".example.local"}},
		"status": map[string]any{"revision": revision, "conditions": []any{}},
	})
	if failed != "" {
		setCondition(u, "Issuing", "False", "Failed", failed)
		_ = unstructured.SetNestedField(u.Object, time.Now().UTC().Format(time.RFC3339), "status", "lastFailureTime")
	}
	return u
}

func (w *world) otherSecret(name string, ca *tlstest.CA) *unstructured.Unstructured {
	pair := ca.Issue(w.t, tlstest.Leaf{CommonName: name, Names: []string{name + ".example.local"}})
	return object("v1", "Secret", name+"-tls", map[string]any{"data": map[string]any{
		"tls.crt": base64.StdEncoding.EncodeToString(pair.CertPEM),
		"tls.key": base64.StdEncoding.EncodeToString(pair.KeyPEM),
	}})
}

// reissue plays cert-manager with a Certificate that is not measured.
func (v *intermediates) reissue(ctx context.Context, name string) {
	if n := v.busy.Add(1); n > v.most.Load() {
		v.most.Store(n)
	}
	defer v.busy.Add(-1)
	if name == v.hanging || engine.Pause(ctx, 200*time.Millisecond) != nil {
		return
	}
	if name == v.broken {
		v.w.put(certificates, v.w.other(name, 1, "the role does not allow it"))
		return
	}
	v.w.put(secrets, v.w.otherSecret(name, v.w.signer()))
	if engine.Pause(ctx, 5*time.Millisecond) == nil {
		v.w.put(certificates, v.w.other(name, 2, ""))
	}
}

func (w *world) intermediateSpec(others ...string) *assertrotation.Spec {
	s := w.newSpec()
	s.Trigger = "intermediate"
	s.Intermediate = &carollover.Spec{Mount: "pki_int", IssuerName: "intermediate-lab", Role: "example-dot-local", Wave: 2}
	s.Vault.Login = &login.Spec{Role: "ztplan", ServiceAccount: &login.Account{Namespace: "ztplan", Name: "ztplan"}}
	for _, name := range others {
		s.Intermediate.Certificates = append(s.Intermediate.Certificates, certwatch.Ref{Namespace: namespace, Name: name})
	}
	return s
}

// verified is the evidence of a proof, which must verify whatever became of it.
func (r *result) verified(t *testing.T) *evidence.Document {
	t.Helper()
	d := r.collect(t, r.records[0].Began.Add(-time.Minute), r.records[0].Ended.Add(time.Minute))
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	_, checks := verify.Evidence(b)
	for _, c := range checks {
		if !c.Holds() {
			t.Errorf("the evidence does not verify: %s: %q", c.Name, c.Problems)
		}
	}
	return d
}

var shops = []string{"shop-1", "shop-2", "shop-3", "shop-4", "shop-5"}

const asked = "ask for hello.example.local"

func TestIntermediate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.close()
		v := w.addIntermediates(shops...)
		s := w.intermediateSpec(shops...)
		r, err := w.prove(s, time.Minute)
		if err != nil || r.violated() != nil {
			t.Fatalf("error %v, violated %q", err, r.violated())
		}
		if want := []string{"look", "make", asked, "take over", "retire", asked}; !slices.Equal(v.did, want) {
			t.Errorf("Vault was asked to %q, want %q", v.did, want)
		}
		if v.most.Load() != 2 {
			t.Errorf("%d certificates were issued at once", v.most.Load())
		}
		want := []string{"new intermediate made", "old and new one sign", "new one signs for all", "asked", "issuing", "request created", "request approved",
			"request ready", "secret written", "revision counted", "first on the wire", "all on the wire", "others issued anew", "old one retired"}
		if have := hopsOf(r.out.Timeline); !slices.Equal(have, want) {
			t.Errorf("hops %q, want %q", have, want)
		}
		if !strings.Contains(r.out.Intermediate, "BEGIN CERTIFICATE") || strings.Join(r.status, "\n") == "" {
			t.Errorf("outputs: %+v", r.out)
		}
		d := r.verified(t)
		if n := len(d.Rollovers); n != 1 || len(d.Rollovers[0].Reissued) != len(shops) {
			t.Errorf("rollovers on record: %+v", d.Rollovers)
		}
	})
}

// Two generations, one after another.
func TestTwoGenerations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.addIntermediates()
		s := w.intermediateSpec()
		s.Rotations = 2
		r, err := w.prove(s, time.Minute)
		if err != nil || r.violated() != nil || len(r.rollovers) != 2 {
			t.Fatalf("error %v, violated %q, %d on record", err, r.violated(), len(r.rollovers))
		}
		if r.rollovers[0].New.Fingerprint == r.rollovers[1].New.Fingerprint {
			t.Error("the second rotation made no new intermediate")
		}
	})
}

// After any fault before the old intermediate is retired, it signs again in the
// end, and the proof has the reason.
func TestIntermediateGoesBack(t *testing.T) {
	const (
		signer   = "the new intermediate signed the certificate"
		retired  = "the old intermediate is retired and refuses to sign"
		reissued = "5 more certificates issued anew under it, 2 at a time"
	)
	for _, c := range []struct {
		name     string
		change   func(w *world, v *intermediates, s *assertrotation.Spec)
		err      string   // part of the error, if there is one
		violated []string // else
		detail   string   // part of the finding about retirement
		did      []string // after making it
		stays    bool     // the new one signs from then on
	}{
		{name: "refused at once", change: func(_ *world, v *intermediates, _ *assertrotation.Spec) { v.refuse["make"] = "the parent is revoked" },
			err: "the parent is revoked", did: []string{"back"}},
		{name: "the new one leads elsewhere", change: func(w *world, v *intermediates, _ *assertrotation.Spec) {
			v.foreign = tlstest.NewCA(w.t, "Another Root")
		}, err: "what the new intermediate signs does not lead to the trusted root", did: []string{asked, "back"}},
		{name: "it may not take over", change: func(_ *world, v *intermediates, _ *assertrotation.Spec) { v.refuse["take over"] = "permission denied" },
			err: "permission denied", did: []string{asked, "take over", "back"}},
		{name: "the issuance fails", change: func(w *world, _ *intermediates, _ *assertrotation.Spec) { w.fail = "the role does not allow it" },
			violated: []string{"certificate ingress-apisix/hello-cert is issued anew", retired}, detail: "the old one signs again", did: []string{asked, "take over", "back"}},
		{name: "somebody else signs", change: func(_ *world, v *intermediates, _ *assertrotation.Spec) { v.elsewhere = true },
			violated: []string{signer, retired}, detail: "not retired, because", did: []string{asked, "take over", "back"}},
		{name: "a client notices", change: func(w *world, _ *intermediates, _ *assertrotation.Spec) {
			w.rotating = func(_ int, r *replica, on bool) { r.missing.Store(on) }
		}, violated: []string{retired, "no probe fails"}, detail: "not retired, because", did: []string{asked, "take over", "back"}},
		{name: "the gateway is not told", change: func(w *world, _ *intermediates, _ *assertrotation.Spec) {
			w.noPush = func(int, int) bool { return true }
		}, violated: []string{"every address serves the certificate of the Secret", "the switch takes at most 5s", retired}, detail: "given up while the new intermediate signs", did: []string{asked, "take over", "back"}},
		{name: "another certificate fails", change: func(_ *world, v *intermediates, _ *assertrotation.Spec) { v.broken = "shop-3" },
			violated: []string{reissued, retired}, detail: "certificate ingress-apisix/shop-3: the issuance failed: the role does not allow it", did: []string{asked, "take over", "back"}},
		{name: "another certificate hangs", change: func(_ *world, v *intermediates, s *assertrotation.Spec) {
			v.hanging, s.Intermediate.MaxWave = "shop-2", engine.Duration(10*time.Second)
		}, violated: []string{reissued, retired}, detail: "certificate ingress-apisix/shop-2: is not issued anew: not within maxWave, 10s", did: []string{asked, "take over", "back"}},
		{name: "retiring fails", change: func(_ *world, v *intermediates, _ *assertrotation.Spec) { v.refuse["retire"] = "permission denied" },
			violated: []string{retired}, detail: "the new one signs from now on", did: []string{asked, "take over", "retire"}, stays: true},
		{name: "the retired one signs", change: func(_ *world, v *intermediates, _ *assertrotation.Spec) { v.lenient = true },
			violated: []string{retired}, did: []string{asked, "take over", "retire", asked}, stays: true},
		{name: "another refusal", change: func(_ *world, v *intermediates, _ *assertrotation.Spec) { v.other = "Vault is sealed" },
			violated: []string{retired}, did: []string{asked, "take over", "retire", asked}, stays: true},
		{name: "there is no way back", change: func(w *world, v *intermediates, _ *assertrotation.Spec) {
			w.fail, v.refuse["back"] = "the role does not allow it", "connection refused"
		}, violated: []string{"certificate ingress-apisix/hello-cert is issued anew", retired}, detail: "the new one is still the default issuer: connection refused", did: []string{asked, "take over", "back"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				v := w.addIntermediates(shops...)
				s := w.intermediateSpec(shops...)
				c.change(w, v, s)
				r, err := w.prove(s, time.Minute)
				if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || c.err == "" && len(c.violated) == 0 {
					t.Fatalf("error is %v", err)
				}
				if have := r.violated(); c.err == "" && !slices.Equal(have, c.violated) {
					t.Errorf("violated %q, want %q", have, c.violated)
				}
				if f := r.find(retired); c.err == "" && !strings.Contains(f.Detail, c.detail) {
					t.Errorf("the finding says %q, want %q in it", f.Detail, c.detail)
				}
				if want := append([]string{"look", "make"}, c.did...); !slices.Equal(v.did, want) {
					t.Errorf("Vault was asked to %q, want %q", v.did, want)
				}
				if now := w.signer(); (now == v.next) != c.stays {
					t.Errorf("the new one signs: %t", now == v.next)
				}
				if c.err == "" {
					r.verified(t)
				}
			})
		})
	}
}

// A proof whose time is over while certificates are issued lets the old one sign
// again.
func TestIntermediateIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		v := w.addIntermediates(shops...)
		v.hanging = "shop-1"
		r, _ := w.prove(w.intermediateSpec(shops...), 20*time.Second)
		if f := r.find("the old intermediate is retired"); f.Holds || !strings.Contains(f.Detail, "the old one signs again") {
			t.Errorf("finding %+v", f)
		}
		if w.signer() != v.old {
			t.Error("the new one signs")
		}
	})
}

// Certificates that the new one has signed already are left alone.
func TestIssuedAlready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		v := w.addIntermediates("shop-1", "shop-2")
		w.rotating = func(_ int, _ *replica, on bool) {
			if on {
				w.put(secrets, w.otherSecret("shop-1", v.next))
			}
		}
		r, err := w.prove(w.intermediateSpec("shop-1", "shop-2"), time.Minute)
		if err != nil || r.violated() != nil {
			t.Fatalf("error %v, violated %q", err, r.violated())
		}
		u, err := w.client.Resource(certificates).Namespace(namespace).Get(t.Context(), "shop-1", metav1.GetOptions{})
		if err != nil || conditionOf(u, "Issuing") != nil {
			t.Errorf("shop-1 was asked for: %v, %v", conditionOf(u, "Issuing"), err)
		}
	})
}

func TestValidateIntermediate(t *testing.T) {
	for _, c := range []struct {
		change func(s *assertrotation.Spec)
		want   string
	}{
		{func(*assertrotation.Spec) {}, ""},
		{func(s *assertrotation.Spec) { s.Intermediate = nil }, "intermediate: is missing"},
		{func(s *assertrotation.Spec) { s.Trigger = "renew" }, "intermediate: has no use with trigger: renew"},
		{func(s *assertrotation.Spec) { s.Vault.Login = nil }, "intermediate: nothing lets this step in to Vault"},
		{func(s *assertrotation.Spec) { s.Vault.Login, s.Intermediate.Token = nil, engine.NewSecret("x") }, ""},
		{func(s *assertrotation.Spec) { s.Intermediate.Parent.Mount = "pki_int" }, "intermediate.mount: is the parent's mount as well"},
		{func(s *assertrotation.Spec) { s.Intermediate.Role = "a/b" }, "intermediate.role"},
		{func(s *assertrotation.Spec) { s.During = &disrupt.Spec{Restart: "gateway"} }, "during: goes with trigger: renew and wait only"},
		{func(s *assertrotation.Spec) { s.Intermediate.Certificates = []certwatch.Ref{s.Certificate} }, "intermediate.certificates[0]: ingress-apisix/hello-cert is the certificate that is measured"},
		{func(s *assertrotation.Spec) {
			s.Intermediate.Certificates = []certwatch.Ref{{Namespace: "a", Name: "b"}, {Namespace: "a", Name: "b"}}
		}, "intermediate.certificates[1]: a/b is there already, as intermediate.certificates[0]"},
	} {
		w := &world{root: tlstest.NewCA(t, "Root CA Lab")}
		s := w.intermediateSpec()
		c.change(s)
		var p engine.Problems
		s.Validate(&p)
		have := ""
		for _, one := range p.List() {
			have += fmt.Sprintf("%s: %s\n", one.Field, one.Message)
		}
		if (c.want == "") != (have == "") || !strings.Contains(have, c.want) {
			t.Errorf("problems %q, want %q", have, c.want)
		}
	}
}
