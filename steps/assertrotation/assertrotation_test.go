package assertrotation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/assertrotation"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/disrupt"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
)

func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.close()
		w.lag = func(replica int) time.Duration { return time.Duration(1+replica*4) * 300 * time.Millisecond }
		before := w.pair.Leaf()
		s := w.newSpec()
		s.Probe.Rate, s.Probe.ConsecutiveNew, s.Probe.HTTP = 20, 12, "auto"
		r, err := w.prove(s, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if v := r.violated(); v != nil {
			t.Errorf("violated: %q", v)
		}
		both := map[string]int{"h2": 0, "http/1.1": 0}
		for _, e := range r.records[0].Endpoints {
			for version, n := range e.Protocols {
				both[version] += n
			}
		}
		if off := both["h2"] - both["http/1.1"]; len(both) != 2 || both["h2"] == 0 || off < -2 || off > 2 {
			t.Errorf("handshakes by version of HTTP: %v, want as many of each", both)
		}
		after := w.pair.Leaf()
		if w.asked != 1 {
			t.Errorf("a renewal was asked for %d times, want once", w.asked)
		}

		got := r.out
		if got.Attempts < 2*20 || got.Failures != 0 {
			t.Errorf("%d probes, %d failed; want at least 40 and none", got.Attempts, got.Failures)
		}
		if got.Doubt == 0 || got.Doubt > 0.001 {
			t.Errorf("the doubt is %g, want more than 0 and at most 0.001", got.Doubt)
		}
		if got.SwitchMilliseconds < 1500 || got.SwitchMilliseconds > 1600 {
			t.Errorf("the switch took %d ms, want 1500 to 1600", got.SwitchMilliseconds)
		}
		want := assertrotation.Outputs{
			OldSerial: certs.Serial(before), NewSerial: certs.Serial(after),
			OldFingerprint: certs.Fingerprint(before), NewFingerprint: certs.Fingerprint(after),
			OldKey: certs.KeyDigest(before), NewKey: certs.KeyDigest(after),
			NotBefore: after.NotBefore.Format(time.RFC3339), NotAfter: after.NotAfter.Format(time.RFC3339),
			Certificate: certs.Encode(after), Revision: 2, Rotations: 1,
			Attempts: got.Attempts, Doubt: got.Doubt, SwitchMilliseconds: got.SwitchMilliseconds, LongestGapMilliseconds: 50, Timeline: got.Timeline,
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("outputs: -want +got:\n%s", d)
		}
		wantHops := []string{"asked", "issuing", "request created", "request approved", "request ready", "secret written", "revision counted", "first on the wire", "all on the wire"}
		if d := cmp.Diff(wantHops, hopsOf(got.Timeline)); d != "" {
			t.Errorf("timeline: -want +got:\n%s", d)
		}
		for _, part := range []string{"issuing; ", "secret written; ", "1 of 2 addresses switched", "; 40 handshakes/s, ", "s left\n10.0.0.1:30443  ", "░▒█", "░░░  old ", "10.0.0.2:30443  "} {
			if !strings.Contains(strings.Join(r.status, "\n"), part) {
				t.Errorf("the status never said %q: %q", part, r.status)
			}
		}
	})
}

// hopsOf cuts times and notes off a timeline.
func hopsOf(lines []string) []string {
	var hops []string
	for _, l := range lines {
		_, l, _ = strings.Cut(l, "s ")
		l, _, _ = strings.Cut(l, " (")
		hops = append(hops, l)
	}
	return hops
}

// A request that was under way when the proof began, and is not answered, is why there is
// no new certificate: cert-manager pauses for minutes before it tries again.
func TestAnOldRequestHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.pending = "Vault is sealed"
		for range 2 {
			r, err := w.prove(w.newSpec(), 5*time.Second)
			if d := r.find("certificate ingress-apisix/hello-cert is issued").Detail; !strings.Contains(d, "certificaterequest hello-cert-2: Vault is sealed") {
				t.Errorf("%s", d)
			}
			if hint := engine.HintOf(err); !strings.Contains(hint, "unseal step") {
				t.Errorf("%v: hint %q", err, hint)
			}
		}
	})
}

// Each way in which a rotation goes wrong must be caught by the rule that names
// it, and by no rule that has nothing to do with it.
func TestWhatGoesWrong(t *testing.T) {
	tests := []struct {
		name     string
		replicas int
		break_   func(*world)
		spec     func(*assertrotation.Spec)
		limit    time.Duration
		err      string   // the whole of it; not checked if empty
		violated []string // prefixes of the rules
		detail   string   // of the first
		hint     string   // part of the hint; "" if there is none
	}{
		{
			name:     "the gateway never takes the Secret over",
			break_:   func(w *world) { w.noPush = func(int, int) bool { return true } },
			hint:     "apache/apisix-ingress-controller#2673",
			violated: []string{"every address serves", "the switch takes at most 5s"},
			detail:   "the gateway has not taken the Secret over",
		},
		{
			name: "one address is left behind", replicas: 3,
			break_:   func(w *world) { w.noPush = func(_, replica int) bool { return replica == 1 } },
			hint:     "apache/apisix#13067",
			violated: []string{"every address serves", "the switch takes at most 5s"},
			detail:   "10.0.0.2:30443 never showed it",
		},
		{
			name:     "one worker is left behind",
			break_:   func(w *world) { old := w.pair; w.rotating = func(_ int, r *replica, _ bool) { r.stale.Store(old) } },
			hint:     "apache/apisix#13067",
			violated: []string{"every address serves", "the switch takes at most 5s"},
			detail:   "handshakes and other serials in between: one of its workers or replicas was left behind",
		},
		{
			name:     "the switch is slow",
			break_:   func(w *world) { w.lag = func(int) time.Duration { return 10 * time.Second } },
			hint:     "apache/apisix-ingress-controller#2673",
			violated: []string{"every address serves", "the switch takes at most 5s"},
			detail:   "never showed it",
		},
		{
			name:     "connections are refused while it switches",
			break_:   func(w *world) { w.rotating = func(_ int, r *replica, on bool) { r.refuse.Store(on) } },
			violated: []string{"no probe fails"},
			detail:   "dial (10.0.0.1:30443: connect: refused)",
		},
		{
			name:     "routes are missing while it switches",
			break_:   func(w *world) { w.rotating = func(_ int, r *replica, on bool) { r.missing.Store(on) } },
			violated: []string{"no probe fails"},
			detail:   "http (10.0.0.1:30443: status 404 Not Found instead of below 400); the first one ",
		},
		{
			name:     "connections are dropped when it switches",
			break_:   func(w *world) { w.rotating = func(_ int, r *replica, on bool) { r.server.Drop() } },
			hint:     "closes its clients' connections",
			violated: []string{"connections opened before keep answering"},
			detail:   "the http/1.1 connection to 10.0.0.1:30443 that was opened",
		},
		{
			name:     "connections of HTTP/2 are dropped when it switches",
			break_:   func(w *world) { w.rotating = func(_ int, r *replica, on bool) { r.server.Drop() } },
			spec:     func(s *assertrotation.Spec) { s.Probe.HTTP = "2" },
			hint:     "closes its clients' connections",
			violated: []string{"connections opened before keep answering"},
			detail:   "(0s after all on the wire)",
		},
		{
			name:   "an allowed number of failures, but too long a gap",
			break_: func(w *world) { w.rotating = func(_ int, r *replica, on bool) { r.refuse.Store(on) } },
			spec: func(s *assertrotation.Spec) {
				s.MaxFailures, s.MaxGap = 20, engine.Duration(300*time.Millisecond)
			},
			violated: []string{"no address is without a successful probe for more than 300ms"},
			detail:   "10.0.0.1:30443",
		},
		{
			name: "a certificate that the Secret never held",
			break_: func(w *world) {
				w.rotating = func(_ int, r *replica, on bool) {
					if on {
						r.stale.Store(w.make())
					} else {
						r.stale.Store(nil)
					}
				}
			},
			violated: []string{"clients see only"},
			detail:   "which the Secret was not seen to hold since the proof began, and which no request of the Certificate was answered with",
		},
		{
			name:   "a self-signed certificate while it switches",
			break_: func(w *world) { breakTrust(w, tlstest.NewCA(w.t, "Fake")) },
			// Verification fails, so that no client sees the certificate.
			hint:     "tls.crt must hold the certificate and its intermediates",
			violated: []string{"no probe fails"},
			detail:   "verify (10.0.0.1:30443: the certificate is issued by CN=Fake",
		},
		{
			name: "the key is kept",
			break_: func(w *world) {
				key := w.pair.Key
				w.issue = func(int) *tlstest.Pair { w.leaf.Key = key; return w.make() }
			},
			hint:     "privateKey.rotationPolicy",
			violated: []string{"the private key is new"},
			detail:   "rotationPolicy is Always",
		},
		{
			name:     "the key changes against the plan",
			spec:     func(s *assertrotation.Spec) { s.NewKey = new(bool) },
			violated: []string{"the private key is kept"},
			detail:   "newKey",
		},
		{
			name:     "the same certificate under a new revision",
			break_:   func(w *world) { pair := w.pair; w.issue = func(int) *tlstest.Pair { return pair } },
			limit:    5 * time.Second,
			violated: []string{"certificate ingress-apisix/hello-cert is issued anew"},
			detail:   "revision counted",
		},
		{
			name: "an older certificate",
			break_: func(w *world) {
				w.issue = func(int) *tlstest.Pair {
					w.leaf.NotBefore = time.Now().Add(-10 * time.Minute)
					return w.sub.Issue(w.t, w.leaf)
				}
			},
			violated: []string{"notBefore is later"},
		},
		{
			name:     "the revision is not counted",
			break_:   func(w *world) { w.noCount = true },
			violated: []string{"the revision is higher", "the switch takes at most 5s"},
		},
		{
			name: "the key does not fit",
			break_: func(w *world) {
				first := w.pair
				w.keyOf = func(p *tlstest.Pair) []byte { return first.KeyPEM }
			},
			violated: []string{"the private key in the Secret belongs"},
			detail:   "private key does not match public key",
		},
		{
			name:     "a name is missing",
			break_:   func(w *world) { w.issue = func(int) *tlstest.Pair { w.leaf.Names = w.leaf.Names[:1]; return w.make() } },
			violated: []string{"the names are those of the Certificate"},
		},
		{
			name:     "another common name",
			break_:   func(w *world) { w.issue = func(int) *tlstest.Pair { w.leaf.CommonName = "x"; return w.make() } },
			violated: []string{"the names are those of the Certificate"},
			detail:   `the common name is "x"`,
		},
		{
			name:     "another issuer",
			break_:   func(w *world) { w.issuer = "other-issuer" },
			violated: []string{"the issuer is the one"},
		},
		{
			name:     "it lives too long",
			break_:   func(w *world) { w.issue = func(int) *tlstest.Pair { w.leaf.Lifetime = 2 * time.Hour; return w.make() } },
			violated: []string{"the lifetime is at most"},
		},
		{
			name:     "another root",
			break_:   func(w *world) { breakIssuer(w, tlstest.NewCA(w.t, "Another Root").Intermediate(w.t, "Sub")) },
			hint:     "trust the root",
			violated: []string{"the certificate in the Secret leads to CN=Root CA Lab", "every address serves", "the switch takes at most", "no probe fails"},
			detail:   "issued by CN=Another Root",
		},
		{
			name: "the issuance fails",
			break_: func(w *world) {
				w.fail = "Vault failed to sign certificate: URL: POST /v1/pki_int/sign/x\nCode: 403.\n* permission denied"
			},
			hint:     "spec.vault.path",
			violated: []string{"certificate ingress-apisix/hello-cert is issued anew"},
			detail:   "the issuance failed; certificaterequest hello-cert-2: Vault failed to sign certificate: URL: POST /v1/pki_int/sign/x Code: 403. * permission denied; cert-manager tries again by itself at 2000-01-01T01:00:01Z",
		},
		{
			name:     "the issuance hangs",
			break_:   func(w *world) { w.pending = "Vault is sealed" },
			limit:    5 * time.Second,
			hint:     "unseal step",
			violated: []string{"certificate ingress-apisix/hello-cert is issued anew"},
			detail:   "certificaterequest hello-cert-2: Vault is sealed",
		},
		{
			name:     "the wire shows another certificate from the beginning",
			break_:   func(w *world) { w.replicas[0].server.Use(w.make()) },
			hint:     "apache/apisix-ingress-controller#2673",
			violated: []string{"the wire shows the certificate of secret ingress-apisix/hello-tls"},
			detail:   "not within 5s: 10.0.0.1:30443 never showed it",
		},
		{
			name:     "nothing answers",
			break_:   func(w *world) { w.replicas[0].refuse.Store(true) },
			violated: []string{"the wire shows the certificate of secret ingress-apisix/hello-tls"},
			detail:   "none of",
			err:      "10.0.0.1:30443: connect: refused", // as curlTLS says it
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, max(tt.replicas, 1))
				defer w.close()
				if tt.break_ != nil {
					tt.break_(w)
				}
				s := w.newSpec()
				if tt.spec != nil {
					tt.spec(s)
				}
				limit := tt.limit
				if limit == 0 {
					limit = 5 * time.Minute
				}
				r, err := w.prove(s, limit)
				if hint := engine.HintOf(err); (err != nil) != (len(tt.violated) > 0) || !strings.Contains(hint, tt.hint) {
					t.Errorf("error %v with the hint %q, want the hint %q", err, hint, tt.hint)
				}
				if tt.err != "" && err.Error() != tt.err {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				got := r.violated()
				matches := slices.EqualFunc(got, tt.violated, strings.HasPrefix)
				if !matches {
					for _, f := range r.findings {
						t.Logf("%v %s: have %v, want %v (%s)", f.Holds, f.Rule, f.Have, f.Want, f.Detail)
					}
					t.Fatalf("violated: %q, want %q", got, tt.violated)
				}
				if d := r.find(tt.violated[0]).Detail; !strings.Contains(d, tt.detail) {
					t.Errorf("detail = %q, want it to contain %q", d, tt.detail)
				}
			})
		})
	}
}

// breakTrust makes one of two workers show a certificate of another authority
// while a replica switches.
func breakTrust(w *world, ca *tlstest.CA) {
	w.rotating = func(_ int, r *replica, on bool) {
		if on {
			r.stale.Store(ca.Issue(w.t, w.leaf))
		} else {
			r.stale.Store(nil)
		}
	}
}

func breakIssuer(w *world, ca *tlstest.CA) {
	w.issue = func(int) *tlstest.Pair { return ca.Issue(w.t, w.leaf) }
}

// A failure ends the proof at once, not when its time is over.
func TestFailsFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.fail = "denied"
		w.leaf.Lifetime = 10 * time.Minute
		w.pair = w.make()
		w.put(secrets, w.secret())
		w.replicas[0].server.Use(w.pair)
		r, err := w.prove(w.newSpec(), time.Hour)
		if err == nil || engine.NextOf(err) != "kubectl -n ingress-apisix describe certificaterequest hello-cert-2" {
			t.Fatalf("error %v, next %q", err, engine.NextOf(err))
		}
		if !engine.UntilOf(err).Equal(w.pair.Leaf().NotAfter) {
			t.Errorf("until %s, want %s", engine.UntilOf(err), w.pair.Leaf().NotAfter)
		}
		if r.took > 3*time.Second {
			t.Errorf("took %s", r.took)
		}
		const want = "the certificate in use expires 50m31s before that"
		if d := r.find("certificate ingress-apisix/hello-cert is issued").Detail; !strings.Contains(d, want) {
			t.Errorf("detail = %q, want it to contain %q", d, want)
		}
	})
}

// A watcher that dies at the first rotation passes the first and is caught at
// the second.
func TestSecondRotation(t *testing.T) {
	for _, dead := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1)
			defer w.close()
			w.noPush = func(n, _ int) bool { return dead && n > 1 }
			s := w.newSpec()
			s.Rotations = 3
			first := certs.Serial(w.pair.Leaf())
			r, err := w.prove(s, 5*time.Minute)
			if (err != nil) != dead {
				t.Errorf("error = %v", err)
			}
			if dead {
				if got := r.violated(); len(got) != 2 || !strings.HasPrefix(got[0], "rotation 2: every address serves") || r.out.Rotations != 1 {
					t.Errorf("%d rotations, violated: %q", r.out.Rotations, got)
				}
				return
			}
			if got := r.violated(); got != nil || r.out.Rotations != 3 || r.out.Revision != 4 || r.out.OldSerial != first || w.asked != 3 {
				t.Errorf("%d rotations to revision %d, asked %d times, violated: %q", r.out.Rotations, r.out.Revision, w.asked, got)
			}
		})
	}
}

func TestTriggerWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		s := w.newSpec()
		s.Trigger = "wait"
		w.wg.Go(func() {
			time.Sleep(10 * time.Second)
			w.renew(context.Background())
		})
		r, err := w.prove(s, 10*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if v := r.violated(); v != nil || w.asked != 0 {
			t.Errorf("asked %d times, violated: %q", w.asked, v)
		}
		if r.out.Attempts < 9*10 {
			t.Errorf("%d probes in ten seconds", r.out.Attempts)
		}
		if got := r.out.Timeline[0]; got != "+0.000s request created (hello-cert-2)" {
			t.Errorf("the timeline begins with %q", got)
		}
	})
}

// A certificate whose issuance has failed is not renewed for an hour or more:
// waiting for that is no use.
func TestTriggerWaitAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.update(func(u *unstructured.Unstructured) {
			setCondition(u, "Issuing", "False", "Failed", "denied")
			_ = unstructured.SetNestedField(u.Object, time.Now().UTC().Format(time.RFC3339), "status", "lastFailureTime")
		})
		s := w.newSpec()
		s.Trigger = "wait"
		r, err := w.prove(s, time.Hour)
		if err == nil {
			t.Fatal("it holds")
		}
		if d := r.find("certificate ingress-apisix/hello-cert is issued").Detail; !strings.Contains(d, "denied") || r.took > 5*time.Second {
			t.Errorf("after %s: %q", r.took, d)
		}
	})
}

// An earlier failure must not be taken for one of this rotation.
func TestRenewAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.update(func(u *unstructured.Unstructured) {
			setCondition(u, "Issuing", "False", "Failed", "denied")
			_ = unstructured.SetNestedField(u.Object, time.Now().UTC().Format(time.RFC3339), "status", "lastFailureTime")
			_ = unstructured.SetNestedField(u.Object, int64(3), "status", "failedIssuanceAttempts")
		})
		r, err := w.prove(w.newSpec(), time.Minute)
		if err != nil || r.violated() != nil {
			t.Errorf("error %v, violated %q", err, r.violated())
		}
	})
}

func TestConflictIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		conflicts := 2
		w.client.PrependReactor("update", "certificates", func(action clienttesting.Action) (bool, runtime.Object, error) {
			if action.GetSubresource() != "status" || conflicts == 0 {
				return false, nil, nil
			}
			conflicts--
			return true, nil, apierrors.NewConflict(certificates.GroupResource(), "hello-cert", errors.New("modified"))
		})
		r, err := w.prove(w.newSpec(), time.Minute)
		if err != nil || r.violated() != nil || conflicts != 0 {
			t.Errorf("error %v, violated %q, %d conflicts left", err, r.violated(), conflicts)
		}
	})
}

func TestNothingIsAskedWhileIssuing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.update(func(u *unstructured.Unstructured) { setCondition(u, "Issuing", "True", "Expiring", "due") })
		w.wg.Go(func() {
			time.Sleep(3 * time.Second)
			w.renew(context.Background())
		})
		r, err := w.prove(w.newSpec(), time.Minute)
		if err != nil || r.violated() != nil || w.asked != 0 {
			t.Errorf("error %v, violated %q, asked %d times", err, r.violated(), w.asked)
		}
	})
}

// cert-manager may renew by itself just before it is asked to: the proof must
// not end before the renewal that it asked for has.
func TestRenewalOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.lag = func(int) time.Duration { return time.Millisecond }
		s := w.newSpec()
		s.Probe.Rate, s.Probe.ConsecutiveNew = 100, 3
		w.wg.Go(func() {
			time.Sleep(200 * time.Millisecond) // settled after 30 ms, asked after 1 s
			w.renew(context.Background())
		})
		r, err := w.prove(s, time.Minute)
		if err != nil || r.violated() != nil {
			t.Errorf("error %v, violated %q", err, r.violated())
		}
		if w.asked != 1 || r.out.Revision != 3 || r.out.NewSerial != certs.Serial(w.pair.Leaf()) {
			t.Errorf("asked %d times, revision %d, serial %s; want 1, 3, %s", w.asked, r.out.Revision, r.out.NewSerial, certs.Serial(w.pair.Leaf()))
		}
	})
}

func TestErrors(t *testing.T) {
	forbidden := func(resource string) func(*world) {
		return func(w *world) {
			for _, verb := range []string{"list", "watch"} {
				refuse := func(action clienttesting.Action) error {
					return apierrors.NewForbidden(action.GetResource().GroupResource(), "", errors.New("no"))
				}
				if verb == "list" {
					w.client.PrependReactor(verb, resource, func(a clienttesting.Action) (bool, runtime.Object, error) { return true, nil, refuse(a) })
				}
			}
		}
	}
	tests := []struct {
		name   string
		break_ func(*world)
		want   string
	}{
		{"no such certificate", func(w *world) {
			_ = w.client.Resource(certificates).Namespace(namespace).Delete(t.Context(), "hello-cert", metav1.DeleteOptions{})
		}, `certificate ingress-apisix/hello-cert: certificates.cert-manager.io "hello-cert" not found`},
		{"secrets cannot be listed", forbidden("secrets"), "watching secrets in namespace ingress-apisix: "},
		{"requests cannot be listed", forbidden("certificaterequests"), "watching certificaterequests in namespace ingress-apisix: "},
		{"the status cannot be written", func(w *world) {
			w.client.PrependReactor("update", "certificates", func(a clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, apierrors.NewForbidden(a.GetResource().GroupResource(), "hello-cert", errors.New("no"))
			})
		}, "certificate ingress-apisix/hello-cert: asking for the renewal: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				tt.break_(w)
				_, err := w.prove(w.newSpec(), time.Minute)
				if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, engine.ErrPermanent) {
					t.Errorf("error = %v, want a permanent one with %q", err, tt.want)
				}
			})
		})
	}
}

// Probes go on at their rate when the server hangs, and end with the proof.
func TestProbesAreOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		s := w.newSpec()
		s.Probe.Rate, s.Probe.Timeout = 20, engine.Duration(2*time.Second)
		s.MaxFailures = 1000
		w.rotating = func(_ int, r *replica, on bool) { r.hang.Store(on) }
		r, err := w.prove(s, time.Minute)
		if err != nil || r.violated() != nil {
			t.Fatalf("error %v, violated %q", err, r.violated())
		}
		// Half a second at 20 a second.
		if r.out.Failures < 9 || r.out.Failures > 11 {
			t.Errorf("%d probes failed, want 10", r.out.Failures)
		}
		if d := r.find("at most 1000 probes fail").Detail; !strings.Contains(d, "tls (10.0.0.1:30443: connected, but the TLS handshake was not answered in time)") {
			t.Errorf("detail = %q", d)
		}
	})
}

func TestValidate(t *testing.T) {
	root := tlstest.NewCA(t, "Root CA Lab").PEM()
	tests := []struct {
		name   string
		change func(*assertrotation.Spec)
		field  string
	}{
		{"good", func(*assertrotation.Spec) {}, ""},
		{"url", func(s *assertrotation.Spec) { s.URL = "hello" }, "url"},
		{"trust", func(s *assertrotation.Spec) { s.Trust = "" }, "trust"},
		{"address", func(s *assertrotation.Spec) { s.Address = "x" }, "address"},
		{"status", func(s *assertrotation.Spec) { s.Probe.Status = 9 }, "probe.status"},
		{"rate", func(s *assertrotation.Spec) { s.Probe.Rate = 2001 }, "probe.rate"},
		{"idle", func(s *assertrotation.Spec) { s.Idle = 1 }, "idle"},
		{"idle between two", func(s *assertrotation.Spec) { s.Idle, s.Rotations = 1, 2 }, ""},
		{"idle and wait", func(s *assertrotation.Spec) { s.Idle, s.Rotations, s.Trigger = 1, 2, "wait" }, "idle"},
		{"during", func(s *assertrotation.Spec) { s.During = &disrupt.Spec{Restart: "vault", Keys: &keyFile} }, ""},
		{"during and wait", func(s *assertrotation.Spec) {
			s.During, s.Trigger = &disrupt.Spec{Restart: "vault"}, "wait"
		}, "during.restart"},
		{"the gateway and wait", func(s *assertrotation.Spec) {
			s.During, s.Trigger = &disrupt.Spec{Restart: "gateway"}, "wait"
		}, ""},
		{"the gateway's pods as endpoints", func(s *assertrotation.Spec) {
			s.During, s.Service = &disrupt.Spec{Restart: "gateway"}, &tlskit.Service{Namespace: "a", Name: "b", Via: "tunnel"}
		}, "during.restart"},
		{"selector", func(s *assertrotation.Spec) {
			s.During = &disrupt.Spec{Restart: "gateway", Selector: "!!"}
		}, "during.selector"},
		{"keys for another part", func(s *assertrotation.Spec) { s.During = &disrupt.Spec{Restart: "gateway", Keys: &keyFile} }, "during.keys"},
		{"no place for keys", func(s *assertrotation.Spec) {
			s.During = &disrupt.Spec{Restart: "vault", Keys: &custody.Keys{}}
		}, "during.keys"},
		{"jitter and wait", func(s *assertrotation.Spec) { s.Jitter, s.Trigger = 1, "wait" }, "jitter"},
	}
	for _, tt := range tests {
		s := assertrotation.Kind.New().(*assertrotation.Spec)
		s.URL, s.Trust = "https://"+host, root
		tt.change(s)
		var p engine.Problems
		s.Validate(&p)
		got := ""
		if l := p.List(); len(l) > 0 {
			got = l[0].Field
		}
		if got != tt.field || len(p.List()) > 1 {
			t.Errorf("%s: problems %v, want one with %q", tt.name, p.List(), tt.field)
		}
	}
}

func TestExample(t *testing.T) {
	text, err := os.ReadFile("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Uses string
		With yaml.Node
	}
	if err := yaml.Unmarshal(text, &list); err != nil || len(list) != 1 {
		t.Fatalf("%d steps, error %v; want one step", len(list), err)
	}
	if list[0].Uses != assertrotation.Kind.Name {
		t.Errorf("uses %q, want %q", list[0].Uses, assertrotation.Kind.Name)
	}
	with, err := yaml.Marshal(&list[0].With)
	if err != nil {
		t.Fatal(err)
	}
	spec := assertrotation.Kind.New().(*assertrotation.Spec)
	d := yaml.NewDecoder(bytes.NewReader(with))
	d.KnownFields(true)
	if err := d.Decode(spec); err != nil {
		t.Fatal(err)
	}
	spec.Trust = tlstest.NewCA(t, "Root CA Lab").PEM() // a reference in the example
	var p engine.Problems
	spec.Validate(&p)
	for _, problem := range p.List() {
		t.Errorf("%s: %s", problem.Field, problem.Message)
	}
	want := []string{
		"ask for https://hello.example.local/ with 20 new verified TLS connections a second to the node port of service ingress-apisix/apisix-gateway, every address",
		"ask cert-manager to renew certificate ingress-apisix/hello-cert (status condition Issuing)",
	}
	if d := cmp.Diff(want, assertrotation.Kind.Intent(spec)[:2]); d != "" {
		t.Errorf("intent: -want +got:\n%s", d)
	}
}

// What a cut-off proof says must name how far the renewal came.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		s := w.newSpec()
		s.Trigger = "wait"
		r, err := w.prove(s, 5*time.Second)
		if !strings.Contains(engine.HintOf(err), "timeout") {
			t.Errorf("error %v with the hint %q", err, engine.HintOf(err))
		}
		f := r.find("certificate ingress-apisix/hello-cert is issued anew")
		if f.Holds || !strings.HasPrefix(f.Detail, "reached after ") || !strings.Contains(f.Detail, ": nothing; the certificate that 10.0.0.1:30443 serves (serial "+certs.Serial(w.pair.Leaf())+") holds until ") {
			t.Errorf("finding: %v", fmt.Sprint(f))
		}
	})
}
