package assertrotation_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/assertrotation"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

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
			err:      "10.0.0.1:30443: connect: refused", // as in curlTLS
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

// A machine that was too busy to begin probes in time may be why answers were late, and the
// hint names it. Connections that end are the gateway's doing on any machine.
func TestBusyMachine(t *testing.T) {
	const late, dropped = "this machine was too busy", "closes its clients' connections"
	drop := func(r *replica, on bool) { r.server.Drop() }
	hang := func(r *replica, on bool) { r.hang.Store(on) }
	tests := []struct {
		name   string
		fault  func(r *replica, on bool)
		stolen time.Duration
		hint   string // part of the hint; "" if there is none
	}{
		{"answers are late", hang, 0, ""},
		{"answers are late, probes a little", hang, 200 * time.Millisecond, ""},
		{"answers and probes are late", hang, 400 * time.Millisecond, late},
		{"connections end", drop, 0, dropped},
		{"connections end, probes are late", drop, 400 * time.Millisecond, dropped},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				w.rotating = func(_ int, r *replica, on bool) {
					tt.fault(r, on)
					w.stolen.Store(int64(tt.stolen))
				}
				s := w.newSpec()
				s.Probe.Timeout = engine.Duration(time.Second)
				r, err := w.prove(s, time.Minute)
				if err == nil {
					t.Fatal("the proof holds")
				}
				if hint := engine.HintOf(err); (hint == "") != (tt.hint == "") || !strings.Contains(hint, tt.hint) {
					t.Errorf("error %v with the hint %q, want the hint %q", err, hint, tt.hint)
				}
				warned := strings.Contains(strings.Join(r.log, "\n"), "later than planned")
				if want := tt.stolen > 250*time.Millisecond; warned != want {
					t.Errorf("warned: %v, want %v", warned, want)
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
