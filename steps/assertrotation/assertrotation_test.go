package assertrotation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

func TestIntent(t *testing.T) {
	spec := assertrotation.Kind.New().(*assertrotation.Spec)
	spec.URL, spec.Probe.Rate = "https://hello.example.local/", 20
	spec.Service = &tlskit.Service{Namespace: "ingress-apisix", Name: "apisix-gateway"}
	spec.Certificate.Namespace, spec.Certificate.Name = "ingress-apisix", "hello-cert"
	want := []string{
		"ask for https://hello.example.local/ with 20 new verified TLS connections a second to the node port of service ingress-apisix/apisix-gateway, every address",
		"ask cert-manager to renew certificate ingress-apisix/hello-cert (status condition Issuing)",
	}
	if d := cmp.Diff(want, assertrotation.Kind.Intent(spec)[:2]); d != "" {
		t.Errorf("intent: -want +got:\n%s", d)
	}
}

// The error of a cut-off proof names the progress of the renewal.
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
